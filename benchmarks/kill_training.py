"""Kill ``train.py`` with SIGKILL at random moments, let it resume, and compare with a run that nothing interrupted.

    python benchmarks/kill_training.py --data data/mini

Passes (exit code 0) if every line of the log and every bit of the parameters is the same. Moments are drawn from the
start of the process on, so that some fall into start-up and compilation, some into steps, some into checkpoints.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax

from compbench_jax.training.checkpoint import load_run
from compbench_jax.training.log import read_log

TRAIN = Path(__file__).resolve().parent.parent / "train.py"
TIMED = ("seconds", "structures_per_second", "host_fraction", "processor_fraction")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the store")
    parser.add_argument("--task", default="chain_extension")
    parser.add_argument("--model", default="schnet")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--out", type=Path, help="keep the two run folders here")
    return parser.parse_args()


def command(arguments: argparse.Namespace, run: Path) -> list[str]:
    watch = ["--watch.log-every", "5", "--watch.validate-every", "200", "--watch.checkpoint-seconds", "0.5"]
    run_words = ["--task", arguments.task, "--data", str(arguments.data), "--out", str(run)]
    steps = ["--steps", str(arguments.steps)]
    return [sys.executable, str(TRAIN), *run_words, *steps, *watch, f"model:{arguments.model}"]


def last_step(run: Path) -> int:
    return max((line["step"] for line in read_log(run / "log.jsonl")), default=0)


def finish(words: list[str], run: Path) -> tuple[float, float]:
    """Run to the end; seconds until the first step was logged, and in all."""
    started, first = time.monotonic(), 0.0
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        if not first and last_step(run):
            first = time.monotonic() - started
        time.sleep(0.05)
    if process.returncode:
        sys.exit(f"training failed with exit code {process.returncode}: {' '.join(words)}")
    return first, time.monotonic() - started


def kill_after(words: list[str], run: Path, delay: float) -> int:
    """Start, wait, kill, wherever it is; the exit code."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    try:
        process.wait(delay)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    return process.wait()


def comparable(run: Path) -> list[str]:
    lines = [line for line in read_log(run / "log.jsonl") if line["event"] in ("train", "validation")]
    return [json.dumps({key: value for key, value in line.items() if key not in TIMED}) for line in lines]


def bits(run: Path) -> list[bytes]:
    loaded = [load_run(run, which) for which in ("best", "latest")]
    return [leaf.tobytes() for item in loaded for leaf in [*jax.tree.leaves(item.params)]]


def demonstrate(arguments: argparse.Namespace, folder: Path) -> bool:
    whole, killed = folder / "whole", folder / "killed"
    first, total = finish(command(arguments, whole), whole)
    print(f"uninterrupted: {arguments.steps} steps in {total:.1f} s, the first logged after {first:.1f} s", flush=True)
    moments = random.Random(arguments.seed)
    for number in range(1, arguments.kills + 1):
        delay = moments.uniform(0, first + 1.5 * (total - first) / arguments.kills)
        code = kill_after(command(arguments, killed), killed, delay)
        if code != -signal.SIGKILL:
            sys.exit(f"the run ended by itself (exit code {code}) before kill {number}: raise --steps")
        saved = [int(p.name) for p in (killed / "checkpoints").glob("*") if p.name.isdigit()]
        print(
            f"kill {number:2} after {delay:5.1f} s: logged step {last_step(killed)}, saved {max(saved, default=0)}",
            flush=True,
        )
    finish(command(arguments, killed), killed)
    same_log, same_bits = comparable(whole) == comparable(killed), bits(whole) == bits(killed)
    print(f"{len(comparable(whole))} lines of the log {'are the same' if same_log else 'DIFFER'}")
    print(f"best and latest parameters {'are the same, bit for bit' if same_bits else 'DIFFER'}")
    return same_log and same_bits


def main() -> None:
    arguments = parse()
    if arguments.out:
        sys.exit(0 if demonstrate(arguments, arguments.out) else 1)
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(0 if demonstrate(arguments, Path(folder)) else 1)


if __name__ == "__main__":
    main()
