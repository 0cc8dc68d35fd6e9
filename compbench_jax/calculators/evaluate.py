"""Evaluation of any calculator on a split: the same metrics and results as those of a run."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.calculators.log import PredictionLog, write_failures
from compbench_jax.calculators.pool import Outcome, Timeouts, WorkerPool, failure
from compbench_jax.calculators.process import Job
from compbench_jax.calculators.spec import CalculatorSpec
from compbench_jax.errors import RunError
from compbench_jax.evaluation.assemble import most_common
from compbench_jax.evaluation.evaluate import Evaluation, chosen_frames, evaluation_of
from compbench_jax.evaluation.model_under_test import ModelUnderTest
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.score import WORDS, score
from compbench_jax.evaluation.settings import Settings
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class Work:
    """How to compute, which changes no result.

    Attributes:
        folder: for predictions, progress and logs.
        workers: processes at once.
        timeouts: of a frame and of the start.
        retry: try frames again that failed before.
    """

    folder: Path
    workers: int = 1
    timeouts: Timeouts = field(default_factory=Timeouts)
    retry: bool = False


def evaluate_calculator(
    spec: CalculatorSpec,
    store: FrameStore,
    split: Split,
    work: Work,
    settings: Settings | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Evaluation:
    """Predict both test sets and a sample of train frames, and compute everything that ``results.json`` holds.

    Args:
        spec: the calculator.
        store: where the frames are.
        split: which frames test; train frames serve the per-element fit of the energy errors.
        work: how to compute. A folder that holds some of these predictions already saves their computation.
        settings: bootstrap and samples.
        progress: called with the number of frames done, and of frames in all.

    Raises:
        RunError: the calculator does not start, or computes no frame of a set; or the folder is of another one.
    """
    settings = settings or Settings()
    indices = chosen_frames(store, split, settings)
    log = compute(spec, store, np.concatenate(list(indices.values())), work, progress)
    names = {frame: store.graphs[store.molecule[frame]].molecule.name for frame in log.outcomes}
    write_failures(work.folder / "failed.tsv", log.outcomes.values(), names)
    predictions = {part: predicted(log, store, part, frames) for part, frames in indices.items()}
    found = score(store, indices, predictions)
    tested = ModelUnderTest(
        spec.name,
        0,
        {
            "task": split.task,
            "data_hash": store.hash,
            "preset": spec.name,
            "seed": 0,
            "model": {**spec.record(), "environment": log.environment, "files": log.file_names()},
            "max_frames": settings.max_frames,
        },
        more={
            "levels": levels(store, level_text(store.manifest.level) if spec.labels else spec.level),
            "energy_shifts": {
                "per_element": {chemical_symbols[z]: shift for z, shift in found.shifts.items()},
                "unit": "eV",
                "fitted_on_train_frames": found.fit_frames,
                "rank": found.rank,
            },
            "seconds_per_frame": float(np.median([item.seconds for item in log.outcomes.values() if not item.reason])),
        },
    )
    reasons = {frame: item.reason for frame, item in log.outcomes.items() if item.reason}
    return evaluation_of(found, tested, store, split, indices, predictions, settings.seed, reasons)


def compute(
    spec: CalculatorSpec,
    store: FrameStore,
    frames: np.ndarray,
    work: Work,
    progress: Callable[[int, int], Any] | None = None,
) -> PredictionLog:
    """Outcomes of these frames of a store, those that are missing in the folder computed now.

    Raises:
        RunError: as :func:`evaluate_calculator`.
    """
    work.folder.mkdir(parents=True, exist_ok=True)
    identity = {"calculator": spec.record(), "data": store.hash}
    log = PredictionLog(work.folder, identity, work.retry, spec.named_files())
    wanted = list(dict.fromkeys(int(frame) for frame in frames))
    todo = [frame for frame in wanted if frame not in log.outcomes]
    done = len(wanted) - len(todo)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, len(wanted))

    advance(0)
    jobs, refused = make_jobs(spec, store, todo)
    log.follow(refused, advance)
    if jobs:
        pool = WorkerPool(spec, work.workers, work.folder, work.timeouts, log.claim)
        log.follow(pool.run(jobs), advance)
    log.outcomes = {frame: log.outcomes[frame] for frame in wanted}
    return log


def make_jobs(spec: CalculatorSpec, store: FrameStore, frames: list[int]) -> tuple[list[Job], list[Outcome]]:
    """Jobs for frames, and outcomes of those with an element that the calculator is known not to know."""
    jobs, refused = [], []
    for frame in frames:
        molecule = int(store.molecule[frame])
        numbers = store.graphs[molecule].numbers
        unknown = [] if spec.elements is None else sorted(set(numbers.tolist()) - set(spec.elements))
        if unknown:
            symbols = ", ".join(chemical_symbols[z] for z in unknown)
            refused.append(failure(frame, f"{spec.name} does not know {symbols}"))
            continue
        rows = slice(int(store.offsets[frame]), int(store.offsets[frame + 1]))
        info, arrays = dict(spec.info), {}
        if spec.labels:
            info |= {"frame": frame, "label_energy": float(store.energy[frame])}
            arrays["label_forces"] = np.array(store.forces[rows], np.float64)
        jobs.append(Job(frame, molecule, numbers, np.array(store.positions[rows], np.float64), info, arrays))
    return jobs, refused


def predicted(log: PredictionLog, store: FrameStore, part: str, indices: np.ndarray) -> Predictions:
    """Predictions of one set, NaN for frames that were not computed.

    Raises:
        RunError: none was.
    """
    outcomes = [log.outcomes[int(i)] for i in indices]
    reasons = [item.reason for item in outcomes]
    if all(reasons):
        raise RunError(
            f"the calculator computed none of the {len(indices)} {WORDS[part]} frames ({most_common(reasons)}): "
            f"see {log.folder}"
        )
    n_atoms = store.gather(indices).n_atoms
    forces = [
        np.full((n, 3), np.nan, np.float32) if item.reason else np.asarray(item.forces, np.float32)
        for item, n in zip(outcomes, n_atoms, strict=True)
    ]
    energy = np.array([np.nan if item.reason else item.energy for item in outcomes], np.float64)
    return Predictions(energy, np.concatenate(forces))


def level_text(level: Mapping[str, Any]) -> str:
    """The level of a manifest in words: method, and basis where there is one."""
    return str(level.get("method")) + (f"/{level['basis']}" if level.get("basis") else "")


def levels(store: FrameStore, level: str | None) -> dict[str, Any]:
    """Level of theory of the labels and of a calculator, and whether they are the same (None: nobody said)."""
    labels = level_text(store.manifest.level)

    def plain(text: str) -> str:
        return re.sub(r"[\s_()-]+", "", text).casefold()

    same = None if level is None else plain(level) in (plain(labels), plain(labels.split("/")[0]))
    return {"labels": labels, "calculator": level, "same": same}
