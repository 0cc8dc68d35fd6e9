"""Whether the numbers of results follow from the molecule sums that they hold, and whether the sums are possible."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.assemble import blocks, comparison
from compbench_jax.evaluation.breakdown import counts_of, estimates, finite
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.evaluation.results import molecule_sums, section
from compbench_jax.metrics.aggregate import SUM_COLUMNS, metrics_from_sums
from compbench_jax.molecules.registry import registry_by_inchikey

PARTS = ("id", "ood")
AGREEMENT = 1e-4
"""Relative difference between a number and what the sums give (results keep six digits, sums nine; forces are summed in
float32).
"""

SMALLEST = 1e-7
"""Numbers below this are as good as zero."""

WHOLE_SETS = (("by_element", PARTS), ("by_force", PARTS), ("by_distance", PARTS[1:]), ("by_contact", PARTS[1:]),
              ("by_touching", PARTS[1:]))  # fmt: skip
"""Breakdowns in which every atom of a set has exactly one label."""

IDENTITY = ("name", "smiles", "family", "n", "ends")

Sums = dict[str, tuple[list[str], np.ndarray]]
"""InChIKeys and molecule sums ``[n_molecules, n_columns]`` of ``"id"`` and ``"ood"``."""


def number_problems(results: Mapping[str, Any]) -> list[str]:
    """Every number that is not what the molecule sums give, a line each.

    Recomputed are values, intervals and counts of ID, OOD and ratios, by molecule, by n and by end fragment; breakdowns
    by atom or frame must add up to the whole set.

    Args:
        results: contents of a ``results.json`` that fits its schema.
    """
    try:
        sums = stored_sums(results)
    except RunError as error:
        return [f"molecule_sums: {error}"]
    problems = [line for part, (keys, rows) in sums.items() for line in impossible(part, keys, rows)]
    if problems:
        return problems
    problems = [line for part in PARTS for line in molecule_problems(results["by_molecule"][part], part, *sums[part])]
    if problems:
        return problems
    for key, block in recomputed(results, sums).items():
        problems += differences(block, results[key], key)
    problems += breakdown_problems(results, sums)
    if problems and all("/low is " in line or "/high is " in line for line in problems):
        return [f"{problems[0]}: evaluate again where the intervals are of another version"]
    return problems


def stored_sums(results: Mapping[str, Any]) -> Sums:
    """The molecule sums that results hold.

    Raises:
        RunError: they are absent or damaged.
    """
    return {part: molecule_sums(results, part, SUM_COLUMNS) for part in PARTS}


def recomputed(results: Mapping[str, Any], sums: Sums) -> dict[str, Any]:
    """The blocks of results that follow from the sums of whole molecules, as far as the results have them."""
    inside, outside = sums["id"][1], sums["ood"][1]
    wanted: dict[str, Any] = blocks(comparison(inside, outside), inside, outside)
    if "ratio_largest_id" in results:
        largest, what = largest_molecules(results["by_molecule"]["id"], sums["id"][0])
        cut = inside[largest]
        wanted["ratio_largest_id"] = {**blocks(comparison(cut, outside), cut, outside)["ratio"], **what}
    for key, labels in (("by_n", labels_of_n), ("by_end_fragment", labels_of_ends)):
        if key in results:
            wanted[key] = by_label(results, sums, labels)
    return wanted


def impossible(part: str, keys: list[str], sums: np.ndarray) -> list[str]:
    """Molecule sums that no forces and energies have, a line a molecule."""
    if not len(keys):
        return [f"molecule_sums/{part} are empty"]
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
    return [f"molecule_sums/{part}/{key} {what}" for key, what in found.items()]


SIGNED = ("cosine", "weighted_cosine", "energy_error")
"""Sums that may be below zero."""


def molecule_problems(stated: Mapping[str, Any], part: str, keys: list[str], sums: np.ndarray) -> list[str]:
    """What is wrong with ``by_molecule``: other molecules, other numbers, other identities than the registry's."""
    if set(stated) != set(keys):
        return [f"by_molecule/{part} has other molecules than molecule_sums/{part}"]
    problems = []
    for key, row in zip(keys, sums, strict=True):
        where = f"by_molecule/{part}/{key}"
        values = {name: Estimate(finite(value)) for name, value in metrics_from_sums(row).items()}
        problems += differences(section(values, counts_of(row[None])), stated[key], where)
        low, middle, high = (stated[key]["force_mae_frames"][name] for name in ("p05", "p50", "p95"))
        if not 0 <= low <= middle <= high < np.inf:
            problems.append(f"{where}/force_mae_frames do not ascend")
        known = registered(key)
        for name in IDENTITY if known is not None else ():
            right = getattr(known, name)
            right = list(right) if isinstance(right, tuple) else right
            if stated[key][name] != right:
                problems.append(f"{where}/{name} is {stated[key][name]!r}, the registry says {right!r}")
    return problems


def registered(inchikey: str) -> Any:
    """The molecule of the registry; None where there is none, or no RDKit."""
    try:
        return registry_by_inchikey().get(inchikey)
    except CompBenchError:
        return None


def largest_molecules(stated: Mapping[str, Any], keys: list[str]) -> tuple[np.ndarray, dict[str, Any]]:
    """Which molecules have the largest n (or most atoms), bool ``[n_molecules]``, and how results write that."""
    by_n = all(stated[key]["n"] is not None for key in keys)
    size = np.array([stated[k]["n"] if by_n else stated[k]["n_atoms"] // stated[k]["n_frames"] for k in keys])
    largest = size == size.max()
    names = [stated[key]["name"] for key, is_largest in zip(keys, largest, strict=True) if is_largest]
    return largest, {"id_molecules": names, "n" if by_n else "atoms": int(size.max())}


def labels_of_n(molecule: Mapping[str, Any]) -> list[str]:
    """The label of a molecule in ``by_n``."""
    return [] if molecule["n"] is None else [str(molecule["n"])]


def labels_of_ends(molecule: Mapping[str, Any]) -> list[str]:
    """The labels of a molecule in ``by_end_fragment``."""
    return list(dict.fromkeys(molecule["ends"] or ()))


def by_label(
    results: Mapping[str, Any], sums: Sums, labels: Callable[[Mapping[str, Any]], Iterable[Hashable]]
) -> dict[str, Any]:
    """A breakdown by labels of molecules as results hold it."""
    found: dict[str, Any] = {}
    for part, (keys, rows) in sums.items():
        own = [list(labels(results["by_molecule"][part][key])) for key in keys]
        found[part] = {}
        for label in dict.fromkeys(label for item in own for label in item):
            chosen = rows[[label in item for item in own]]
            found[part][label] = section(estimates(chosen, metrics_from_sums), counts_of(chosen))
    return found


def breakdown_problems(results: Mapping[str, Any], sums: Sums) -> list[str]:
    """Breakdowns by atom or frame whose parts do not add up to the set, or hold impossible numbers."""
    problems = []
    for key, parts in (*WHOLE_SETS, ("by_ch2", PARTS)):
        for part in parts:
            found = results.get(key, {}).get(part)
            if not found:
                continue
            of = dict(zip(SUM_COLUMNS, sums[part][1].sum(axis=0), strict=True))
            atoms = sum(block["n_atoms"] for block in found.values())
            total = sum(3 * block["n_atoms"] * (block["force_mae"]["value"] or 0.0) for block in found.values())
            where = f"{key}/{part}"
            if atoms > of["atoms"] or (key != "by_ch2" and atoms != of["atoms"]):
                problems.append(f"{where} has {atoms} atoms, the set {of['atoms']:.0f}")
            elif not agree(total, of["abs_force"]) and (atoms == of["atoms"] or total > of["abs_force"]):
                problems.append(f"{where}: the force_mae of its parts do not add up to that of the set")
            for label, block in found.items():
                for metric, item in block.items():
                    if isinstance(item, dict) and not in_order(item):
                        problems.append(f"{where}/{label}/{metric}: its interval is around another value")
    return problems


def in_order(item: Mapping[str, Any]) -> bool:
    """Whether the bounds of an interval, where there are any, are around its value."""
    low, value, high = (item[key] for key in ("low", "value", "high"))
    if low is None or high is None:
        return low is high
    return value is not None and low * (1 - np.sign(low) * AGREEMENT) <= value <= high * (1 + np.sign(high) * AGREEMENT)


def differences(wanted: Mapping[str, Any], stated: Mapping[str, Any], where: str) -> list[str]:
    """Numbers of a block that are not the recomputed ones, and metrics that cannot be recomputed, a line each."""
    problems = []
    for key, right in wanted.items():
        found = stated.get(key)
        if isinstance(right, dict):
            if isinstance(found, dict):
                problems += differences(right, found, f"{where}/{key}")
            else:
                problems.append(f"{where}/{key} is missing")
        elif found != right and not agree(found, right):
            problems.append(f"{where}/{key} is {found!r}, its molecule sums give {right!r}")
    more = [key for key, item in stated.items() if key not in {*wanted, "force_mae_frames"} and isinstance(item, dict)]
    return problems + [f"{where}/{key} does not follow from the molecule sums" for key in more]


def agree(a: Any, b: Any) -> bool:
    """Whether two numbers are the same up to their rounding."""
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)):
        return False
    return bool(abs(a - b) <= AGREEMENT * abs(b) + SMALLEST)
