"""Metrics, intervals, ratios and breakdowns of a result, derived from its sums when they are asked for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from compbench_jax.evaluation.blocks import section
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Breakdown, in_order
from compbench_jax.evaluation.intervals import Comparison, Estimate, compare_sets, measure
from compbench_jax.evaluation.result import PARTS, MoleculeResult, Result, SetResult, by_name
from compbench_jax.evaluation.result_file import read_result
from compbench_jax.metrics.aggregate import SCORES, SUM_COLUMNS, metrics_from_sums
from compbench_jax.metrics.definitions import metrics_of
from compbench_jax.metrics.sums import ATOM_COLUMNS

QUANTILES = ("p05", "p50", "p95")


@dataclass(frozen=True, eq=False)
class GroupSums:
    """Sums of a group by molecule.

    Attributes:
        molecules: their indices into the test set.
        sums: ``[n_molecules, n_columns]``.
        columns: names of the columns.
    """

    molecules: list[int]
    sums: np.ndarray
    columns: tuple[str, ...]


class Derived(Mapping[str, Any]):
    """A result with everything that follows from it, by name; a value is computed when it is first asked for.

    Attributes:
        result: what is stored.
    """

    def __init__(self, result: Result):
        self.result = result
        self._sums: dict[str, np.ndarray] = {}
        self._makers: dict[str, Callable[[], Any]] = {
            **{name: partial(self._block, name) for name in (*PARTS, "ratio")},
            "ratio_largest_id": self._ratio_largest_id,
            **{f"by_{name}": partial(self._breakdown, item) for name, item in BREAKDOWNS.items() if self._has(item)},
            "by_molecule": lambda: {part: self._molecules(part) for part in PARTS},
            "train": lambda: msgspec.to_builtins(result.train),
        }
        stored = {name: getattr(result, name) for name in result.__struct_fields__}
        absent = ("partial", "members", "last_layer", "levels", "energy_shifts", "seconds_per_frame", "parameters")
        self._values: dict[str, Any] = {
            name: value
            for name, value in stored.items()
            if name not in (*PARTS, "train", "columns") and not (name in absent and value is None)
        }

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self._makers[name]()
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._values, *self._makers]))

    def __len__(self) -> int:
        return len({*self._values, *self._makers})

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self._makers

    def replaced(self, **changes: Any) -> "Derived":
        """The same with other stored values: ``replaced(model="MACE")``."""
        return Derived(msgspec.structs.replace(self.result, **changes))

    def inchikeys(self, part: str) -> list[str]:
        """Of the molecules of a test set, in their order."""
        return [molecule.inchikey for molecule in self.tested(part).molecules]

    def tested(self, part: str) -> SetResult:
        """One of the two test sets."""
        found: SetResult = getattr(self.result, part)
        return found

    def sums(self, part: str) -> np.ndarray:
        """Sums of each molecule, ``[n_molecules, len(SUM_COLUMNS)]``."""
        if part not in self._sums:
            self._sums[part] = by_name(self.tested(part).sums, self.result.columns.frames, SUM_COLUMNS)
        return self._sums[part]

    def comparison(self) -> Comparison:
        """ID, OOD and ratio of all metrics."""
        if "comparison" not in self._values:
            self._values["comparison"] = comparison(self.sums("id"), self.sums("ood"))
        found: Comparison = self._values["comparison"]
        return found

    def _block(self, name: str) -> dict[str, Any]:
        counts = [counts_of(self.sums(part)) for part in PARTS]
        both = {key: counts[0][key] + counts[1][key] for key in counts[0]}
        chosen = {"id": counts[0], "ood": counts[1], "ratio": both}[name]
        return section(getattr(self.comparison(), name).estimates(), chosen)

    def _ratio_largest_id(self) -> dict[str, Any]:
        """The ratio against the largest ID molecules only, since small ones are easy and flatter the ratio."""
        molecules, inside, outside = self.tested("id").molecules, self.sums("id"), self.sums("ood")
        by_n = all(molecule.n is not None for molecule in molecules)
        atoms = np.rint(inside[:, SUM_COLUMNS.index("atoms")] / inside[:, SUM_COLUMNS.index("frames")])
        size = np.array([molecule.n for molecule in molecules], np.float64) if by_n else atoms
        largest = size == size.max()
        sets = comparison(inside[largest], outside)
        counts = [counts_of(item) for item in (inside[largest], outside)]
        return {
            **section(sets.ratio.estimates(), {key: counts[0][key] + counts[1][key] for key in counts[0]}),
            "id_molecules": [molecule.name for molecule, chosen in zip(molecules, largest, strict=True) if chosen],
            "n" if by_n else "atoms": int(size.max()),
        }

    def _has(self, item: Breakdown) -> bool:
        return any(self.groups(item, part) for part in item.sets)

    def groups(self, item: Breakdown, part: str) -> list[str]:
        """Groups of a breakdown that a test set has, in the order to show them."""
        tested = self.tested(part)
        if item.of == "molecules":
            return in_order(item, [group for m in tested.molecules for group in groups_of(item, m)])
        finer = tested.groups.get(item.name if item.merged is None else item.merged[0], {})
        return in_order(item, [_joint(item, group) for group in finer])

    def group_sums(self, item: Breakdown, part: str, group: str) -> GroupSums:
        """Sums of the molecules that are in a group, or have atoms or frames in it."""
        tested, columns = self.tested(part), self.result.columns
        if item.of == "molecules":
            chosen = [k for k, m in enumerate(tested.molecules) if group in groups_of(item, m)]
            return GroupSums(chosen, self.sums(part)[chosen], SUM_COLUMNS)
        names, ours = (columns.atoms, ATOM_COLUMNS) if item.of == "atoms" else (columns.frames, SUM_COLUMNS)
        finer = tested.groups[item.name if item.merged is None else item.merged[0]]
        total: dict[int, np.ndarray] = {}
        for name, rows in finer.items():
            if _joint(item, name) == group:
                for index, row in zip(rows, by_name(list(rows.values()), names, ours), strict=True):
                    total[index] = total.get(index, 0.0) + row
        chosen = sorted(total)
        return GroupSums(chosen, np.array([total[index] for index in chosen]), ours)

    def _breakdown(self, item: Breakdown) -> dict[str, Any]:
        return {
            part: {group: self._group(item, part, group) for group in self.groups(item, part)} for part in item.sets
        }

    def _group(self, item: Breakdown, part: str, group: str) -> dict[str, Any]:
        found = self.group_sums(item, part, group)
        measured = measure(found.sums, partial(metrics_of, columns=found.columns), SCORES, "all")
        frames = self.sums(part)[found.molecules][:, SUM_COLUMNS.index("frames")].sum()
        return section(measured.estimates(), {**counts_of(found.sums, found.columns), "n_frames": round(frames)})

    def _molecules(self, part: str) -> dict[str, Any]:
        blocks = {}
        for molecule, sums in zip(self.tested(part).molecules, self.sums(part), strict=True):
            values = {name: Estimate(finite(value)) for name, value in metrics_from_sums(sums).items()}
            blocks[molecule.inchikey] = {
                "name": molecule.name,
                "smiles": molecule.smiles,
                "family": molecule.family,
                "n": molecule.n,
                "ends": molecule.ends,
                **section(values, counts_of(sums[None])),
                "force_mae_frames": dict(zip(QUANTILES, molecule.force_mae_frames, strict=False)),
            }
        return blocks


def read_results(path: str | Path) -> Derived:
    """A ``results.json``, given the file or the folder of its run, with all that follows from it.

    Raises:
        RunError: as :func:`compbench_jax.evaluation.result.read_result`.
    """
    return Derived(read_result(path))


def comparison(id_sums: np.ndarray, ood_sums: np.ndarray) -> Comparison:
    """ID, OOD and ratio of all metrics; sums ``[n_molecules, n_columns]``, or ``[n_runs, …]`` for several seeds."""
    return compare_sets(id_sums, ood_sums, metrics_from_sums, SCORES)


def groups_of(item: Breakdown, molecule: MoleculeResult) -> list[str]:
    """Groups of a breakdown of molecules that a molecule is in."""
    return molecule.groups.get(item.name, []) if item.described is None else item.described(molecule)


def _joint(item: Breakdown, group: str) -> str:
    """The group that a finer one belongs to."""
    words = group.split()
    return words[item.merged[1]] if item.merged and len(words) == 2 else group


def counts_of(sums: np.ndarray, columns: tuple[str, ...] | None = None) -> dict[str, int]:
    """What molecule sums ``[n_molecules, n_columns]`` were taken over."""
    total = dict(zip(columns or SUM_COLUMNS, sums.sum(axis=0), strict=True))
    return {
        "n_molecules": len(sums),
        "n_frames": round(total.get("frames", 0)),
        "n_atoms": round(total["atoms"]),
        "skipped_atoms": round(total["atoms"] - total["cosine_atoms"]),
    }


def finite(value: Any) -> float | None:
    """A number, or None where it is NaN or infinite."""
    return float(value) if np.isfinite(value) else None
