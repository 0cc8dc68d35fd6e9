"""What generating a set costs beyond its quantum chemistry, and what a second worker brings.

    python benchmarks/generation.py                                # both, in ten minutes or so of an idle machine
    python benchmarks/generation.py --molecules hexane --rounds 5

**One worker.** A shard (conformer, equilibration, frames, labels, checks of the bonds, file) is made, then its
geometries are computed again in a bare loop over tblite's own interface: the same sequence, the same accuracies, along
the trajectory each self-consistent calculation started from the last one's result, every label from none. Both are
timed in turn, round by round, since other programs may run beside; reported is the ratio of their rates (force
evaluations a second), from processor time and from wall time, the median over rounds. Wanted: 0.9 at least.

**Two workers.** Equal shards are made by one worker process and by two, in turn. Reported is the ratio of their rates
in the steady state, after every worker has finished its first shard. Wanted: 1.8 at least, which takes two idle cores;
beside it stands the ratio that processor time allows, which tells contention for caches and memory from a busy machine.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
import tyro

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.sampling_job import SamplingJob
from compbench_jax.labelling.settings import PRESETS
from compbench_jax.labelling.workers import ProcessExecutor
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


@dataclass(frozen=True)
class Arguments:
    """Measure the throughput of generation."""

    molecules: tuple[str, ...] = ("ethane", "hexane", "decane")
    """Names, SMILES or InChIKeys."""
    level: str = "gfn2-xtb"
    """A level of tblite."""
    frames: int = 15
    """Frames of a shard."""
    equilibration: float = 100.0
    """fs before the first of them."""
    rounds: int = 5
    """Rounds; each makes every molecule's shard both ways."""
    shards: int = 8
    """Shards of the middle molecule for one and for two workers, a round. 0: leave the workers out."""
    json: bool = False
    """Print one JSON object in place of text."""


@dataclass(frozen=True, eq=False)
class Call:
    """One force evaluation: tblite's accuracy, whether it belongs to the trajectory, positions in Å."""

    accuracy: float
    along: bool
    positions: np.ndarray


def job_of(arguments: Arguments, name: str, folder: str, segment: int) -> SamplingJob:
    """A shard of one molecule."""
    settings = replace(PRESETS["standard"], equilibration=arguments.equilibration)
    return SamplingJob(folder, find_molecule(name), arguments.level, settings, "primary", segment, arguments.frames)


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor time of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def record(job: SamplingJob) -> list[Call]:
    """Make a shard and note every force evaluation that it takes, where tblite's own interface begins."""
    from ase.units import Bohr
    from tblite import interface

    calls: list[Call] = []
    level = get_level(job.level)

    class Noting(interface.Calculator):
        def __init__(self, method: Any, numbers: Any, positions: np.ndarray, *rest: Any, **more: Any) -> None:
            super().__init__(method, numbers, positions, *rest, **more)
            self.noted = np.array(positions)

        def set(self, attribute: str, value: Any) -> None:
            super().set(attribute, value)
            if attribute == "accuracy":
                self.accuracy = value

        def update(self, positions: Any = None, **more: Any) -> None:
            super().update(positions=positions, **more)
            self.noted = np.array(positions)

        def singlepoint(self, *rest: Any, **more: Any) -> Any:
            calls.append(Call(self.accuracy, self.accuracy != level.label_accuracy, self.noted * Bohr))
            return super().singlepoint(*rest, **more)

    from tblite import ase as program

    plain = program.Calculator
    program.Calculator = Noting
    try:
        job.perform()
    finally:
        program.Calculator = plain
    return calls


def bare_loop(numbers: np.ndarray, method: str, calls: list[Call]) -> list[float]:
    """The same force evaluations in tblite alone; returns the energies of the labels in eV."""
    from ase.units import Bohr, Hartree
    from tblite.interface import Calculator

    calculators, energies, result = {}, [], None
    for call in calls:
        positions = call.positions / Bohr
        if call.along not in calculators:
            calculator = calculators[call.along] = Calculator(method, numbers, positions, 0.0, 0)
            calculator.set("accuracy", call.accuracy)
            calculator.set("verbosity", 0)
        else:
            calculator = calculators[call.along]
            calculator.update(positions=positions)
        found = calculator.singlepoint(result if call.along else None)
        if call.along:
            result = found
        energy, gradient = found.get("energy"), found.get("gradient")
        assert np.isfinite(gradient).all()
        if not call.along:
            energies.append(float(energy) * Hartree)
    return energies


def one_worker(arguments: Arguments, folder: str) -> dict[str, Any]:
    """Rates of making shards and of the bare loop."""
    method = get_level(arguments.level).describe()["method"]
    work = []
    for name in arguments.molecules:
        job = job_of(arguments, name, folder, 0)
        duration = arguments.equilibration + job.settings.spacing * arguments.frames
        expected = round(duration / job.settings.time_step) + 1 + arguments.frames
        calls = record(job)
        assert len(calls) == expected, f"{len(calls)} force evaluations, not {expected}"
        segment = job.read()
        assert segment is not None and not segment.rejected
        numbers = molecular_graph(job.molecule).numbers
        # The loop does the work it is compared with: the labels come out the same.
        np.testing.assert_allclose(bare_loop(numbers, method, calls), segment.energy, rtol=0, atol=1e-5)
        work.append((job, numbers, calls))
    times = np.zeros((arguments.rounds, len(work), 2, 2))
    for row in range(arguments.rounds):
        for column, (job, numbers, calls) in enumerate(work):
            order = [0, 1] if (row + column) % 2 else [1, 0]
            for kind in order:
                call = (
                    (lambda job=job: job.perform())
                    if kind == 0
                    else (lambda n=numbers, c=calls: bare_loop(n, method, c))
                )
                times[row, column, kind] = timed(call)
    ratio = times[:, :, 1] / times[:, :, 0]  # rates are inverse times
    total = times.sum(axis=1)
    return {
        "molecules": {
            job.molecule.name: {
                "calls": len(calls),
                "calls_per_second": round(len(calls) / float(np.median(times[:, column, 0, 1])), 1),
                "ratio_cpu": round(float(np.median(ratio[:, column, 1])), 3),
                "ratio_wall": round(float(np.median(ratio[:, column, 0])), 3),
            }
            for column, (job, _, calls) in enumerate(work)
        },
        "ratio_cpu": round(float(np.median(total[:, 1, 1] / total[:, 0, 1])), 3),
        "ratio_wall": round(float(np.median(total[:, 1, 0] / total[:, 0, 0])), 3),
        "frames_per_second": round(arguments.frames * len(work) / float(np.median(total[:, 0, 1])), 3),
    }


def make_and_time(job: SamplingJob) -> float:
    """In a worker: make the shard, return its processor time."""
    return timed(lambda: job.perform())[1]


def steady_rate(jobs: list[SamplingJob], workers: int) -> tuple[float, float]:
    """Shards a second after each worker's first one, and mean processor time of a shard."""
    ends, cpu = [], []
    for _, seconds in ProcessExecutor(workers).run(make_and_time, jobs):
        ends.append(time.perf_counter())
        cpu.append(seconds)
    return (len(ends) - workers) / (ends[-1] - ends[workers - 1]), float(np.mean(cpu[workers:]))


def two_workers(arguments: Arguments, folder: str) -> dict[str, Any]:
    """Rates of one and of two workers."""
    name = arguments.molecules[len(arguments.molecules) // 2]
    wall, cpu = [], []
    for row in range(arguments.rounds):
        rates = {}
        for workers in (1, 2) if row % 2 else (2, 1):
            jobs = [job_of(arguments, name, folder, 0) for _ in range(arguments.shards + workers)]
            rates[workers] = steady_rate(jobs, workers)
        wall.append(rates[2][0] / rates[1][0])
        cpu.append(2 * rates[1][1] / rates[2][1])
    return {
        "molecule": name,
        "speedup_wall": round(float(np.median(wall)), 3),
        "speedup_wall_rounds": [round(value, 2) for value in wall],
        "speedup_cpu": round(float(np.median(cpu)), 3),
    }


def main() -> None:
    """Measure and print."""
    arguments = tyro.cli(Arguments)
    result: dict[str, Any] = {"load_before": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        result["one_worker"] = one_worker(arguments, str(Path(folder)))
        if arguments.shards:
            result["two_workers"] = two_workers(arguments, str(Path(folder)))
    if arguments.json:
        print(json.dumps(result))
        return
    print(f"{result['cores']} cores, load {result['load_before']:.1f}")
    one = result["one_worker"]
    for name, entry in one["molecules"].items():
        print(
            f"{name:>12}: {entry['calls']} force evaluations a shard, {entry['calls_per_second']:.0f} a second; "
            f"of the bare loop's rate: {entry['ratio_cpu']:.3f} (processor time), {entry['ratio_wall']:.3f} (wall)"
        )
    print(f"{'together':>12}: {one['ratio_cpu']:.3f} (processor time), {one['ratio_wall']:.3f} (wall)")
    if arguments.shards:
        two = result["two_workers"]
        rounds = ", ".join(f"{value:.2f}" for value in two["speedup_wall_rounds"])
        print(
            f"two workers ({two['molecule']}): {two['speedup_wall']:.2f} times one (rounds {rounds}); "
            f"processor time allows {two['speedup_cpu']:.2f}"
        )


if __name__ == "__main__":
    sys.exit(exit_code_of(main))
