"""``where.json``: where the error lives, as sums and counts of every molecule, to be pooled over runs and plotted."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.breakdown import TestSet
from compbench_jax.evaluation.labels import AtomLabels, Labelled, methylenes
from compbench_jax.evaluation.results import by_name, plain, save
from compbench_jax.metrics.aggregate import molecule_sums
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.molecules.molecule import MolecularGraph

FILE = "where.json"
SCHEMA_VERSION = 1
REQUIRED = ("schema_version", "task", "model", "seed", "data", "columns", "molecules", "sums")


def where_contents(
    results: Mapping[str, Any], graphs: tuple[MolecularGraph, ...], tests: Mapping[str, TestSet], labelled: Labelled
) -> dict[str, Any]:
    """Contents of ``where.json`` of an evaluation.

    Args:
        results: contents of its ``results.json``.
        graphs: molecules of the store.
        tests: the evaluated sets ``"id"`` and ``"ood"``.
        labelled: the labels of their atoms.

    Returns:
        ``sums[part][breakdown][label][InChIKey]``: a row of ``columns``, summed over the molecule's atoms with this
        label; ``molecules[part][InChIKey]``: what the molecule is. Labels are in the order to show them.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        **{key: results[key] for key in ("task", "model", "seed", "data")},
        "bootstrap": results["bootstrap"],
        "columns": ATOM_COLUMNS,
        "units": "eV/angstrom; columns as in compbench_jax.metrics.sums.ATOM_COLUMNS",
        "molecules": {
            part: {graphs[m].molecule.inchikey: _described(graphs[m]) for m in np.unique(test.molecule)}
            for part, test in tests.items()
        },
        "sums": {
            part: {name: _sums(tests[part], labels, graphs) for name, labels in breakdowns.items()}
            for part, breakdowns in labelled.atoms.items()
        },
    }


def _described(graph: MolecularGraph) -> dict[str, Any]:
    molecule = graph.molecule
    ends = None if molecule.ends is None else list(molecule.ends)
    return {"name": molecule.name, "family": molecule.family, "n": molecule.n, "ends": ends, "ch2": methylenes(graph)}


def _sums(test: TestSet, labels: AtomLabels, graphs: tuple[MolecularGraph, ...]) -> dict[str, dict[str, list[float]]]:
    """Sums by label and molecule."""
    owner = np.repeat(test.molecule, test.frames.n_atoms)
    keys, sums = molecule_sums(test.terms, labels.code * len(graphs) + owner)
    found: dict[str, dict[str, list[float]]] = {}
    for key, row in zip(keys.tolist(), sums, strict=True):
        label, molecule = divmod(key, len(graphs))
        rounded = [float(f"{value:.7g}") for value in row]
        found.setdefault(labels.names[label], {})[graphs[molecule].molecule.inchikey] = rounded
    return found


def write_where(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``where.json``, a row a line, whole or not at all.

    Raises:
        RunError: it cannot be written.
    """

    def text(value: Any, depth: int) -> str:
        if not isinstance(value, dict) or depth == 5:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)
        pad = " " * (depth + 1)
        items = [f"{pad}{json.dumps(key, ensure_ascii=False)}: {text(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * depth + "}" if items else "{}"

    save(path, (text(plain(content), 0) + "\n").encode())


def read_where(path: str | Path) -> dict[str, Any]:
    """Read a ``where.json``, given the file, the ``results.json`` beside it or their folder.

    Raises:
        RunError: no such file, not one of these, or of a newer version.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file.with_name(FILE)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(
            f"{file} does not exist: evaluate again with this version, or give --data where the predictions are kept"
        ) from error
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read as JSON ({error}): evaluate again") from error
    missing = [key for key in REQUIRED if not isinstance(content, dict) or key not in content]
    if missing:
        raise RunError(f"{file} lacks {', '.join(missing)}: evaluate again")
    if content["schema_version"] > SCHEMA_VERSION:
        raise RunError(f"{file} is of a newer version of this program: use that, or evaluate again")
    if tuple(content["columns"]) == ATOM_COLUMNS:
        return content
    try:
        return _with_our_columns(content)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error}): evaluate again") from error


def _with_our_columns(content: dict[str, Any]) -> dict[str, Any]:
    """Contents of another version with the columns of this one, NaN where it lacks one."""

    def rows(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: rows(item) for key, item in value.items()}
        return by_name(np.array(value, np.float64), content["columns"], ATOM_COLUMNS).tolist()

    return {**content, "columns": ATOM_COLUMNS, "sums": rows(content["sums"])}
