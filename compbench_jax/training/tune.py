"""``compbench tune``: runs that differ in some settings, chosen by optuna, scored on the tuning frames only.

A study is a folder: ``study.json`` (what is searched), ``journal.log`` (optuna's journal: every trial with its
settings, validation curve and end, one JSON object a line), ``trials/0007`` (each a run folder), ``best.json``. Several
processes may work on one study. Each trial is locked by the process that trains it; one whose process is gone goes on
from its checkpoint in the next process that looks, so that an interrupted study loses nothing.
"""

import contextlib
import errno
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from compbench_jax.errors import CompBenchError, RunError, optional_import
from compbench_jax.files import read_json, write_atomically
from compbench_jax.training import configuration as config_file
from compbench_jax.training import search
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.log import FILE as LOG_FILE
from compbench_jax.training.log import read_log
from compbench_jax.training.run_folder import locked
from compbench_jax.training.search import Axis, with_values
from compbench_jax.training.settings import LossSettings
from compbench_jax.training.study_journal import JOURNAL_FILE, STARTUP, alone, open_study, repair_journal
from compbench_jax.training.trainer import Watcher
from compbench_jax.training.validation import Errors

FORMAT, VERSION = "compbench-study", 1
STUDY_FILE, BEST_FILE, TRIALS = "study.json", "best.json", "trials"
HOPELESS = 3
"""So many failures without a success end a study: what they have in common is not the search."""

Train = Callable[[RunConfig, Path, Watcher], int | None]
"""``train(configuration, run folder, watcher)``: a whole run; returns the signal that stopped it, or None."""


@dataclass(frozen=True)
class Outcome:
    """What a study has found so far.

    Attributes:
        best: number of the best trial; None: none was completed.
        score: its validation loss.
        values: its settings, by dotted name.
        counts: trials by their end: completed, pruned, failed, unfinished.
        stopped: the signal that ended the work early.
    """

    best: int | None
    score: float
    values: dict[str, Any]
    counts: dict[str, int]
    stopped: int | None


def tune(
    base: RunConfig,
    axes: Sequence[Axis],
    trials: int,
    folder: Path,
    train: Train,
    *,
    prune: bool = True,
    say: Callable[[str], None] = print,
) -> Outcome:
    """Take part in a study until it has so many trials, those of other processes and of earlier calls included.

    A trial's score is the validation loss of the checkpoint that its run calls best, at the weights of ``base`` (a
    trial may have others), averaged over its members. Nothing of a test is computed: monitors are off.

    Args:
        base: what all trials have in common.
        axes: what they differ in.
        trials: number of trials in all, whatever their end.
        folder: of the study, made if need be.
        train: trains one run.
        prune: stop a trial whose validation loss is above the median of the others' at the same step.
        say: told what happens, a line at a time.

    Raises:
        RunError: the folder holds another study, a setting that cannot work, or the first trials all failed.
        OSError: the disk is full; the study goes on where it stopped.
    """
    if trials < 1:
        raise RunError(f"--trials is {trials}: give 1 or more")
    config_file.check(base)
    if getattr(base.model, "fitted", False):
        raise RunError(f"{base.preset} is fitted in closed form: there is nothing to tune")
    if base.learning_rates:
        raise RunError("--learning-rates trains several at once: search optimiser.learning_rate in its place")
    optuna: Any = optional_import("optuna", "tune", "compbench tune")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with alone(folder):
        claim_study(folder, base, axes)
        repair_journal(folder / JOURNAL_FILE)
    study = open_study(optuna, folder, base.steps, prune)
    watched = replace(base, watch=replace(base.watch, monitor_frames=0))
    stopped = None
    while stopped is None:
        with contextlib.ExitStack() as held:
            trial = next_trial(optuna, study, folder, trials, held)
            if trial is None:
                break
            stopped = run_trial(optuna, study, trial, watched, axes, folder, train, say)
        with alone(folder):
            write_best(optuna, study, folder, base)
        refuse_hopeless(optuna, study)
    return outcome(optuna, study, stopped)


def run_trial(
    optuna: Any,
    study: Any,
    trial: Any,
    base: RunConfig,
    axes: Sequence[Axis],
    folder: Path,
    train: Train,
    say: Callable[[str], None],
) -> int | None:
    """Train one trial, or the rest of it, and write how it ended into the journal.

    Returns:
        the signal that interrupted it, in which case it stays unfinished.
    """
    # A sampler of its own for each trial: the study is the same however often it was interrupted.
    seed = int(np.random.SeedSequence([base.seed, trial.number]).generate_state(1)[0])
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    values = {axis.name: suggest(trial, axis) for axis in axes}
    words = ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )
    run = trial_folder(folder, trial.number)
    say(f"trial {trial.number}: {words}{' (goes on)' if (run / config_file.FILE).exists() else ''}")
    told = set(study._storage.get_trial(trial._trial_id).intermediate_values)
    pruned = False

    def watcher(step: int, errors: Sequence[Errors]) -> bool:
        nonlocal pruned
        if step not in told:
            trial.report(float(np.mean([item.loss(base.loss) for item in errors])), step)
        pruned = step < base.steps and bool(trial.should_prune())
        return pruned

    try:
        signal = train(with_values(base, values), run, watcher)
        if signal is not None:
            say(f"trial {trial.number}: interrupted; the same command goes on")
            return signal
        value = score(run, base.loss)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        trial.set_user_attr(
            "error", reason if isinstance(error, CompBenchError) else f"{type(error).__name__}: {reason}"
        )
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        say(f"trial {trial.number}: failed: {reason}")
        return None
    finally:
        jax.clear_caches()  # trials differ in their programs, which would pile up
    trial.set_user_attr("score", value)
    if pruned:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        say(f"trial {trial.number}: stopped early at {value:.4g}, above the median of the others")
    else:
        study.tell(trial, value)
        best = study.best_trial
        say(f"trial {trial.number}: validation loss {value:.4g}; best so far {best.value:.4g} (trial {best.number})")
    return None


def suggest(trial: Any, axis: Axis) -> Any:
    """The trial's value on an axis: the one it has, or a new one."""
    if axis.choices:
        return trial.suggest_categorical(axis.name, list(axis.choices))
    if isinstance(axis.low, int):
        return trial.suggest_int(axis.name, axis.low, axis.high, log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)


def score(run: Path, settings: LossSettings) -> float:
    """Validation loss of the checkpoint that a run calls best, at these weights; the mean over its members.

    Raises:
        RunError: the run has no validation whose loss is finite.
    """
    best: dict[int, float] = {}
    for line in read_log(run / LOG_FILE):
        if line["event"] == "validation" and line.get("best"):
            errors = Errors(*(line[f"validation_{name}"] for name in ("energy_mae", "force_l2_mae", "force_mae")))
            best[line.get("member", 0)] = errors.loss(settings)
    if not best or not np.isfinite(list(best.values())).all():
        raise RunError("no validation loss was finite")
    return float(np.mean(list(best.values())))


def next_trial(optuna: Any, study: Any, folder: Path, trials: int, held: contextlib.ExitStack) -> Any:
    """A trial to train, locked in ``held``: one that its process left unfinished, or a new one; None: all are taken."""
    with alone(folder):
        found = study.get_trials(deepcopy=False)
        for frozen in found:
            if frozen.state == optuna.trial.TrialState.RUNNING and take(folder, frozen.number, held):
                return optuna.trial.Trial(study, frozen._trial_id)
        if len(found) >= trials:
            return None
        trial = study.ask()
        if not take(folder, trial.number, held):
            raise RunError(f"{folder} is at work on a trial that its {JOURNAL_FILE} does not know: give another --out")
        return trial


def take(folder: Path, number: int, held: contextlib.ExitStack) -> bool:
    """Lock a trial for this process, unless another one has it."""
    try:
        held.enter_context(locked(folder / "locks" / f"{number:04d}", "tuning"))
    except RunError:
        return False
    return True


def trial_folder(folder: Path, number: int) -> Path:
    """Run folder of a trial."""
    return folder / TRIALS / f"{number:04d}"


def claim_study(folder: Path, base: RunConfig, axes: Sequence[Axis]) -> None:
    """Write ``study.json``, or make sure that the one there is of this study.

    Raises:
        RunError: it is of another study, or cannot be read.
    """
    path = folder / STUDY_FILE
    content = {
        "format": FORMAT,
        "version": VERSION,
        "configuration": config_file.to_json(base),
        "search": [search.to_json(axis) for axis in axes],
    }
    if not path.exists():
        config_file.write_code(folder, base)
        write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
        return
    try:
        found = read_json(path)
        before = config_file.from_json(found["configuration"], path)
        axes_before = found["search"]
    except (KeyError, TypeError) as error:
        raise RunError(f"{path} cannot be read ({type(error).__name__}): restore it, or give another --out") from error
    differs = config_file.difference(before, base)
    if differs is not None:
        key, old, new = differs
        raise RunError(f"{folder} holds a study with {key} = {old!r}, this one has {key} = {new!r}: give another --out")
    if axes_before != content["search"]:
        raise RunError(f"{folder} holds a study that searches other settings ({path} has them): give another --out")


def write_best(optuna: Any, study: Any, folder: Path, base: RunConfig) -> None:
    """Write ``best.json``, a configuration that ``train.py --config`` takes, if a trial was completed."""
    if completed(optuna, study):
        config_file.write(folder / BEST_FILE, with_values(base, study.best_trial.params))


def completed(optuna: Any, study: Any) -> list[Any]:
    """Trials that ran to their end."""
    return study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))


def refuse_hopeless(optuna: Any, study: Any) -> None:
    """Stop a study in which nothing works.

    Raises:
        RunError: the first trials all failed.
    """
    failed = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.FAIL,))
    if len(failed) >= HOPELESS and not completed(optuna, study):
        raise RunError(
            f"the first {len(failed)} trials failed, the last since {failed[-1].user_attrs.get('error', 'unknown')}: "
            "fix that, and give another --out"
        )


def outcome(optuna: Any, study: Any, stopped: int | None) -> Outcome:
    """What the journal says by now."""
    names = {"COMPLETE": "completed", "PRUNED": "pruned", "FAIL": "failed"}
    counts = dict.fromkeys([*names.values(), "unfinished"], 0)
    for trial in study.get_trials(deepcopy=False):
        counts[names.get(trial.state.name, "unfinished")] += 1
    if not completed(optuna, study):
        return Outcome(None, float("inf"), {}, counts, stopped)
    best = study.best_trial
    return Outcome(best.number, float(best.value), dict(best.params), counts, stopped)
