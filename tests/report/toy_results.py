"""Results as evaluate.py writes them, with made-up errors that look like real ones: no potential, no
store.
"""

import numpy as np

from compbench_jax.evaluation.assemble import QUANTILES, group_rows
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Groups, force_groups
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.result import (
    DIGITS,
    VERSION,
    Columns,
    MoleculeResult,
    Result,
    SetResult,
    Trained,
    stored_row,
)
from compbench_jax.evaluation.score import TestSet, all_atom_terms, frame_table
from compbench_jax.metrics.aggregate import SUM_COLUMNS, complete_table
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.roles import role_of
from compbench_jax.store.frames import Frames, offsets_of

ENDS = {"alkane": ("H", "H"), "acid": ("COOH", "H"), "diacid": ("COOH", "COOH"), "amine": ("NH2", "H")}


def graph(family, n):
    numbers = np.array([6] * n + [1] * (2 * n) + [8] * (2 * ENDS[family].count("COOH")), np.int32)
    record = Molecule(f"{family}-{n}", f"{'C' * n}", f"KEY-{family}-{n}", f"C{n}", family, n, ENDS[family])
    return MolecularGraph(record, numbers, np.zeros((0, 2), np.int32), np.zeros((len(numbers), 5), np.uint32))


def test_set(graphs, molecules, force_error, rng, n_frames):
    """Frames of some molecules whose force MAE is about ``force_error(graph)`` eV/Å."""
    owner = np.repeat(molecules, n_frames)
    sizes = np.array([graphs[m].n_atoms for m in owner])
    total = int(sizes.sum())
    size = np.repeat([force_error(graphs[m]) for m in owner] * rng.lognormal(0, 0.2, len(owner)), sizes)
    true = 0.8 * rng.normal(size=(total, 3))
    forces = true + size[:, None] * np.sqrt(np.pi / 2) * rng.normal(size=(total, 3))
    frames = Frames(
        np.concatenate([graphs[m].numbers for m in owner]),
        np.zeros((total, 3), np.float32),
        true.astype(np.float32),
        np.zeros(len(owner)),
        owner.astype(np.int32),
        offsets_of(sizes),
    )
    errors = 0.002 * sizes * rng.normal(size=len(owner)) + 0.03
    terms = all_atom_terms(forces.astype(np.float32), frames.forces)
    table = complete_table(frame_table(frames, terms, forces, errors), errors / 2, errors - errors.mean())
    return TestSet(frames, owner, table, terms)


test_set.__test__ = False  # pytest: not a test


def make_results(
    task="fragment_duplication[COOH]",
    model="schnet",
    seed=0,
    train=(("alkane", range(2, 14)), ("acid", range(2, 14))),
    ood=(("diacid", range(3, 14)),),
    scale=0.02,
    penalty=2.8,
    n_frames=20,
):
    rng = np.random.default_rng([seed, len(model), len(task)])
    graphs = [graph(family, n) for part in (train, ood) for family, ns in part for n in ns]
    n_train = sum(len(ns) for _, ns in train)

    def error(item, factor=1.0):
        return factor * scale * (0.6 + item.molecule.n**-0.5) * (1.4 if item.molecule.family == "acid" else 1)

    def ood_error(item):
        return error(item, 1 + (penalty - 1) * (1.8 if item.molecule.n < 6 else 0.7))

    tests = {
        "id": test_set(graphs, np.arange(n_train), error, rng, n_frames),
        "ood": test_set(graphs, np.arange(n_train, len(graphs)), ood_error, rng, n_frames + 10),
    }
    trained = [graphs[m].molecule for m in range(n_train)]
    config = {
        "seed": seed,
        "data": f"somewhere/{seed}",
        "model": {"model": model, "channels": 32},
        "watch": {"log_every": 20 + seed},
    }
    return Derived(
        Result(
            version=VERSION,
            task=task,
            role=role_of(task),
            kind="trained",
            model=model,
            seed=seed,
            data="d" * 64,
            date="2026-01-01T00:00:00+00:00",
            columns=Columns(list(ATOM_COLUMNS), list(SUM_COLUMNS)),
            **{part: tested_set(test, graphs, part) for part, test in tests.items()},
            train=Trained(
                sorted({m.n for m in trained}), len(trained), 40 * len(trained), [m.inchikey for m in trained]
            ),
            config=config,
            versions={},
            hardware={},
        )
    )


def tested_set(test, graphs, part):
    """What is stored of a test set: carbons of OOD molecules are unseen, chains below n = 6 in contact."""
    molecules, sums = test.sums()
    index = {int(molecule): k for k, molecule in enumerate(molecules)}
    described, frame_mae = [], test.frame_mae()
    for molecule in molecules:
        m = graphs[molecule].molecule
        quantiles = np.quantile(frame_mae[test.molecule == molecule], QUANTILES).tolist()
        ch2 = {"ch2": [str(m.n - 2)]}
        described.append(
            MoleculeResult(m.inchikey, m.name, m.smiles, m.family, m.n, list(m.ends), ch2, stored_row(quantiles, 4))
        )
    carbon = test.frames.numbers == 6
    names = ("0 C", "1 H") if part == "ood" else ("none C", "none H")
    groups = {"distance_element": Groups(names, np.where(carbon, 0, 1)), "force": force_groups(test.frames.forces)}
    if part == "ood":
        close = np.array([graphs[m].molecule.n < 6 for m in test.frames.molecule])
        unseen = close & (np.arange(test.frames.n_frames) % 3 > 0)
        groups["contact"] = Groups(("unseen", "seen"), np.where(unseen, 0, 1))
    rows = {name: group_rows(BREAKDOWNS[name], item, test, index) for name, item in groups.items()}
    return SetResult(described, [stored_row(row, DIGITS) for row in sums], rows)


def extension(model="schnet", **more):
    return make_results(
        "chain_extension", model, train=(("alkane", range(2, 7)),), ood=(("alkane", range(7, 14)),), **more
    )


def interpolation(model="schnet", **more):
    return make_results(
        "chain_interpolation",
        model,
        train=(("alkane", [*range(2, 6), *range(10, 14)]),),
        ood=(("alkane", range(6, 10)),),
        penalty=1.2,
        **more,
    )


def many_families(model="schnet", **more):
    return make_results(
        "control_random(x)",
        model,
        train=tuple((family, range(2, 14, 2)) for family in ENDS) + (("alkane", [3]),),
        ood=tuple((family, range(3, 14, 2)) for family in ("acid", "diacid", "amine")),
        penalty=1.3,
        **more,
    )
