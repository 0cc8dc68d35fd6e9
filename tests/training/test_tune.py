import json
import math
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from training_store import make_configuration

from compbench_jax.errors import RunError
from compbench_jax.training import arguments, configuration
from compbench_jax.training.run import train_run
from compbench_jax.training.search import Axis
from compbench_jax.training.settings import LossSettings, WatchSettings
from compbench_jax.training.study_journal import JOURNAL_FILE
from compbench_jax.training.tune import BEST_FILE, score, tune
from compbench_jax.training.validation import Errors

AXES = [Axis("optimiser.learning_rate", 1e-4, 1.0, log=True), Axis("loss.energy_weight", choices=(1.0, 4.0))]


def curve(settings):
    """Errors at three validations of a made-up run, best at a learning rate of 0.01."""
    far = abs(math.log10(settings.optimiser.learning_rate) + 2)
    return [(10 * k, Errors(0.1, far + 0.1 * (3 - k), 0.1)) for k in (1, 2, 3)]


class Stub:
    """In place of training: writes the log that a run would, and notes what it was asked for."""

    def __init__(self, fail=(), interrupt=()):
        self.asked, self.fail, self.interrupt = [], set(fail), set(interrupt)

    def __call__(self, settings, run, watcher):
        number = int(run.name)
        self.asked.append((number, settings.optimiser.learning_rate, settings.loss.energy_weight))
        assert settings.watch.monitor_frames == 0
        run.mkdir(parents=True, exist_ok=True)
        configuration.write(run / configuration.FILE, settings)
        if number in self.fail:
            raise FloatingPointError("it blew up")
        with (run / "log.jsonl").open("w") as log:
            for step, errors in curve(settings):
                values = {"validation_energy_mae": errors.energy_mae, "validation_force_l2_mae": errors.force_l2_mae}
                line = {"event": "validation", "step": step, **values, "validation_force_mae": 0.1, "best": True}
                log.write(json.dumps(line) + "\n")
                log.flush()
                if number in self.interrupt and step == 20:
                    self.interrupt.remove(number)
                    return signal.SIGTERM
                if watcher(step, [errors]):
                    break
        return None


def base(store, **changes):
    watch = WatchSettings(validate_every=10, monitor_frames=8)
    return make_configuration(store, watch=watch, **changes)


def study(store, folder, train, trials=6, **changes):
    said = []
    found = tune(base(store, **changes), AXES, trials, folder, train, prune=False, say=said.append)
    return found, said


def test_the_best_trial_by_validation_is_a_configuration_that_train_takes(store, tmp_path):
    train = Stub()
    found, _ = study(store, tmp_path / "study", train)
    assert found.counts == {"completed": 6, "pruned": 0, "failed": 0, "unfinished": 0}
    best = min(train.asked, key=lambda item: abs(math.log10(item[1]) + 2))
    assert found.values["optimiser.learning_rate"] == best[1]
    # Scored at the weights of the study, whatever those of the trial.
    assert found.score == pytest.approx(4.0 * 0.1 + 100.0 * abs(math.log10(best[1]) + 2))
    words = ["--config", str(tmp_path / "study" / BEST_FILE), "--task", "chain_extension", "--data", "x"]
    parsed = arguments.parse(words)
    assert (parsed.optimiser.learning_rate, parsed.watch.monitor_frames, parsed.preset) == (best[1], 8, "pair")


def test_an_interrupted_study_is_the_one_that_was_not(store, tmp_path):
    whole = Stub()
    expected, _ = study(store, tmp_path / "whole", whole)
    cut = Stub(interrupt={2})
    found, _ = study(store, tmp_path / "cut", cut)
    assert found.stopped == signal.SIGTERM
    assert found.counts == {"completed": 2, "pruned": 0, "failed": 0, "unfinished": 1}
    journal = tmp_path / "cut" / JOURNAL_FILE
    with journal.open("ab") as handle:
        handle.write(b'{"op_code": 6, "wor')  # a kill while it was written to
    found, said = study(store, tmp_path / "cut", cut)
    assert any("trial 2" in line and "goes on" in line for line in said)
    assert cut.asked[2] == cut.asked[3]
    assert [item for k, item in enumerate(cut.asked) if k != 3] == whole.asked
    assert (found.score, found.values, found.counts) == (expected.score, expected.values, expected.counts)


def test_a_failed_trial_is_recorded_and_the_next_one_comes(store, tmp_path):
    found, said = study(store, tmp_path / "study", Stub(fail={1, 4}))
    assert found.counts["failed"] == 2 and found.counts["completed"] == 4
    assert "it blew up" in (tmp_path / "study" / JOURNAL_FILE).read_text()
    assert any("failed: it blew up" in line for line in said)
    with pytest.raises(RunError, match=r"first 3 trials failed.*it blew up"):
        study(store, tmp_path / "hopeless", Stub(fail=range(9)))


def test_a_trial_above_the_median_is_stopped(store, tmp_path):
    train = Stub()
    found = tune(base(store), AXES, 12, tmp_path / "study", train, say=lambda text: None)
    assert found.counts["pruned"] and sum(found.counts.values()) == 12
    lengths = {
        k: len((tmp_path / "study" / "trials" / f"{k:04d}" / "log.jsonl").read_text().split("\n")) for k in range(12)
    }
    assert min(lengths.values()) < max(lengths.values()) == 4


def test_a_folder_of_another_study_is_refused(store, tmp_path):
    study(store, tmp_path / "study", Stub(), trials=1)
    with pytest.raises(RunError, match="steps = 30, this one has steps = 31"):
        study(store, tmp_path / "study", Stub(), steps=31)
    with pytest.raises(RunError, match="searches other settings"):
        tune(base(store), AXES[:1], 2, tmp_path / "study", Stub())


def test_several_may_work_on_one_study(store, tmp_path):
    # Locks are the kernel's and belong to open files, so that two threads see each other as two processes do.
    trains = Stub(), Stub()
    with ThreadPoolExecutor() as pool:
        work = [pool.submit(study, store, tmp_path / "study", train, trials=12) for train in trains]
    assert [item.result()[0].counts["failed"] for item in work] == [0, 0]
    found, _ = study(store, tmp_path / "study", Stub(), trials=12)
    assert found.counts["completed"] == 12
    numbers = [number for train in trains for number, *_ in train.asked]
    assert sorted(numbers) == list(range(12))


def test_real_trials_see_the_tuning_frames_only(store, split, tmp_path):
    def train(settings, run, watcher):
        return train_run(settings, store, split, run, watcher=watcher)

    axes = [Axis("optimiser.learning_rate", choices=(1e-5, 2e-2))]
    found = tune(base(store, steps=10), axes, 2, tmp_path / "study", train, say=lambda text: None)
    assert found.counts["completed"] == 2
    runs = [tmp_path / "study" / "trials" / f"{k:04d}" for k in range(2)]
    assert found.score == min(score(run, LossSettings()) for run in runs)
    assert "monitor_" not in runs[0].joinpath("log.jsonl").read_text()
