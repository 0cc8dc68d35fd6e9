"""What several results say together, for tables and figures: few-shot curves, priors, pairs, divergences, energies,
ensembles.
"""

import math
import re
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scipy.stats import spearmanr

from compbench_jax.report.findings_material import Material
from compbench_jax.report.leaderboard import Row
from compbench_jax.report.receptive_field import read_audit
from compbench_jax.report.table import is_marked
from compbench_jax.splits.roles import inner_task

FEWEST = 3
"""Splits that a rank correlation needs at least."""


@dataclass(frozen=True, eq=False)
class Shots:
    """A potential trained on more and more labelled frames of the OOD molecules.

    Attributes:
        task: without them.
        model: name of the potential.
        rows: by ascending number of frames of each OOD molecule.
        zero: of the task itself; None where it is not there.
        oracle: of the oracle, which has all primary frames; likewise.
    """

    task: str
    model: str
    rows: dict[int, Row]
    zero: Row | None
    oracle: Row | None


def shots(found: Material) -> list[Shots]:
    """Few-shot curves, by task and potential."""
    curves: dict[tuple[str, str], dict[int, Row]] = {}
    for row in found.others:
        frames = re.search(r",frames=(\d+)\)$", row.task)
        if frames and row.task.startswith("few_shot("):
            curves.setdefault((inner_task(row.task), row.model), {})[int(frames[1])] = row
    known = {(row.task, row.model): row for row in (*found.rows, *found.others)}
    return [
        Shots(task, model, dict(sorted(rows.items())), known.get((task, model)), known.get((f"oracle({task})", model)))
        for (task, model), rows in curves.items()
    ]


def priors(found: Material) -> list[tuple[Row, Row]]:
    """The same preset on the same task, without and with a prior."""
    trained = [row for row in found.rows if row.kind == "trained"]
    plain = {(row.task, setting(row, "preset")): row for row in trained if not has_prior(row)}
    pairs = ((plain.get((row.task, setting(row, "preset"))), row) for row in trained)
    return [(without, row) for without, row in pairs if without is not None and without is not row]


def has_prior(row: Row) -> bool:
    """Whether a row is of a potential with a prior."""
    return setting(row, "prior") not in (None, "none")


def setting(row: Row, name: str) -> Any:
    """A setting of the training run of a row."""
    return row.group.runs[0]["config"].get(name)


def paired(found: Material) -> list[tuple[Row, Row]]:
    """The same potential on the same data, trained on the molecules of a task alone and in close pairs, too."""
    of = {(row.task, row.model, row.group.runs[0]["data"]): row for row in found.rows}
    pairs = (
        (of.get((inner_task(row.task), row.model, row.group.runs[0]["data"])), row)
        for row in found.others
        if row.task.startswith("contacts(")
    )
    return [(alone, row) for alone, row in pairs if alone is not None]


@dataclass(frozen=True, eq=False)
class Divergence:
    """A split, and the potentials trained on it.

    Attributes:
        task: name of the task or of its random control.
        random: whether it is a random split.
        by_radius: compound divergence D_C of the atom environments, by radius in bonds.
        rows: of the trained potentials, those with a prior left out: only some tasks have them.
    """

    task: str
    random: bool
    by_radius: dict[int, float]
    rows: list[Row]

    @property
    def ratios(self) -> list[float]:
        """OOD / ID of the force MAE of each potential."""
        return [value for row in self.rows if (value := row.estimate("ratio").value) is not None]


def divergences(found: Material) -> list[Divergence]:
    """Tasks and their random controls with an audit, by ascending divergence at radius 0, 1, …"""
    splits: dict[str, Divergence] = {}
    for row in (*found.rows, *found.others):
        random = row.task.startswith("control_random(")
        if row.kind != "trained" or has_prior(row) or (row in found.others and not random):
            continue
        if row.task not in splits:
            audit = next((a for s in row.sources if (a := read_audit(s.folder, s.results)) is not None), None)
            profile = {item["radius"]: item["compound_divergence"] for item in audit["profile"]} if audit else {}
            splits[row.task] = Divergence(row.task, random, profile, [])
        splits[row.task].rows.append(row)
    known = [item for item in splits.values() if item.by_radius and item.ratios]
    return sorted(known, key=lambda item: list(item.by_radius.values()))


def rank_correlations(splits: list[Divergence]) -> dict[int, float]:
    """Rank correlation over splits of D_C with the median OOD / ID, by radius; empty for fewer than three splits."""
    if len(splits) < FEWEST:
        return {}
    medians = [statistics.median(item.ratios) for item in splits]
    return {
        radius: float(spearmanr([item.by_radius[radius] for item in splits], medians).statistic)
        for radius in splits[0].by_radius
    }


def energy_ratios(found: Material) -> list[tuple[Row, float, float, bool]]:
    """OOD / ID of the energy MAE per atom of the potentials trained here: row, raw, centred, whether marked: training
    does not determine the total energies.
    """
    points = []
    for row in found.rows:
        names = ("energy_mae_raw_per_atom", "energy_mae_centred_per_atom")
        raw, centred = (row.estimate("ratio", name).value for name in names)
        if row.kind == "trained" and raw and centred:
            points.append((row, raw, centred, is_marked(row.group.runs[0], names[0])))
    return points


def directions(found: Material) -> list[tuple[Row, list[float], list[float]]]:
    """Errors of the potentials trained here, ID and OOD: of the magnitude (eV/Å), and of the direction (degrees).

    The error of the direction is the angle whose cosine is the mean cosine between predicted and reference force.
    """
    rows = []
    for row in found.rows:
        sizes, cosines = (
            [value for part in ("id", "ood") if (value := row.estimate(part, name).value) is not None]
            for name in ("force_magnitude_mae", "force_cosine")
        )
        if row.kind == "trained" and len(sizes) == len(cosines) == 2:
            rows.append((row, sizes, [math.degrees(math.acos(min(max(value, -1.0), 1.0))) for value in cosines]))
    return rows


def ensembles(found: Material) -> list[tuple[Row, Mapping[str, Any]]]:
    """Rows of runs of several seeds, and what their results say of the ensemble's standard deviation."""
    blocks = ((row, [source.results.get("members", {}).get("uncertainty") for source in row.sources])
              for row in found.rows if row.kind in ("trained", "fine-tuned"))  # fmt: skip
    return [(row, known[0]) for row, all_blocks in blocks if (known := [block for block in all_blocks if block])]
