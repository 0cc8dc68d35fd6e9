"""From evaluated test sets to the contents of ``results.json``."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.evaluation import provenance
from compbench_jax.evaluation.bootstrap import LEVEL, Comparison, compare_sets
from compbench_jax.evaluation.breakdown import (
    Bootstrap,
    TestSet,
    atoms_of_frames,
    by_atom,
    by_end_fragment,
    by_frame,
    by_label_of_molecule,
    by_molecule,
    counts_of,
)
from compbench_jax.evaluation.results import NOTES, SCHEMA_VERSION, section
from compbench_jax.metrics.aggregate import LARGER_IS_BETTER, SUM_COLUMNS, metrics_from_sums
from compbench_jax.splits.contacts import novel_contact_frames
from compbench_jax.splits.novelty import known_environments, molecules_of, novelty_distances
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training.checkpoint import LoadedRun

NO_NOVELTY = "none"
"""Label of atoms of molecules without any novel environment."""


def assemble(
    run: LoadedRun,
    store: FrameStore,
    split: Split,
    tests: Mapping[str, TestSet],
    samples: int,
    seed: int,
    groups: Mapping[int, str],
    fit_frames: int,
) -> dict[str, Any]:
    """Contents of ``results.json``.

    Args:
        run: the trained potential.
        store: where the frames are.
        split: which frames these are.
        tests: the evaluated sets ``"id"`` and ``"ood"``.
        samples: bootstrap draws.
        seed: of the draws.
        groups: the task's own labels of OOD molecules.
        fit_frames: train frames in the per-element fit of the energy errors.
    """
    bootstrap = Bootstrap(samples, seed)
    sums = {part: test.sums() for part, test in tests.items()}
    sets = comparison(sums["id"][1], sums["ood"][1], samples, seed)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": split.task,
        "model": run.config["preset"],
        "seed": run.seed if run.member else run.config["seed"],
        "data": store.hash,
        "date": provenance.now(),
        "checkpoint_step": run.step,
        **blocks(sets, sums["id"][1], sums["ood"][1]),
        "ratio_largest_id": ratio_largest_id(store, *sums["id"], sums["ood"][1], samples, seed),
        **breakdowns(run, store, split, tests, groups, bootstrap),
        "by_molecule": {part: by_molecule(test, store.graphs) for part, test in tests.items()},
        "train": trained(store, split),
        "molecule_sums": {
            "columns": SUM_COLUMNS,
            **{
                part: {store.graphs[m].molecule.inchikey: row for m, row in zip(*pair, strict=True)}
                for part, pair in sums.items()
            },
        },
        "bootstrap": {"samples": samples, "seed": seed, "level": LEVEL, "over": "molecules"},
        "fit_frames": fit_frames,
        "units": units(),
        "notes": NOTES,
        "config": run.config,
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
    }


def comparison(id_sums: np.ndarray, ood_sums: np.ndarray, samples: int, seed: int) -> Comparison:
    """ID, OOD and ratio of all metrics; sums ``[n_molecules, n_columns]``, or ``[n_runs, …]`` for several seeds."""
    return compare_sets(id_sums, ood_sums, metrics_from_sums, LARGER_IS_BETTER, samples=samples, seed=seed)


def blocks(sets: Comparison, id_sums: np.ndarray, ood_sums: np.ndarray) -> dict[str, Any]:
    """The blocks ``id``, ``ood`` and ``ratio``."""
    counts = {"id": counts_of(id_sums), "ood": counts_of(ood_sums)}
    both = {key: counts["id"][key] + counts["ood"][key] for key in counts["id"]}
    return {
        "id": section(sets.id.estimates(), counts["id"]),
        "ood": section(sets.ood.estimates(), counts["ood"]),
        "ratio": section(sets.ratio.estimates(), both),
    }


def ratio_largest_id(
    store: FrameStore,
    molecules: np.ndarray,
    id_sums: np.ndarray,
    ood_sums: np.ndarray,
    samples: int,
    seed: int,
) -> dict[str, Any]:
    """The ratio against the largest ID molecules only, since small ones are easy and flatter the ratio.

    Largest by n; where a molecule has no n, by the number of atoms.
    """
    n: list[Any] = [store.graphs[m].molecule.n for m in molecules]
    by_n = all(value is not None for value in n)
    size = np.array(n if by_n else [store.graphs[m].n_atoms for m in molecules])
    largest = size == size.max()
    sets = comparison(id_sums[largest], ood_sums, samples, seed)
    return {
        **blocks(sets, id_sums[largest], ood_sums)["ratio"],
        "id_molecules": [store.graphs[m].molecule.name for m in molecules[largest]],
        "n" if by_n else "atoms": int(size.max()),
    }


def breakdowns(
    run: LoadedRun,
    store: FrameStore,
    split: Split,
    tests: Mapping[str, TestSet],
    groups: Mapping[int, str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """All blocks but those of single molecules; empty ones where a breakdown does not apply."""
    graphs = store.graphs
    elements = {int(z): chemical_symbols[z] for z in np.unique(np.concatenate([g.numbers for g in graphs]))}

    def n(molecule: int) -> str | None:
        return None if graphs[molecule].molecule.n is None else str(graphs[molecule].molecule.n)

    ood = tests["ood"]
    novel = novel_contact_frames(store, split.train, split.ood_test, run.potential.cutoff)
    known = known_environments([graphs[m] for m in molecules_of(store, split.train)], 1)
    new_at_1 = {m: not np.isin(graphs[m].environments[:, 1], known).all() for m in np.unique(ood.molecule).tolist()}
    distances = novelty_distances(store, split)
    labels = {m: np.where(d < 0, NO_NOVELTY, d.astype(str)) for m, d in distances.items()}
    farthest = max((int(d.max()) for d in distances.values()), default=-1)
    return {
        "by_n": {
            part: dict(sorted(by_label_of_molecule(test, n, part, bootstrap).items(), key=lambda item: int(item[0])))
            for part, test in tests.items()
        },
        "by_element": {
            part: by_atom(test, np.array(chemical_symbols)[test.frames.numbers], elements.values(), part, bootstrap)
            for part, test in tests.items()
        },
        "by_end_fragment": {part: by_end_fragment(test, graphs, part, bootstrap) for part, test in tests.items()},
        "by_distance": {
            "ood": by_atom(
                ood,
                atoms_of_frames(ood.frames, labels),
                [*map(str, range(farthest + 1)), NO_NOVELTY],
                "ood",
                bootstrap,
            )
        },
        "by_contact": {"ood": by_frame(ood, np.where(novel, "novel", "known"), "ood", bootstrap)},
        "by_touching": {
            "ood": by_label_of_molecule(ood, lambda m: "touching" if new_at_1[m] else "apart", "ood", bootstrap)
        },
        "by_group": {"ood": by_group(ood, groups, bootstrap)},
    }


def by_group(test: TestSet, groups: Mapping[int, str], bootstrap: Bootstrap) -> dict[str, Any]:
    """A block for each of the task's own groups of OOD molecules, in its order."""
    found = by_label_of_molecule(test, groups.get, "ood", bootstrap)
    return {label: found[label] for label in dict.fromkeys(groups.values()) if label in found}


def trained(store: FrameStore, split: Split) -> dict[str, Any]:
    """What was trained on: molecules by InChIKey, and the n that occur."""
    molecules = [store.graphs[m].molecule for m in molecules_of(store, split.train)]
    return {
        "n": sorted({molecule.n for molecule in molecules if molecule.n is not None}),
        "n_molecules": len(molecules),
        "n_frames": len(split.train),
        "molecules": [molecule.inchikey for molecule in molecules],
    }


def units() -> dict[str, str]:
    """Unit of every metric."""
    names = metrics_from_sums(np.ones(len(SUM_COLUMNS)))

    def unit(name: str) -> str:
        if name in LARGER_IS_BETTER:
            return "1"
        if name.startswith("energy"):
            return "meV/atom" if name.endswith("_per_atom") else "eV"
        return "eV/angstrom"

    return {name: unit(name) for name in names} | {"force_mae_frames": "eV/angstrom", "ratio": "1"}
