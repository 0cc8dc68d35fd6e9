"""``dynamics.json``: its schema, what of it goes into tables, written whole or not at all."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from compbench_jax.errors import DataError, RunError
from compbench_jax.files import read_json, save
from compbench_jax.json_text import to_json

SCHEMA_VERSION = 1
FILE = "dynamics.json"
PARTS = ("id", "ood")


class Metric(NamedTuple):
    """One line of a table.

    Attributes:
        property: block of ``properties``.
        key: in the block of a molecule.
        label: in words.
        unit: of the value; empty for a pure number.
        reference: key of the value to compare with; None where that is zero by definition.
        total: the values of all molecules are counted up, not averaged.
    """

    property: str
    key: str
    label: str
    unit: str
    reference: str | None = None
    total: bool = False


def _scan(property: str, label: str) -> list[Metric]:
    return [
        Metric(property, "energy_rmse", f"{label}, energy RMSE (centred)", "meV"),
        Metric(property, "barrier_error", f"{label}, barrier error", "meV", "reference_barrier"),
        Metric(property, "path_force_rmse", f"{label}, force along the path, RMSE", "eV/Å"),
    ]


METRICS = (
    Metric("nve", "drift", "NVE, energy drift", "meV/atom/ps", "reference_drift"),
    Metric("nve", "broken", "NVE, trajectories with a broken bond", "", "reference_broken", total=True),
    Metric("nve", "bond_distance", "NVE, distance of bond lengths", "Å", "bond_floor"),
    Metric("nve", "angle_distance", "NVE, distance of angles", "°", "angle_floor"),
    Metric("nve", "torsion_distance", "NVE, distance of torsions", "°", "torsion_floor"),
    *_scan("torsion", "torsion scan"),
    *_scan("stretch", "bond stretch"),
    *_scan("folding", "chain folding"),
    Metric("modes", "frequency_mae", "normal modes, frequency MAE", "cm⁻¹"),
    Metric("modes", "imaginary", "normal modes, imaginary", "", total=True),
    Metric("modes", "shift", "normal modes, shift of the minimum", "Å"),
    Metric("curl", "curl", "non-conservative part of the forces", ""),
    Metric("curl", "push", "net force", ""),
    Metric("extensivity", "energy", "size consistency, energy", "meV"),
    Metric("extensivity", "force", "size consistency, force", "meV/Å"),
    Metric("locality", "energy", "size consistency (atom), energy", "meV"),
    Metric("locality", "force", "size consistency (atom), force", "meV/Å"),
)


def summary(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Means over molecules (of magnitudes, so that drifts of both signs do not cancel), or totals.

    Returns:
        ``{property: {key: {"unit", "id": {"value", "reference", "n_molecules", "of"}, "ood": …}}}``; ``n_molecules``
        have the value, ``of`` were looked at.
    """
    found: dict[str, Any] = {}
    for metric in METRICS:
        block = properties.get(metric.property)
        if block is None:
            continue
        entry: dict[str, Any] = {"unit": metric.unit}
        for part in PARTS:
            molecules = list(block.get(part, {}).values())
            values = _values(molecules, metric.key)
            references = _values(molecules, metric.reference) if metric.reference else []
            entry[part] = {
                "value": _together(values, metric.total),
                "reference": _together(references, metric.total),
                "n_molecules": len(values),
                "of": len(molecules),
            }
        found.setdefault(metric.property, {})[metric.key] = entry
    return found


def _values(molecules: list[Mapping[str, Any]], key: str) -> list[float]:
    return [abs(item[key]) for item in molecules if item.get(key) is not None and np.isfinite(item[key])]


def _together(values: list[float], total: bool) -> float | int | None:
    if not values:
        return None
    return int(sum(values)) if total else float(np.mean(values))


def _whole(results: Mapping[str, Any]) -> bool:
    """Whether molecules and properties are laid out as a file of ours has them, and metrics are numbers."""
    properties = results["properties"]
    for block in (results["molecules"], *properties.values()):
        if not all(isinstance(values, dict) for part in PARTS for values in block[part].values()):
            return False
    keys = [(m.property, key) for m in METRICS if m.property in properties for key in (m.key, m.reference) if key]
    values = [item.get(key) for name, key in keys for part in PARTS for item in properties[name][part].values()]
    return all(value is None or isinstance(value, int | float) for value in values)


def write(path: Path, results: Mapping[str, Any]) -> None:
    """Write ``dynamics.json``.

    Raises:
        RunError: the file could not be written.
    """
    save(path, to_json({**results, "summary": summary(results["properties"])}).encode())


def read(path: str | Path) -> dict[str, Any]:
    """Read a ``dynamics.json``, given the file or its folder.

    Raises:
        RunError: no such file, not valid, or of a newer schema.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    if not file.exists():
        raise RunError(f"{file} does not exist: make it with `compbench dynamics {file.parent}`")
    try:
        results = read_json(file)
        version = results["schema_version"]
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        whole = isinstance(version, int) and (newer or _whole(results))
    except (DataError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file} cannot be read ({error}): remove it and measure again") from error
    if newer:
        raise RunError(f"{file} has schema {version}, this program reads up to {SCHEMA_VERSION}: upgrade compbench_jax")
    if not whole:
        raise RunError(f"{file} is not a {FILE}: give one that `compbench dynamics` wrote")
    return results
