"""Whether the sums of a result can be those of forces and energies, and its molecules are what they are called."""

from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Breakdown
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.identity import kind_of
from compbench_jax.evaluation.result import PARTS
from compbench_jax.metrics.aggregate import SUM_COLUMNS
from compbench_jax.molecules.registry import registry_by_inchikey
from compbench_jax.splits.roles import role_of

AGREEMENT = 1e-4
"""Relative difference between sums that should be equal (groups keep six digits, molecules nine)."""

SMALLEST = 1e-7
"""Numbers below this are as good as zero."""

IDENTITY = ("name", "smiles", "family", "n", "ends")


def plausibility_problems(results: Derived) -> list[str]:
    """Contradictions in a result, one line each.

    Metrics, intervals and ratios are never stored, so they need no check: they follow from the sums. Checked are the
    sums of each molecule, those of groups against those of molecules, names against the registry, role and kind.
    """
    problems = [
        f"{name} is {results[name]!r}, {what} says {right!r}"
        for name, what, right in (
            ("role", "the task", role_of(results["task"])),
            ("kind", "the configuration", kind_of(results["task"], results["config"])),
        )
        if results[name] != right
    ]
    for part in PARTS:
        wrong = impossible(part, results.inchikeys(part), results.sums(part))
        problems += wrong + molecule_problems(results, part)
        if not wrong:
            for item in BREAKDOWNS.values():
                problems += group_problems(results, part, item)
    return problems


def impossible(part: str, keys: list[str], sums: np.ndarray) -> list[str]:
    """Molecule sums that no forces and energies can have, one line per molecule."""
    if not len(keys):
        return [f"{part}/sums are empty"]
    of = dict(zip(SUM_COLUMNS, sums.T, strict=True))

    def above(small: np.ndarray, large: np.ndarray) -> np.ndarray:
        return np.asarray(small > large * (1 + AGREEMENT) + SMALLEST)

    def fraction(values: np.ndarray) -> np.ndarray:
        return np.abs(values - np.round(values)) > SMALLEST

    with np.errstate(all="ignore"):
        size = of["atoms"] / of["frames"]
        wrong = {
            "are not all finite numbers": ~np.isfinite(sums).all(axis=1),
            "have a negative count or magnitude": np.any(
                [of[name] < 0 for name in SUM_COLUMNS if name not in SIGNED], axis=0
            ),
            "have no frames or atoms": (of["frames"] < 1) | (of["atoms"] < of["frames"]),
            "have a count that is no whole number": np.any(
                [fraction(of[name]) for name in ("frames", "atoms", "cosine_atoms", "within_threshold")], axis=0
            )
            | fraction(size),
            "have more directions than atoms": above(of["cosine_atoms"], of["atoms"]),
            "have a cosine outside −1 and 1": above(np.abs(of["cosine"]), of["cosine_atoms"])
            | above(np.abs(of["weighted_cosine"]), of["force_norm"]),
            "have more frames within the threshold than frames": above(of["within_threshold"], of["frames"]),
            "have force errors that contradict each other": above(of["l2_force"], of["abs_force"])
            | above(of["abs_force"], np.sqrt(3) * of["l2_force"])
            | above(of["abs_magnitude"], of["l2_force"])
            | above(of["l2_force"] ** 2, of["atoms"] * of["squared_force"])
            | above(of["squared_force"], of["l2_force"] ** 2),
            "have energy errors that contradict each other": np.any(
                [
                    above(of[f"abs_{way}_per_atom"] * size, of[f"abs_{way}"])
                    | above(of[f"abs_{way}"], of[f"abs_{way}_per_atom"] * size)
                    for way in ("raw", "referenced", "centred")
                ],
                axis=0,
            )
            | above(np.abs(of["energy_error"]), of["abs_raw"]),
        }
    found: dict[str, str] = {}
    for what, rows in wrong.items():
        for row in np.flatnonzero(rows):
            found.setdefault(keys[row], what)
    return [f"{part}/sums of {key} {what}" for key, what in found.items()]


SIGNED = ("cosine", "weighted_cosine", "energy_error")
"""Sums that may be below zero."""


def molecule_problems(results: Derived, part: str) -> list[str]:
    """Molecules of the registry under other names, and quantiles that do not ascend."""
    problems = []
    for molecule in results.tested(part).molecules:
        where = f"{part}/molecules/{molecule.inchikey}"
        quantiles = [value for value in molecule.force_mae_frames if value is not None]
        if len(quantiles) not in (0, 3) or quantiles != sorted(quantiles) or any(value < 0 for value in quantiles):
            problems.append(f"{where}/force_mae_frames are not three ascending numbers")
        known = registered(molecule.inchikey)
        for name in IDENTITY if known is not None else ():
            stated, right = getattr(molecule, name), getattr(known, name)
            right = list(right) if isinstance(right, tuple) else right
            if stated != right:
                problems.append(f"{where}/{name} is {stated!r}, the registry says {right!r}")
    return problems


def registered(inchikey: str) -> Any:
    """The molecule of the registry; None where there is none, or no RDKit."""
    try:
        return registry_by_inchikey().get(inchikey)
    except CompBenchError:
        return None


def group_problems(results: Derived, part: str, item: Breakdown) -> list[str]:
    """Groups of atoms or frames that do not add up to the molecules that they are in."""
    if item.of == "molecules" or item.merged is not None or item.name not in results.tested(part).groups:
        return []
    whole = results.sums(part)
    total, columns = np.zeros((len(whole), 2)), ("atoms", "abs_force")
    for group in results.tested(part).groups[item.name]:
        found = results.group_sums(item, part, group)
        if not np.isfinite(found.sums[:, found.columns.index("abs_force")]).all():
            return [f"{part}/groups/{item.name}/{group} are not all finite numbers"]
        for molecule, row in zip(found.molecules, found.sums, strict=True):
            total[molecule] += [row[found.columns.index(name)] for name in columns]
    right = whole[:, [SUM_COLUMNS.index(name) for name in columns]]
    wrong = (np.abs(total - right) > AGREEMENT * np.abs(right) + SMALLEST).any(axis=1)
    keys = results.inchikeys(part)
    return [
        f"{part}/groups/{item.name}: those of {keys[row]} do not add up to the molecule"
        for row in np.flatnonzero(wrong)
    ]
