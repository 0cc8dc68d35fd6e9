"""The whole training loop against a bare jitted step, and members trained together against one.

    python benchmarks/loop.py --model schnet --members 8 --json

Both run the same steps on the same made-up conformers (those of ``benchmarks/throughput.py``). The bare step is the
compiled program of one step called again and again on batches that are already there. The loop is what ``train.py``
runs: batches chosen and gathered or assembled, log written, no validation and no checkpoint in the time that counts.
They take turns, several times over, and medians are compared: a busy machine slows both. Seconds are of the wall clock;
those of the processor (all cores) are given beside, since they do not depend on what else runs.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from throughput import alkane_frames

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.models.normalisation import fit_normalisation
from compbench_jax.models.potential import Normalisation
from compbench_jax.models.registry import MODELS, build_potential
from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.training import loop
from compbench_jax.training.batches import BatchSource
from compbench_jax.training.checkpoint import Checkpoints, no_best
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.data import RunData
from compbench_jax.training.dispatch import make_program
from compbench_jax.training.log import RunLog, read_log
from compbench_jax.training.mesh import MEMBERS, Layout, make_layout
from compbench_jax.training.optimiser import make_optimiser
from compbench_jax.training.progress import Display
from compbench_jax.training.settings import DeviceSettings, WatchSettings
from compbench_jax.training.state import Cursor, TrainState, initial_state


@dataclass(frozen=True)
class Arguments:
    """Measure the training loop."""

    model: str = "schnet"
    """Preset of the registry."""
    members: int = 1
    """Members trained together; above 1 they are also compared with one."""
    batch_size: int = 8
    """Mean number of structures per batch."""
    steps: int = 200
    """Steps a turn. Each starts the loop anew (threads, the first batch), which is a tenth of 40 short steps."""
    turns: int = 5
    """Turns of each."""
    structures: int = 256
    """Conformers in the set."""
    device: DeviceSettings = field(default_factory=DeviceSettings)
    json: bool = False
    """Print one JSON object in place of text."""


class Training:
    """A training of so many members, ready to take steps either way."""

    def __init__(self, arguments: Arguments, members: int, folder: Path):
        model = MODELS[arguments.model]
        frames = alkane_frames(arguments.structures)
        fitted = fit_normalisation(frames, average_neighbours=15.0)
        normalisation = Normalisation(fitted.elements, (0.0, 0.0), fitted.scale, fitted.average_neighbours)
        self.potential = build_potential(model, normalisation)
        self.dataset = GraphDataset.build(
            frames,
            elements=normalisation.elements,
            reference_energies=normalisation.reference_energies,
            cutoff=model.cutoff,
            batch_size=arguments.batch_size,
            triplets=self.potential.triplets,
        )
        never = 1 << 30
        watch = WatchSettings(validate_every=never, monitor_frames=0, checkpoint_seconds=1e9)
        self.configuration = RunConfig(
            "alkanes", "-", "-", arguments.model, model, 0, never, arguments.batch_size, watch=watch, seeds=members,
            device=arguments.device,
        )  # fmt: skip
        self.layout: Layout = make_layout(arguments.device.mesh, members)
        optimiser = make_optimiser(self.configuration.optimiser)
        self.source = BatchSource(self.dataset, self.configuration, self.layout)
        self.program = make_program(self.potential, optimiser, self.configuration, self.layout, self.source.fetch)
        init = jax.jit(self.potential.init)
        example = self.dataset.batch(self.dataset.epoch(0, 0)[0])
        state = initial_state([init(jax.random.key(k), example) for k in range(members)], optimiser)
        self.parts = loop.Parts(
            self.configuration,
            self.layout,
            RunData(self.dataset, self.dataset, {}),
            [str(k) for k in range(self.dataset.n_frames)],
            self.source,
            self.program,
            lambda params, table, graph: table,
            Checkpoints(folder),
            RunLog(folder / "log.jsonl"),
            Display(quiet=True),
        )
        placed = TrainState(self.layout.put(state.step), self.layout.put(state.members, MEMBERS))
        start, skipped = (Cursor(0, 0),) * members, np.zeros(members, np.int32)
        self.progress = loop.Progress(placed, 0, start, no_best(members), 0.0, skipped)
        self.bare_state = jax.tree.map(lambda x: x.copy(), placed)
        self.stream = self.source.dispatches(0, start)
        self.ready = [next(self.stream) for _ in range(8)]

    def bare(self, steps: int) -> None:
        """Steps of the compiled program, on batches that are there."""
        state = self.bare_state
        for k in range(steps // self.source.length):
            dispatch = self.ready[k % len(self.ready)]
            state, _ = self.program(state, self.source.data, dispatch.batches, dispatch.length, shape=dispatch.shape)
        self.bare_state = jax.block_until_ready(state)

    def whole(self, steps: int) -> None:
        """Steps of the training loop, from where it stopped."""
        until = self.progress.step + steps
        parts = replace(self.parts, configuration=replace(self.configuration, steps=until, watch=self._watch(until)))
        self.source.configuration = parts.configuration
        # Others have had their turn since: that was not this training's time.
        self.progress.seen = self.progress.reported = time.monotonic()
        self.progress.paused = self.progress.idle = 0.0
        dispatches = loop.prefetch(self.source.dispatches(self.progress.step, self.progress.cursors))
        for dispatch in dispatches:
            loop.take_chunk(parts, self.progress, dispatch)
        loop.flush(parts, self.progress)
        jax.block_until_ready(self.progress.state)

    def _watch(self, until: int) -> WatchSettings:
        return replace(self.configuration.watch, validate_every=until + 1)


def timed(call: Callable[[int], None], steps: int) -> tuple[float, float]:
    """Seconds a step, of the wall clock and of the processor."""
    wall, processor = time.perf_counter(), time.process_time()
    call(steps)
    return (time.perf_counter() - wall) / steps, (time.process_time() - processor) / steps


def measure(arguments: Arguments) -> dict[str, Any]:
    """Take turns and compare medians."""
    with tempfile.TemporaryDirectory() as folder:
        counts = [1] if arguments.members == 1 else [1, arguments.members]
        calls: dict[str, Callable[[int], None]] = {}
        for count in counts:
            path = Path(folder) / str(count)
            path.mkdir()
            training = Training(arguments, count, path)
            calls |= {f"bare_{count}": training.bare, f"loop_{count}": training.whole}
        length = training.source.length
        steps = -(-arguments.steps // length) * length
        for call in calls.values():
            call(steps)
        turns = [{name: timed(call, steps) for name, call in calls.items()} for _ in range(arguments.turns)]
        lines = read_log(Path(folder) / str(counts[-1]) / "log.jsonl")
    wall = {name: statistics.median(turn[name][0] for turn in turns) for name in calls}
    processor = {name: statistics.median(turn[name][1] for turn in turns) for name in calls}
    result: dict[str, Any] = {
        "model": arguments.model,
        "batch_size": arguments.batch_size,
        "steps_per_dispatch": length,
        "milliseconds_a_step": {name: round(1e3 * value, 3) for name, value in wall.items()},
        "processor_milliseconds_a_step": {name: round(1e3 * value, 3) for name, value in processor.items()},
        "loop_over_bare": {
            str(k): round(statistics.median(turn[f"bare_{k}"][0] / turn[f"loop_{k}"][0] for turn in turns), 3)
            for k in counts
        },
        "host_fraction": statistics.median(line["host_fraction"] for line in lines if line["event"] == "train"),
        "devices": jax.device_count(),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "jax": jax.__version__,
    }
    if len(counts) > 1:
        ratios = [turn[f"loop_{arguments.members}"][0] / turn["loop_1"][0] for turn in turns]
        result["members"] = arguments.members
        result["members_over_one"] = round(statistics.median(ratios), 2)
    return result


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result))
        return
    for key, value in result.items():
        print(f"{key:>30}: {value}")


if __name__ == "__main__":
    main()
