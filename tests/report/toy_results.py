"""Results as evaluate.py writes them, with made-up errors that look like real ones: no potential, no
store.
"""

import numpy as np

from compbench_jax.evaluation import breakdown
from compbench_jax.evaluation.assemble import blocks, comparison, units
from compbench_jax.evaluation.breakdown import TestSet
from compbench_jax.evaluation.results import NOTES, SCHEMA_VERSION, plain
from compbench_jax.metrics.aggregate import SUM_COLUMNS, complete_table
from compbench_jax.metrics.sums import ATOM_COLUMNS, COLUMNS
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.store.frames import Frames, offsets_of

ENDS = {"alkane": ("H", "H"), "acid": ("COOH", "H"), "diacid": ("COOH", "COOH"), "amine": ("NH2", "H")}
SAMPLES = 200


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
    empty = TestSet.build(graphs, frames, forces.astype(np.float32), np.zeros((len(owner), len(SUM_COLUMNS))))
    table = np.zeros((len(owner), len(COLUMNS)))
    table[:, : len(ATOM_COLUMNS)] = np.add.reduceat(empty.terms, frames.offsets[:-1], axis=0)
    table[:, COLUMNS.index("frames")] = 1
    table[:, COLUMNS.index("energy_error")] = errors
    return TestSet(frames, empty.molecule, complete_table(table, errors / 2, errors - errors.mean()), empty.terms)


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
    sums = {part: test.sums() for part, test in tests.items()}
    sets = comparison(sums["id"][1], sums["ood"][1])
    ood_frames = np.arange(tests["ood"].frames.n_frames)
    close = np.array([graphs[m].molecule.n < 6 for m in tests["ood"].frames.molecule])
    trained = [graphs[m].molecule for m in range(n_train)]
    return plain(
        {
            "schema_version": SCHEMA_VERSION,
            "task": task,
            "model": model,
            "seed": seed,
            "data": "d" * 64,
            "date": "2026-01-01T00:00:00+00:00",
            **blocks(sets, sums["id"][1], sums["ood"][1]),
            "by_n": {
                part: breakdown.by_label_of_molecule(test, lambda m: str(graphs[m].molecule.n))
                for part, test in tests.items()
            },
            "by_element": {
                part: breakdown.by_atom(
                    test, np.array(["", "H", "", "", "", "", "C", "", "O"])[test.frames.numbers], "HCO"
                )
                for part, test in tests.items()
            },
            "by_end_fragment": {part: breakdown.by_end_fragment(test, graphs) for part, test in tests.items()},
            "by_contact": {
                "ood": breakdown.by_frame(tests["ood"], np.where(close & (ood_frames % 3 > 0), "novel", "known"))
            },
            "by_distance": {"ood": {}},
            "by_molecule": {part: breakdown.by_molecule(test, graphs) for part, test in tests.items()},
            "ratio_largest_id": blocks(sets, sums["id"][1], sums["ood"][1])["ratio"],
            "train": {
                "n": sorted({m.n for m in trained}),
                "n_molecules": len(trained),
                "n_frames": 40 * len(trained),
                "molecules": [m.inchikey for m in trained],
            },
            "molecule_sums": {
                "columns": SUM_COLUMNS,
                **{
                    part: {graphs[m].molecule.inchikey: row for m, row in zip(*pair, strict=True)}
                    for part, pair in sums.items()
                },
            },
            "bootstrap": {"samples": SAMPLES, "seed": 0},
            "units": units(),
            "notes": NOTES,
            "config": {
                "seed": seed,
                "data": f"somewhere/{seed}",
                "model": {"model": model, "channels": 32},
                "watch": {"log_every": 20 + seed},
            },
            "versions": {},
            "hardware": {},
        }
    )


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
