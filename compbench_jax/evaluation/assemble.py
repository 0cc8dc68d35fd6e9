"""From evaluated test sets to the contents of ``results.json``."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from compbench_jax.evaluation import provenance
from compbench_jax.evaluation.breakdown import (
    TestSet,
    by_atom,
    by_end_fragment,
    by_frame,
    by_label_of_molecule,
    by_molecule,
    counts_of,
)
from compbench_jax.evaluation.intervals import LEVEL, Comparison, compare_sets
from compbench_jax.evaluation.labels import Labelled, label_atoms, methylenes
from compbench_jax.evaluation.results import NOTES, SCHEMA_VERSION, section
from compbench_jax.evaluation.subject import Subject
from compbench_jax.evaluation.where import where_contents
from compbench_jax.metrics.aggregate import LARGER_IS_BETTER, SUM_COLUMNS, metrics_from_sums
from compbench_jax.splits.composition import composition
from compbench_jax.splits.novelty import known_environments, molecules_of
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore


def assemble(
    subject: Subject,
    store: FrameStore,
    split: Split,
    tests: Mapping[str, TestSet],
    samples: int,
    seed: int,
    fit_frames: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Contents of ``results.json`` and of ``where.json``.

    Args:
        subject: what was evaluated.
        store: where the frames are.
        split: which frames these are; its test sets are the frames that were evaluated.
        tests: the evaluated sets ``"id"`` and ``"ood"``.
        samples: without effect.
        seed: of the choice of train frames.
        fit_frames: train frames in the per-element fit of the energy errors.
    """
    sums = {part: test.sums() for part, test in tests.items()}
    sets = comparison(sums["id"][1], sums["ood"][1])
    labelled = label_atoms(store, split, tests)
    results = {
        "schema_version": SCHEMA_VERSION,
        "task": split.task,
        "model": subject.name,
        "seed": subject.seed,
        "data": store.hash,
        "date": provenance.now(),
        "checkpoint_step": subject.step,
        **blocks(sets, sums["id"][1], sums["ood"][1]),
        "ratio_largest_id": ratio_largest_id(store, *sums["id"], sums["ood"][1]),
        **breakdowns(store, split, tests, labelled),
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
        "unidentifiable": unidentifiable(store, split),
        "units": units(),
        "notes": NOTES,
        "config": subject.config,
        "versions": provenance.versions(),
        "hardware": provenance.hardware(),
        **subject.more,
    }
    return results, where_contents(results, store.graphs, tests, labelled)


def unidentifiable(store: FrameStore, split: Split) -> list[str]:
    """Names of the OOD molecules whose total energies no training set of these compositions can tell."""
    sides = ([store.graphs[m] for m in molecules_of(store, frames)] for frames in (split.train, split.ood_test))
    return list(composition(*sides).unidentifiable)


def comparison(id_sums: np.ndarray, ood_sums: np.ndarray, *_: object) -> Comparison:
    """ID, OOD and ratio of all metrics; sums ``[n_molecules, n_columns]``, or ``[n_runs, …]`` for several seeds."""
    return compare_sets(id_sums, ood_sums, metrics_from_sums, LARGER_IS_BETTER)


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
    store: FrameStore, molecules: np.ndarray, id_sums: np.ndarray, ood_sums: np.ndarray
) -> dict[str, Any]:
    """The ratio against the largest ID molecules only, since small ones are easy and flatter the ratio.

    Largest by n; where a molecule has no n, by the number of atoms.
    """
    n: list[Any] = [store.graphs[m].molecule.n for m in molecules]
    by_n = all(value is not None for value in n)
    size = np.array(n if by_n else [store.graphs[m].n_atoms for m in molecules])
    largest = size == size.max()
    sets = comparison(id_sums[largest], ood_sums)
    return {
        **blocks(sets, id_sums[largest], ood_sums)["ratio"],
        "id_molecules": [store.graphs[m].molecule.name for m in molecules[largest]],
        "n" if by_n else "atoms": int(size.max()),
    }


def breakdowns(store: FrameStore, split: Split, tests: Mapping[str, TestSet], labelled: Labelled) -> dict[str, Any]:
    """All blocks but those of single molecules; empty ones where a breakdown does not apply."""
    graphs = store.graphs

    def n(molecule: int) -> str | None:
        return None if graphs[molecule].molecule.n is None else str(graphs[molecule].molecule.n)

    def ch2(molecule: int) -> str | None:
        count = methylenes(graphs[molecule])
        return None if count is None else str(count)

    def of_molecules(label: Callable[[int], str | None]) -> dict[str, Any]:
        blocks = {part: by_label_of_molecule(test, label) for part, test in tests.items()}
        return {part: dict(sorted(found.items(), key=lambda item: int(item[0]))) for part, found in blocks.items()}

    def of_atoms(name: str) -> dict[str, Any]:
        labels = {part: found[name] for part, found in labelled.atoms.items() if name in found}
        return {part: by_atom(tests[part], item.text(), item.names) for part, item in labels.items()}

    ood = tests["ood"]
    known = known_environments([graphs[m] for m in molecules_of(store, split.train)], 1)
    new_at_1 = {m: not np.isin(graphs[m].environments[:, 1], known).all() for m in np.unique(ood.molecule).tolist()}
    return {
        "by_n": of_molecules(n),
        "by_ch2": of_molecules(ch2),
        "by_element": of_atoms("element"),
        "by_end_fragment": {part: by_end_fragment(test, graphs) for part, test in tests.items()},
        "by_force": of_atoms("force"),
        "by_distance": of_atoms("distance"),
        "by_contact": {"ood": by_frame(ood, np.where(labelled.novel_contact, "novel", "known"))},
        "by_touching": {"ood": by_label_of_molecule(ood, lambda m: "touching" if new_at_1[m] else "apart")},
    }


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
