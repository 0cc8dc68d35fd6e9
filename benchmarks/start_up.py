"""From the start of ``train.py`` to the end of its first step: where the time goes, with a cold and a warm cache.

    python benchmarks/start_up.py --model mace

Each turn is a process of its own, a new run folder, and what ``train.py`` does up to the first step. The first has an
empty compilation cache, the others the cache that it left. Seconds are of the wall clock and, in brackets, of the
processor (all threads), which other programs of the machine change less. Stages:

``imports``      Python, the package, flax, orbax, until the command line is parsed
``store``        checksums, split, audit, normalisation
``batches``      neighbour lists, shapes, frames to the device
``initialise``   parameters, optimiser state, checkpoint folder
``first step``   tracing, compiling (or reading from the cache) and taking it
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STARTED, OUT = "COMPBENCH_START_UP", "COMPBENCH_START_UP_OUT"
STAGES = ("imports", "store", "batches", "initialise", "first step")
EVENTS = {
    "tracing": "/jax/core/compile/jaxpr_trace_duration",
    "lowering": "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "compiling": "/jax/core/compile/backend_compile_duration",
}


def worker(words: list[str]) -> None:
    """Train up to the first step, note the clock after each stage, and end the process."""
    from compbench_jax.runtime import prepare_process

    prepare_process()
    marks: list[tuple[float, float]] = []

    def mark() -> None:
        marks.append((time.time() - float(os.environ[STARTED]), time.process_time()))

    from compbench_jax.models.precision import prepare_precision
    from compbench_jax.training.arguments import configure, parse

    arguments, preset = parse(words)
    prepare_precision(arguments.precision)
    import jax
    import jax.monitoring

    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import get_task
    from compbench_jax.training import loop, run

    spent: dict[str, list[float]] = {}
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: spent.setdefault(event, []).append(seconds)
    )
    mark()
    build_data, take_chunk = run.build_data, loop.take_chunk

    def marked_build(*args: Any, **kwargs: Any) -> Any:
        mark()
        found = build_data(*args, **kwargs)
        mark()
        return found

    def marked_train(parts: Any, progress: Any) -> None:
        mark()
        stream = parts.source.chunks(progress.step, progress.cursors)
        take_chunk(parts, progress, next(stream))
        jax.block_until_ready(progress.state)
        mark()
        compiled = {name: [sum(spent.get(event, [])), len(spent.get(event, []))] for name, event in EVENTS.items()}
        Path(os.environ[OUT]).write_text(json.dumps({"marks": marks, "compiled": compiled}))
        sys.stdout.flush()
        os._exit(0)

    run.build_data, run.train = marked_build, marked_train  # type: ignore[assignment]
    task = get_task(arguments.task)
    store = open_store(arguments.data, checksums=True)
    configuration = configure(arguments, preset, task.name, store.hash)
    run.train_run(configuration, store, task.split(store), arguments.out)


@dataclass(frozen=True)
class Arguments:
    """Measure the time to the first step."""

    model: str = "mace"
    """Preset of the registry."""
    task: str = "chain_extension"
    """Task."""
    data: Path = Path("data/mini")
    """Store."""
    warm: int = 1
    """Turns with a warm cache."""
    json: bool = False
    """Print one JSON object in place of text."""


def turn(arguments: Arguments, folder: Path, number: int) -> dict[str, Any]:
    """One start, with the compilation cache in ``folder``."""
    out = folder / f"turn{number}.json"
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(folder / "cache"),
        STARTED: repr(time.time()),
        OUT: str(out),
    }
    words = ["--task", arguments.task, "--data", str(arguments.data), "--out", str(folder / f"run{number}")]
    command = [sys.executable, __file__, "worker", *words, f"model:{arguments.model}"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    found = json.loads(out.read_text())
    edges = [[0.0, 0.0], *found["marks"]]
    stages = {
        name: [round(b - a, 2) for a, b in zip(before, after, strict=True)]
        for name, before, after in zip(STAGES, edges[:-1], edges[1:], strict=True)
    }
    compiled = {name: [round(seconds, 2), count] for name, (seconds, count) in found["compiled"].items()}
    return {"stages": stages, "total": [round(x, 2) for x in found["marks"][-1]], "compiled": compiled}


def main() -> None:
    """Command line."""
    import tyro

    arguments = tyro.cli(Arguments)
    with tempfile.TemporaryDirectory() as folder:
        turns = [turn(arguments, Path(folder), k) for k in range(1 + arguments.warm)]
    if arguments.json:
        print(json.dumps({"model": arguments.model, "cores": os.cpu_count(), "cold": turns[0], "warm": turns[1:]}))
        return
    for k, item in enumerate(turns):
        print("cold" if k == 0 else "warm", f"{item['total'][0]} s ({item['total'][1]} s of the processor)")
        for name, (wall, processor) in item["stages"].items():
            print(f"  {name:<12} {wall:7.2f} ({processor:.2f})")
        print("  " + ", ".join(f"{name} {seconds} s in {n}" for name, (seconds, n) in item["compiled"].items()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        worker(sys.argv[2:])
    else:
        main()
