"""Comparing models at the same ID error, from their training curves.

The ratio OOD/ID grows as training goes on, so two models with different ID errors are not compared by it
alone. Here the OOD error of each is read off its own curve at the lowest ID error that both have reached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.training.log import read_log

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

    A step logged twice (a run that was resumed) counts once, with its last entry; damaged lines are left out, see
    :func:`compbench_jax.training.log.read_log`.

    Raises:
        DataError: the log cannot be read.
        RunError: no log, or no monitored errors in it.
    """
    path = Path(run) / LOG
    if not path.exists():
        raise RunError(f"{path} cannot be read (there is none): give the folder of a run that train.py wrote")
    points: dict[int, tuple[float, float]] = {}
    for entry in read_log(path):
        own, ood = entry.get(ID_KEY), entry.get(OOD_KEY)
        if isinstance(own, int | float) and isinstance(ood, int | float):
            points[entry["step"]] = float(own), float(ood)
    if not points:
        raise RunError(f"{path} holds no {ID_KEY} and {OOD_KEY}: train with monitoring of both test sets")
    steps = sorted(points)
    return Curve(np.array(steps), np.array([points[s][0] for s in steps]), np.array([points[s][1] for s in steps]))


@dataclass(frozen=True)
class Crossing:
    """Where a run reaches an ID error: its OOD force MAE there, eV/Å, and the (interpolated) training step."""

    ood: float
    step: float


@dataclass(frozen=True)
class Matched:
    """OOD errors of several runs at one ID error.

    Attributes:
        id: the common ID force MAE, eV/Å.
        crossings: of each run, in their order; None: it was below from its first evaluation on.
    """

    id: float
    crossings: tuple[Crossing | None, ...]


def match(curves: Sequence[Curve]) -> Matched | None:
    """OOD errors at the lowest ID error that every run has reached; None where fewer than two runs pass it."""
    if not curves:
        return None
    common = max(float(curve.id.min()) for curve in curves)
    crossings = tuple(_crossing(curve, common) for curve in curves)
    return Matched(common, crossings) if sum(item is not None for item in crossings) > 1 else None


def _crossing(curve: Curve, common: float) -> Crossing | None:
    """The first moment at which the ID error falls to this one, linear in it between the evaluations around."""
    after = int(np.argmax(curve.id <= common))
    if after == 0:
        return Crossing(float(curve.ood[0]), float(curve.step[0])) if curve.id[0] == common else None
    before = after - 1
    share = (curve.id[before] - common) / (curve.id[before] - curve.id[after])
    ood, step = (float(x[before] + share * (x[after] - x[before])) for x in (curve.ood, curve.step))
    return Crossing(ood, step)
