"""Speed of evaluation: padded batches compared with the same potential frame by frame through ASE."""

import time
from dataclasses import dataclass

import jax
import numpy as np
from ase import Atoms

from compbench_jax.deploy.ase_calculator import CompBenchCalculator
from compbench_jax.evaluation.evaluate import test_sample
from compbench_jax.evaluation.sets import Predictor, datasets_of, predict_sets, step_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun

FRAMES = 256
"""Frames timed unless ``--max-frames`` says otherwise."""

REPEATS = 3
"""The fastest of so many counts: other programs of the machine only ever slow one down."""


@dataclass(frozen=True)
class Speed:
    """Structures per second, compilation left out.

    Attributes:
        batched: neighbour lists, padded batches, and predictions, as in an evaluation.
        bare: the compiled function alone, on batches that wait on the device.
        one_by_one: the ASE calculator, a frame at a time, padded for its molecule.
        n_frames: frames timed.
        processes: that share them in the first way.
        batch: mean number of structures per batch.
        padding: fractions of the nodes and of the edges that are padding in the batches.
        device: what computed.
    """

    batched: float
    bare: float
    one_by_one: float
    n_frames: int
    processes: int
    batch: float
    padding: tuple[float, float]
    device: str


def benchmark(
    run: LoadedRun,
    store: FrameStore,
    frames: np.ndarray,
    settings: Settings,
    predictor: Predictor = predict_sets,
    processes: int = 1,
) -> Speed:
    """Time the three ways on (a sample of) these frames of a store.

    Args:
        run: the trained potential.
        store: where the frames are.
        frames: indices into the store, int64.
        settings: frames and batch size.
        predictor: the batched evaluation.
        processes: among which it shares the frames; the other two ways are always this process.
    """
    frames = test_sample(store, frames, settings.max_frames or FRAMES)
    (data,) = datasets_of(run, store, [frames[::processes]], settings)
    step = step_of(run.potential)

    def batched() -> None:
        predictor(run, store, {"test": frames}, settings, lambda _: None)

    batched()
    plan = data.sequential()
    graphs = [jax.device_put(data.batch(item)) for item in plan]
    params = jax.device_put(run.fast_params)

    def bare() -> None:
        for graph in graphs:
            found = step(params, graph)
        jax.block_until_ready(found)

    molecules = store.molecule[frames]
    calculators = {int(m): CompBenchCalculator(run, graph=store.graphs[int(m)]) for m in np.unique(molecules)}
    atoms = []
    for frame, molecule in zip(frames, molecules, strict=True):
        rows = slice(int(store.offsets[frame]), int(store.offsets[frame + 1]))
        atoms.append(Atoms(store.graphs[molecule].numbers, store.positions[rows]))
        atoms[-1].calc = calculators[int(molecule)]

    def one_by_one() -> None:
        for item in atoms:
            item.calc.reset()
            item.get_potential_energy()
            item.get_forces()

    for index in np.argsort(-data.edges.n_edges, kind="stable"):
        atoms[index].get_forces()  # the fullest frame of a molecule first: one compilation for all of them
    seconds = {function.__name__: fastest(function) for function in (batched, bare, one_by_one)}
    return Speed(
        batched=len(frames) / seconds["batched"],
        bare=data.n_frames / seconds["bare"],
        one_by_one=len(frames) / seconds["one_by_one"],
        n_frames=len(frames),
        processes=processes,
        batch=data.n_frames / len(plan),
        padding=data.padding(plan),
        device=jax.devices()[0].device_kind,
    )


def fastest(function: object) -> float:
    """Seconds of the fastest of ``REPEATS`` calls."""
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        function()  # type: ignore[operator]
        taken.append(time.perf_counter() - began)
    return min(taken)


def speed_lines(speed: Speed) -> list[str]:
    """Lines for the terminal."""
    nodes, edges = (100 * part for part in speed.padding)
    together = f", {speed.processes} processes" if speed.processes > 1 else ""
    return [
        f"{speed.n_frames} frames, {speed.batch:.1f} per batch, padding {nodes:.1f}% of nodes and {edges:.1f}% of "
        f"edges, {speed.device}",
        f"batched:        {speed.batched:10.1f} structures per second "
        f"({speed.batched / speed.one_by_one:.1f} times the loop{together})",
        f"compiled alone: {speed.bare:10.1f} structures per second",
        f"frame by frame: {speed.one_by_one:10.1f} structures per second (ASE calculator)",
    ]
