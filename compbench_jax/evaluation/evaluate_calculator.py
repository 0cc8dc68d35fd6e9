"""Evaluation of any calculator on a split: the same metrics and results as those of a run."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.batching.dataset import compositions
from compbench_jax.errors import RunError
from compbench_jax.evaluation.assemble import assemble
from compbench_jax.evaluation.breakdown import TestSet, same_molecules
from compbench_jax.evaluation.calculator_predictions import PredictionLog, write_failures
from compbench_jax.evaluation.calculator_spec import CalculatorSpec
from compbench_jax.evaluation.evaluate import TEST_PARTS, Evaluation, fit_sample, test_sample
from compbench_jax.evaluation.predict import Predictions
from compbench_jax.evaluation.results import NOTES
from compbench_jax.evaluation.settings import Settings
from compbench_jax.evaluation.showcase import showcase
from compbench_jax.evaluation.subject import Subject
from compbench_jax.evaluation.worker_pool import Outcome, Timeouts, WorkerPool, failure
from compbench_jax.evaluation.worker_process import Job
from compbench_jax.metrics.aggregate import centred_errors, complete_table, referenced_errors
from compbench_jax.metrics.sums import ENERGY_THRESHOLD, FORCE_THRESHOLD, FRAME_COLUMNS
from compbench_jax.models.normalisation import fit_reference_energies
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import Frames
from compbench_jax.store.store import FrameStore

CALCULATOR_NOTES = {
    "energy_mae_raw": "a calculator's zero of energy is its own: this compares zeros too, the other two do not",
    "energy_mae_referenced": "errors after a least-squares fit of the errors on train frames by one energy per "
    "element (energy_shifts) is taken out",
    "efwt": "of a calculator with its referenced energies, since its zero of energy is its own",
    "partial": "frames that the calculator could not compute are in no metric: do not compare with complete results",
}


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
    indices = {
        "id": test_sample(store, split.id_test, settings.max_frames),
        "ood": test_sample(store, split.ood_test, settings.max_frames),
        "fit": fit_sample(store, split.train, settings.fit_frames, settings.seed),
    }
    log = compute(spec, store, np.concatenate(list(indices.values())), work, progress)
    names = {frame: store.graphs[store.molecule[frame]].molecule.name for frame in log.outcomes}
    write_failures(work.folder / "failed.tsv", log.outcomes.values(), names)
    sets = {part: predicted(log, store, part, frames) for part, frames in indices.items()}

    elements = np.unique(np.concatenate([frames.numbers for _, frames, _ in sets.values()])).tolist()
    fit_errors = energy_errors(sets["fit"])
    fit_compositions = compositions(sets["fit"][1], elements)
    tests = {}
    for part in TEST_PARTS:
        _, frames, predictions = sets[part]
        errors = energy_errors(sets[part])
        referenced = referenced_errors(errors, compositions(frames, elements), fit_errors, fit_compositions)
        centred = centred_errors(errors, same_molecules(store.graphs)[frames.molecule])
        test = TestSet.build(store.graphs, frames, predictions.forces, np.zeros((frames.n_frames, 0)))
        table = frame_table(test, predictions.forces, errors, referenced)
        tests[part] = TestSet(frames, test.molecule, complete_table(table, referenced, centred), test.terms)

    shifts = fit_reference_energies(fit_compositions, fit_errors)
    subject = Subject(
        spec.name,
        0,
        {
            "task": split.task,
            "data_hash": store.hash,
            "preset": spec.name,
            "seed": 0,
            "model": {**spec.record(), "environment": log.environment},
            "max_frames": settings.max_frames,
        },
        more={
            "levels": levels(spec, store),
            "energy_shifts": {
                "per_element": {chemical_symbols[z]: shift for z, shift in zip(elements, shifts, strict=True)},
                "unit": "eV",
                "fitted_on_train_frames": len(fit_errors),
                "rank": int(np.linalg.matrix_rank(fit_compositions)),
            },
            "seconds_per_frame": float(np.median([item.seconds for item in log.outcomes.values() if not item.reason])),
            "notes": {**NOTES, **CALCULATOR_NOTES},
            **partial(log, store, indices),
        },
    )
    evaluated = replace(split, id_test=sets["id"][0], ood_test=sets["ood"][0])
    results, where = assemble(subject, store, evaluated, tests, settings.samples, settings.seed, len(fit_errors))
    outcome = {part: sets[part][2] for part in TEST_PARTS}
    frames_of = {part: sets[part][0] for part in TEST_PARTS}
    return Evaluation(results, outcome, frames_of, where, showcase(store, frames_of, outcome, settings.seed))


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
    log = PredictionLog(work.folder, {"calculator": spec.record(), "data": store.hash}, work.retry)
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


def predicted(
    log: PredictionLog, store: FrameStore, part: str, indices: np.ndarray
) -> tuple[np.ndarray, Frames, Predictions]:
    """Of one set the frames that were computed: store indices, labels, and predictions.

    Raises:
        RunError: there is none.
    """
    good = np.array([int(i) for i in indices if not log.outcomes[int(i)].reason], np.int64)
    if not len(good):
        reason = Counter(log.outcomes[int(i)].reason for i in indices).most_common(1)[0][0]
        words = {"id": "ID test", "ood": "OOD test", "fit": "train"}[part]
        raise RunError(
            f"the calculator computed none of the {len(indices)} {words} frames ({reason}): see {log.folder}"
        )
    outcomes = [log.outcomes[int(i)] for i in good]
    forces = np.concatenate([np.asarray(item.forces, np.float32) for item in outcomes])
    energy = np.array([item.energy for item in outcomes], np.float64)
    return good, store.gather(good), Predictions(energy, forces, np.zeros((len(good), 0), np.float32))


def energy_errors(item: tuple[np.ndarray, Frames, Predictions]) -> np.ndarray:
    """Ê − E of a set, eV float64 ``[n_frames]``."""
    return item[2].energy - item[1].energy


def frame_table(test: TestSet, forces: np.ndarray, errors: np.ndarray, referenced: np.ndarray) -> np.ndarray:
    """Per-frame sums, float64 ``[n_frames, len(COLUMNS)]``.

    Args:
        test: the frames with the terms of their atoms.
        forces: predicted, eV/Å ``[n_atoms, 3]``.
        errors: of the energies as they are, eV ``[n_frames]``.
        referenced: of the referenced energies, which the threshold is for, eV ``[n_frames]``.
    """
    starts = test.frames.offsets[:-1]
    largest = np.maximum.reduceat(np.abs(forces - test.frames.forces).max(axis=1), starts)
    columns = {
        "frames": np.ones(test.frames.n_frames),
        "energy_error": errors,
        "within_threshold": (np.abs(referenced) < ENERGY_THRESHOLD) & (largest < FORCE_THRESHOLD),
    }
    of_atoms = np.add.reduceat(test.terms, starts, axis=0)
    return np.concatenate([of_atoms, np.stack([columns[name] for name in FRAME_COLUMNS], axis=1)], axis=1)


def level_text(level: Mapping[str, Any]) -> str:
    """The level of a manifest in words: method, and basis where there is one."""
    return str(level.get("method")) + (f"/{level['basis']}" if level.get("basis") else "")


def levels(spec: CalculatorSpec, store: FrameStore) -> dict[str, Any]:
    """Level of theory of the labels and of the calculator, and whether they are the same (None: nobody said)."""
    labels = level_text(store.manifest.level)
    if spec.labels:
        return {"labels": labels, "calculator": labels, "same": True}

    def plain(text: str) -> str:
        return re.sub(r"[\s_()-]+", "", text).casefold()

    same = None if spec.level is None else plain(spec.level) in (plain(labels), plain(labels.split("/")[0]))
    return {"labels": labels, "calculator": spec.level, "same": same}


def partial(log: PredictionLog, store: FrameStore, indices: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The entry ``partial`` of results: what is missing and why; nothing where all frames were computed."""
    missing: dict[str, Any] = {}
    for part, frames in indices.items():
        failed = [int(i) for i in frames if log.outcomes[int(i)].reason]
        if not failed:
            continue
        owners = Counter(int(store.molecule[i]) for i in failed)
        of = Counter(int(m) for m in store.molecule[frames])
        missing["train" if part == "fit" else part] = {
            "n_frames": len(failed),
            "of_frames": len(frames),
            "molecules": [
                {
                    "name": store.graphs[molecule].molecule.name,
                    "n_frames": count,
                    "of_frames": of[molecule],
                    "reason": Counter(
                        log.outcomes[i].reason for i in failed if int(store.molecule[i]) == molecule
                    ).most_common(1)[0][0],
                }
                for molecule, count in owners.items()
            ],
        }
    return {"partial": missing} if missing else {}
