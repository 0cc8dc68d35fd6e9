"""The typed result of an evaluation. It holds who was tested on what, and sums of errors by name.

Everything else is derived when it is read (:mod:`compbench_jax.evaluation.derived`): metrics, intervals, ratios.
So a stored result stays valid when a metric is added, and no stored number can contradict another.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.splits.roles import Role

FORMAT, VERSION = "compbench-results", 2
PARTS = ("id", "ood")
DIGITS, GROUP_DIGITS, FRAME_DIGITS = 9, 6, 4
"""Significant digits of stored sums: of whole molecules, of groups, and of the quantiles over frames."""

Row = list[float | None]
"""A row of sums; None where a sum is not defined or of a version without the column."""

Kind = Literal["trained", "fine-tuned", "zero-shot", "baseline", "foreign"]


class MoleculeResult(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A molecule of a test set.

    Attributes:
        inchikey: standard InChIKey.
        name: in words.
        smiles: canonical.
        family: ``"alkane"``; None outside the registry.
        n: carbons of the chain; None outside the registry.
        ends: end fragments; None outside the registry.
        groups: by breakdown of molecules the groups that it is in, e.g. ``{"ch2": ["3"]}``; those by n and ends follow.
        force_mae_frames: 5%, 50% and 95% quantiles over its frames of their force MAE, eV/Å.
    """

    inchikey: str
    name: str
    smiles: str
    family: str | None = None
    n: int | None = None
    ends: list[str] | None = None
    groups: dict[str, list[str]] = {}
    force_mae_frames: list[float | None] = []


class SetResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of the two test sets.

    Attributes:
        molecules: that were tested.
        sums: of each molecule, ``[n_molecules][n_frame_columns]``.
        groups: breakdowns of atoms or frames: ``groups[breakdown][group][index of the molecule]`` is a row, of atom
            columns or of frame columns.
    """

    molecules: list[MoleculeResult]
    sums: list[Row]
    groups: dict[str, dict[str, dict[int, Row]]] = {}


class Columns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names of sums: of a row over atoms, and of a row over frames."""

    atoms: list[str]
    frames: list[str]


class Trained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was trained on: InChIKeys, and the n that occur."""

    n: list[int]
    n_molecules: int
    n_frames: int
    molecules: list[str]


class Result(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="format",
    tag=FORMAT,
):
    """An evaluation of one potential on one task.

    Attributes:
        version: of the format, ``VERSION``.
        task: canonical name, e.g. ``"oracle(fragment_duplication[COOH])"``.
        role: of the task in an experiment.
        kind: how the potential came to be.
        model: name of the preset or calculator.
        seed: of the training; 0 for a foreign calculator.
        data: hash of the data set's manifest.
        date: UTC, ISO 8601.
        checkpoint_step: optimiser step of the parameters.
        columns: names of the sums.
        id: the in-distribution test set.
        ood: the out-of-distribution test set.
        train: what was trained on.
        fit_frames: training frames in the per-element fit of the energy errors.
        unidentifiable: OOD molecules whose total energies the training compositions do not determine.
        config: of the training run or calculator.
        versions: of python and the packages.
        hardware: that computed.
        parameters: number of trained parameters.
        seconds_per_frame: of a calculator, median.
        levels: of theory, of labels and calculator.
        energy_shifts: per element, of a calculator.
        partial: frames that a calculator did not compute, and why.
        members: of a run of several seeds, the others.
        last_layer: scores of the standard deviation of the energies from the last layer, if asked for.
        damaged_checkpoints: that were passed over.
    """

    version: int
    task: str
    role: Role
    kind: Kind
    model: str
    seed: int
    data: str
    date: str
    checkpoint_step: int | None = None
    columns: Columns
    id: SetResult
    ood: SetResult
    train: Trained
    fit_frames: int = 0
    unidentifiable: list[str] = []
    config: dict[str, Any]
    versions: dict[str, str | None]
    hardware: dict[str, Any]
    parameters: int | None = None
    seconds_per_frame: float | None = None
    levels: dict[str, Any] | None = None
    energy_shifts: dict[str, Any] | None = None
    partial: dict[str, Any] | None = None
    members: dict[str, Any] | None = None
    last_layer: dict[str, Any] | None = None
    damaged_checkpoints: list[Any] = []


def stored_row(values: Iterable[float | None], digits: int) -> Row:
    """A row as it is stored: rounded, None for what is not finite."""
    return [None if value is None else _stored(float(value), digits) for value in values]


def _stored(value: float, digits: int) -> float | None:
    if not math.isfinite(value):
        return None
    return float(f"{value:.{digits - 1}e}")


def checked(content: dict[str, Any], file: Path) -> Result:
    """The result, its types and sizes checked.

    Raises:
        RunError: says where and what is wrong.
    """
    try:
        result = msgspec.convert(content, Result, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise RunError(f"{file}: {error}: rerun evaluate.py for this run") from error
    problem = next(iter(size_problems(result)), None)
    if problem:
        raise RunError(f"{file}: {problem}: rerun evaluate.py for this run")
    return result


def size_problems(result: Result) -> list[str]:
    """Rows of another length than their columns, of molecules that are not there, or molecules listed twice."""
    problems = []
    lengths = {len(result.columns.atoms), len(result.columns.frames)}
    for part in PARTS:
        tested: SetResult = getattr(result, part)
        n = len(tested.molecules)
        if not n:
            problems.append(f"{part} has no molecules")
        if len({molecule.inchikey for molecule in tested.molecules}) < n:
            problems.append(f"{part} has a molecule twice")
        if len(tested.sums) != n or any(len(row) != len(result.columns.frames) for row in tested.sums):
            problems.append(f"{part}/sums are not one row of {len(result.columns.frames)} columns per molecule")
        for breakdown, groups in tested.groups.items():
            for group, rows in groups.items():
                if any(not 0 <= index < n for index in rows) or any(len(row) not in lengths for row in rows.values()):
                    problems.append(f"{part}/groups/{breakdown}/{group} has a row of no molecule or of another length")
    return problems


def by_name(rows: Sequence[Row], names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Rows with the columns of this version, float64 ``[n_rows, n_columns]``; NaN where a column is not there."""
    array = np.array(rows, np.float64).reshape(len(rows), -1)
    names = names[: array.shape[1]]
    place = {name: index for index, name in enumerate(names)}
    absent = np.full(len(rows), np.nan)
    return np.stack([array[:, place[name]] if name in place else absent for name in columns], axis=-1)
