"""Kill training and evaluations with SIGKILL, go on each time, and compare with what nothing interrupted.

    python benchmarks/kills.py --data data/mini

Kills are aimed in turn at steps, checkpoints and validations of ``train.py``, and at any moment of ``evaluate.py`` of
the run and of a calculator. Passes (exit code 0) if every line of the log, every bit of the parameters and predictions,
every number of both ``results.json`` (without date and durations) and the names of all files are the same.
"""

import argparse
import collections
import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from compbench_jax.training.checkpoint import FOLDER, checksum
from compbench_jax.training.loaded_run import load_run
from compbench_jax.training.log import read_log

ROOT = Path(__file__).resolve().parent.parent
EVERY = 20
"""Steps between validations."""

TRAINING, EVALUATION = ("steps", "checkpoint", "validation"), ("evaluation", "calculator")
TIMED = ("seconds", "structures_per_second", "host_fraction", "processor_fraction")
DATED = ("date", "seconds_per_frame")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the store")
    parser.add_argument("--task", default="chain_extension")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="keep what is written here")
    return parser.parse_args()


def commands(arguments: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """Command lines of the training and of both evaluations that write to a folder."""
    data = ["--task", arguments.task, "--data", str(arguments.data)]
    watch = ["--watch.log-every", "1", "--watch.validate-every", str(EVERY), "--watch.checkpoint-seconds", "0.3",
             "--watch.monitor-frames", "20"]  # fmt: skip
    model = ["model:schnet", "--model.features", "16", "--model.interactions", "2", "--model.n-basis", "8"]
    noise = ["--calculator", "perturb", "--calculator-kwargs", '{"force_sigma": 0.1, "energy_sigma": 0.1}']
    train, evaluate = ([sys.executable, str(ROOT / name)] for name in ("train.py", "evaluate.py"))
    return {
        "train": [*train, *data, "--out", str(folder / "run"), "--steps", str(arguments.steps), *watch, *model],
        "evaluation": [*evaluate, "--run", str(folder / "run"), *data],
        "calculator": [*evaluate, *noise, *data, "--out", str(folder / "calculator"), "--workers", "2"],
    }


def start(words: list[str]) -> subprocess.Popen:
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finish(words: list[str]) -> float:
    """Run to the end; seconds."""
    started = time.monotonic()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"exit code {done.returncode} of {' '.join(words)}: {done.stderr[-1000:]}")
    return time.monotonic() - started


def last_line(run: Path) -> dict[str, Any]:
    """The last whole line of the log that is of a step or a validation."""
    try:
        with (run / "log.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = file.read().split(b"\n")[1:-1]
    except OSError:
        lines = []
    return next((json.loads(line) for line in reversed(lines) if line.startswith(b'{"event": "')), {"event": ""})


def saving(run: Path) -> bool:
    """Whether a checkpoint is being written: it has another name until it is whole."""
    return any(not path.name.isdigit() for path in (run / FOLDER).glob("*"))


def moment(stage: str, run: Path, step: int) -> Callable[[], bool]:
    """Whether training is in this stage, after this step."""

    def reached() -> bool:
        line = last_line(run)
        if line["event"] not in ("train", "validation") or line["step"] < step:
            return False
        if stage == "validation":
            return line["event"] == "train" and line["step"] % EVERY == 0
        return stage == "steps" or saving(run)

    return reached


def kill_training(words: list[str], run: Path, stage: str, step: int, delay: float) -> str:
    """Start, wait for the stage and the delay, kill; the stage that it was in indeed."""
    process, reached = start(words), moment(stage, run, step)
    while process.poll() is None and not reached():
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        sys.exit(f"training ended by itself (exit code {process.returncode}) before the kill: raise --steps")
    if saving(run):
        return "checkpoint"
    return "validation" if moment("validation", run, 0)() else "steps"


def kill_evaluation(words: list[str], seconds: float, moments: random.Random) -> float:
    """Start and kill at a random moment before it ends by itself, which takes about so many seconds; when that was."""
    while True:
        process, delay = start(words), moments.uniform(0.1, 1.0) * seconds
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        if process.wait() == -signal.SIGKILL:
            return delay


def contents(folder: Path) -> dict[str, Any]:
    """What has to be the same, by what it is."""
    run, calculator = folder / "run", folder / "calculator"
    found: dict[str, Any] = {
        "log": [
            {key: value for key, value in line.items() if key not in TIMED}
            for line in read_log(run / "log.jsonl")
            if line["event"] in ("train", "validation")
        ],
        "parameters": [checksum(load_run(run, which).params) for which in ("best", "latest")],
        "names of files": sorted(
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file() and FOLDER not in path.parts and "parts" not in path.parts
        ),
    }
    for name, place in (("run", run), ("calculator", calculator)):
        results = json.loads((place / "results.json").read_text())
        found[f"results of the {name}"] = {key: value for key, value in results.items() if key not in DATED}
        arrays = sorted((place / "predictions").glob("*.npy"))
        found[f"predictions of the {name}"] = {path.name: path.read_bytes() for path in arrays}
    return found


def demonstrate(arguments: argparse.Namespace, folder: Path) -> bool:
    whole, killed = folder / "whole", folder / "killed"
    seconds = {name: finish(words) for name, words in commands(arguments, whole).items()}
    print("uninterrupted:", ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items()), flush=True)
    lines = read_log(whole / "run" / "log.jsonl")
    pauses = [b["seconds"] - a["seconds"] for a, b in itertools.pairwise(lines) if b["event"] == "validation"]
    words, moments, run = commands(arguments, killed), random.Random(arguments.seed), killed / "run"
    counts: collections.Counter[str] = collections.Counter()
    of_evaluation = arguments.kills * 2 // 5
    of_training = arguments.kills - of_evaluation
    span = arguments.steps // (2 * of_training)
    for number in range(of_training):
        stage = TRAINING[number % len(TRAINING)]
        before = max((int(path.name) for path in (run / FOLDER).glob("*") if path.name.isdigit()), default=0)
        delay = moments.uniform(0, max(pauses)) if stage == "validation" else moments.uniform(0, 0.02)
        found = kill_training(words["train"], run, stage, before + moments.randint(1, span), delay)
        counts[found] += 1
        logged = last_line(run).get("step", 0)
        print(f"kill {number + 1:2} in {found} (aimed at {stage}): saved {before}, logged {logged}", flush=True)
    finish(words["train"])
    for number in range(of_training, arguments.kills):
        stage = EVALUATION[number % len(EVALUATION)]
        delay = kill_evaluation(words[stage], seconds[stage], moments)
        counts[stage] += 1
        print(f"kill {number + 1:2} in {stage} after {delay:.1f} s", flush=True)
    for stage in EVALUATION:
        finish(words[stage])
    print(f"{counts.total()} kills:", ", ".join(f"{count} in {stage}" for stage, count in counts.items()))
    expected, found_at_end = contents(whole), contents(killed)
    for name, value in expected.items():
        print(f"{name} ({len(value)}): {'the same' if found_at_end[name] == value else 'DIFFERENT'}")
    return expected == found_at_end


def main() -> None:
    arguments = parse()
    folder = arguments.out or Path(tempfile.mkdtemp())
    try:
        sys.exit(0 if demonstrate(arguments, folder) else 1)
    finally:
        if arguments.out is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
