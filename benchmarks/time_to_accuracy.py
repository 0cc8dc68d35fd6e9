"""Processor seconds of training until the validation force MAE falls to 30, 20, 10 and 5 meV/Å, by recipe.

    python benchmarks/time_to_accuracy.py --potentials mace painn --recipes adam muon
    python benchmarks/time_to_accuracy.py --table

A schedule decays until the last step of a run, so the time to an error is that of the shortest run that ends below it.
Every potential is therefore trained several times, each run twice as long as the one before, until the smallest
error is reached or the runs last --minutes. Between two lengths the time is interpolated (logarithms of both). Runs
are pinned to one core; their time is processor time, without compilation and validation. Errors are of tuning frames,
never of test frames. The figures go to --out as JSON. Runs that stand there are not repeated, and unfinished ones are
kept in --runs: the same command resumes. For another machine use another --out.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

from compbench_jax.evaluation.provenance import processor_name
from compbench_jax.files import write_atomically
from compbench_jax.report.pages import fill_page
from compbench_jax.suites.plan import measured_rate

BATCH_SIZE = 8

KEY = ("task", "potential", "recipe", "steps")
"""What tells a run from the others."""

PART = "time_to_accuracy"
"""Part of a page that the second table stands in."""

TARGETS = (30.0, 20.0, 10.0, 5.0)
"""meV/Å, force MAE per component."""

FIRST_STEPS = {"schnet": 1000, "painn": 500, "mace": 500, "nequip": 300, "so3lr": 500, "dimenet": 300, "gemnet": 250,
               "equiformer_v2": 120}  # fmt: skip
"""Steps of the shortest run: half a minute to a minute of a core."""

ADAM_RATES = {"dimenet": 1e-3, "equiformer_v2": 3e-3}
"""Learning rates that ``learning_rates.sh`` chose for Adam, where those of Muon's recipe are others."""

RECIPES = {
    "adam": ("--optimiser.name", "adam"),
    "muon": ("--optimiser.name", "muon"),
    "muon + prior": ("--optimiser.name", "muon", "--prior", "classical"),
    "muon, linear": ("--optimiser.name", "muon", "--optimiser.schedule", "linear"),
    "muon, EMA 0.99": ("--optimiser.name", "muon", "--optimiser.ema-decay", "0.99"),
    "muon, energies 1": ("--optimiser.name", "muon", "--loss.energy-weight", "1"),
    "muon, batch 4": ("--optimiser.name", "muon", "--batch-size", "4"),
    "muon, batch 16": ("--optimiser.name", "muon", "--batch-size", "16"),
}
"""Options of ``train.py``. The last five change one setting of the recipe each, to see whether it pays."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["fragment_duplication", "chain_extension"])
    parser.add_argument("--potentials", nargs="+", default=list(FIRST_STEPS), choices=list(FIRST_STEPS))
    parser.add_argument("--recipes", nargs="+", default=["adam", "muon"], choices=list(RECIPES))
    parser.add_argument("--minutes", type=float, default=8.0, help="longest run, minutes of a core")
    parser.add_argument("--core", type=int, default=0, help="core of the runs")
    parser.add_argument("--data", type=Path, default=Path("data/standard"))
    parser.add_argument("--runs", type=Path, default=Path("runs/time_to_accuracy"))
    parser.add_argument("--out", type=Path, default=Path("results/time_to_accuracy.json"))
    parser.add_argument("--table", action="store_true", help="only print the tables of --out")
    parser.add_argument("--page", type=Path, help="page to write the second table into")
    arguments = parser.parse_args()
    if not arguments.table:
        for task in arguments.tasks:
            for potential in arguments.potentials:
                for recipe in arguments.recipes:
                    ladder(arguments, task, potential, recipe)
    runs = json.loads(arguments.out.read_text())["runs"]
    table(runs)
    print("\n" + beside_adam(runs))
    if arguments.page:
        fill_page(arguments.page, {PART: beside_adam(runs)})


def ladder(arguments: argparse.Namespace, task: str, potential: str, recipe: str) -> None:
    """Runs of one potential and recipe, each twice as long as the one before."""
    steps = FIRST_STEPS[potential]
    while True:
        point = known(arguments.out, task, potential, recipe, steps)
        if point is None:
            point = measure(arguments, task, potential, recipe, steps)
            keep(arguments.out, point)
        print(f"{task} {potential} {recipe}: {steps} steps, {point['processor_seconds']:.0f} s, "
              f"{point['force_mae_mev']:.1f} meV/Å", flush=True)  # fmt: skip
        if point["force_mae_mev"] <= min(TARGETS) or 2 * point["processor_seconds"] > 60 * arguments.minutes:
            return
        steps *= 2


def measure(arguments: argparse.Namespace, task: str, potential: str, recipe: str, steps: int) -> dict:
    """One run: its error at the end and its processor time."""
    run = arguments.runs / f"{task}-{potential}-{recipe.replace(' ', '').replace(',', '-')}-{steps}"
    size = () if "--batch-size" in RECIPES[recipe] else ("--batch-size", str(BATCH_SIZE))
    adam = recipe == "adam" and potential in ADAM_RATES
    rate = ("--optimiser.learning-rate", str(ADAM_RATES[potential])) if adam else ()
    pin = ("taskset", "-c", str(arguments.core)) if shutil.which("taskset") else ()
    command = (*pin, sys.executable, "train.py", "--task", task, "--data", str(arguments.data), "--out", str(run),
               "--steps", str(steps), *size, "--watch.monitor-frames", "0",
               "--watch.validate-every", str(steps),
               *RECIPES[recipe], *rate, f"model:{potential.replace('_', '-')}")  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    config = json.loads((run / "config.json").read_text())
    # Structures by processor time of the core that the run was pinned to.
    seconds = steps * config["batch_size"] / measured_rate(run / "log.jsonl")
    error = [record["validation_force_mae"] for record in records if record["event"] == "validation"][-1]
    settings = config["optimiser"]
    return {
        "task": task,
        "potential": potential,
        "recipe": recipe,
        "steps": steps,
        "processor_seconds": round(seconds, 1),
        "force_mae_mev": round(1e3 * error, 2),
        "learning_rate": settings["learning_rate"],
        "matrix_rate": settings["matrix_rate"],
    }


def known(path: Path, task: str, potential: str, recipe: str, steps: int) -> dict | None:
    """A run that stands in the figures already."""
    wanted = dict(zip(KEY, (task, potential, recipe, steps), strict=True))
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    return next((run for run in runs if wanted.items() <= run.items()), None)


def keep(path: Path, point: dict) -> None:
    """Add a run to the figures, in place of one with the same settings."""
    content = json.loads(path.read_text()) if path.exists() else {"hardware": f"{processor_name()}, 1 core", "runs": []}
    others = [run for run in content["runs"] if any(run[name] != point[name] for name in KEY)]
    content["runs"] = sorted([*others, point], key=lambda run: [str(run[name]).zfill(9) for name in KEY])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def time_to(target: float, runs: list[dict]) -> float:
    """Processor seconds until the error is at most ``target``; infinite if no run gets there."""
    points = sorted((run["processor_seconds"], run["force_mae_mev"]) for run in runs)
    before = None
    for seconds, error in points:
        if error <= target:
            if before is None or before[1] <= error:
                return seconds
            share = math.log(before[1] / target) / math.log(before[1] / error)
            return before[0] * (seconds / before[0]) ** share
        before = (seconds, error)
    return math.inf


def table(runs: list[dict]) -> None:
    """Print the times, and how many times less each recipe needs than Adam."""
    print("| task | potential | recipe | " + " | ".join(f"{target:g} meV/Å" for target in TARGETS) + " |")
    print("| --- | --- | --- |" + " --- |" * len(TARGETS))
    groups: dict[tuple[str, str, str], list[dict]] = {}
    for run in runs:
        groups.setdefault((run["task"], run["potential"], run["recipe"]), []).append(run)
    for (task, potential, recipe), own in groups.items():
        cells = []
        for target in TARGETS:
            seconds, adam = time_to(target, own), time_to(target, groups.get((task, potential, "adam"), []))
            ratio = f" ({adam / seconds:.1f}×)" if recipe != "adam" and math.isfinite(adam) else ""
            cells.append("–" if math.isinf(seconds) else f"{seconds:.0f} s{ratio}")
        print(f"| {task} | {potential} | {recipe} | " + " | ".join(cells) + " |")


def beside_adam(runs: list[dict]) -> str:
    """A table of the seconds to the lowest error that both Adam and Muon reached, by recipe."""
    others = ("muon", "muon + prior")
    lines = [
        "| task | potential | error | Adam | Muon | Muon and prior |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for task, potential in sorted({(run["task"], run["potential"]) for run in runs}):
        own = {name: [run for run in runs if (run["task"], run["potential"], run["recipe"]) == (task, potential, name)]
               for name in ("adam", *others)}  # fmt: skip
        if not own["adam"] or not own["muon"]:
            continue
        lowest = max(min(run["force_mae_mev"] for run in own[name]) for name in ("adam", "muon"))
        adam = time_to(lowest, own["adam"])
        cells = [f"`{task}`", f"`{potential}`", f"{lowest:.1f} meV/Å", f"{adam:.0f} s"]
        for name in others:
            seconds = time_to(lowest, own[name])
            cells.append("–" if math.isinf(seconds) else f"{seconds:.0f} s ({adam / seconds:.1f}×)")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
