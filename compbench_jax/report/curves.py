"""Comparing models at the same ID error, from their training curves.

The ratio OOD/ID grows as training goes on, so two models with different ID errors are not compared by it
alone. Here the OOD error of each is read off its own curve at the lowest ID error that both have reached.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.errors import RunError

LOG = "log.jsonl"
ID_KEY, OOD_KEY = "monitor_id_force_mae", "monitor_ood_force_mae"


@dataclass(frozen=True, eq=False)
class Curve:
    """Force MAE (eV/Å) of a run on its ID and OOD monitor frames as training went on; steps ascend."""

    step: np.ndarray
    id: np.ndarray
    ood: np.ndarray


def read_curve(run: str | Path) -> Curve:
    """The monitored errors of a run, from ``RUN/log.jsonl``.

    A step logged twice (a run that was resumed) counts once, with its last entry; a torn last line is left
    out.

    Raises:
        RunError: no log, or no monitored errors in it.
    """
    path = Path(run) / LOG
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RunError(
            f"{path} cannot be read ({error.strerror}): give the folder of a run that train.py wrote"
        ) from error
    points: dict[int, tuple[float, float]] = {}
    for line in lines:
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(entry, dict) or entry.get(ID_KEY) is None or entry.get(OOD_KEY) is None:
            continue
        point = float(entry[ID_KEY]), float(entry[OOD_KEY])
        if np.isfinite(point).all():
            points[int(entry["step"])] = point
    if not points:
        raise RunError(f"{path} holds no {ID_KEY} and {OOD_KEY}: train with monitoring of both test sets")
    steps = sorted(points)
    return Curve(np.array(steps), np.array([points[s][0] for s in steps]), np.array([points[s][1] for s in steps]))


@dataclass(frozen=True)
class Matched:
    """OOD errors of several runs at one ID error.

    Attributes:
        id: the common ID force MAE, eV/Å.
        ood: each run's OOD force MAE there, eV/Å.
        step: the (interpolated) training step at which each run reached it.
    """

    id: float
    ood: tuple[float, ...]
    step: tuple[float, ...]


def match(curves: Sequence[Curve]) -> Matched | None:
    """OOD errors at the lowest ID error that every run has reached; None where the curves share no ID error.

    Each run is read at the first moment its ID error falls to the common one, interpolated linearly in the ID
    error between the two evaluations around it.
    """
    common = max(float(curve.id.min()) for curve in curves)
    ood, step = [], []
    for curve in curves:
        after = int(np.argmax(curve.id <= common))
        if after == 0:
            if curve.id[0] < common:
                return None
            ood.append(float(curve.ood[0]))
            step.append(float(curve.step[0]))
            continue
        before = after - 1
        share = (curve.id[before] - common) / (curve.id[before] - curve.id[after])
        ood.append(float(curve.ood[before] + share * (curve.ood[after] - curve.ood[before])))
        step.append(float(curve.step[before] + share * (curve.step[after] - curve.step[before])))
    return Matched(common, tuple(ood), tuple(step))
