"""Who asks the labels' level: trajectories, minima and points of scans for several molecules at once, in workers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.dynamics import paths
from compbench_jax.dynamics.reference import ReferenceJob, complete, make_reference, read_reference
from compbench_jax.dynamics.settings import SCANS
from compbench_jax.dynamics.start import Start
from compbench_jax.errors import DataError
from compbench_jax.labelling.executors import Executor
from compbench_jax.labelling.levels import Level

Values = dict[str, Any]
Answer = dict[str, np.ndarray] | str
"""Arrays of a job, or why it failed."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

MAKE = {"torsion": paths.torsion_path, "stretch": paths.stretch_path, "folding": paths.folding_path}


class Reference:
    """The reference of one measurement. What was computed once is found in the folder.

    Args:
        level: of theory; nothing may be asked without one.
        cache: folder of the results.
        executor: who computes.
        report: of progress.
        hessian: minima are to have their Hessians.
    """

    def __init__(self, level: Level | None, cache: Path, executor: Executor, report: Report, hessian: bool):
        self.level, self.cache, self.executor, self.report, self.hessian = level, cache, executor, report, hessian
        self._tried: dict[Path, str] = {}  # by file: why it failed, if it did

    def prepare(self, missing: Mapping[str, Sequence[Start]]) -> None:
        """Compute what can be computed at once of these properties: each start of workers costs seconds.

        Args:
            missing: molecules by property.
        """
        everybody = list({start.key: start for starts in missing.values() for start in starts}.values())
        self._run([*self._minimum_jobs(everybody), *self._chain_jobs(everybody)], "reference, minima")
        jobs: list[ReferenceJob] = []
        for name, starts in missing.items():
            if name in SCANS:
                scans, _ = self.scans(name, starts)
                jobs += [self._job(starts[k], "points", path.positions) for k, path in scans.items()]
        self._run(jobs, "reference, scans")

    def trajectories(self, starts: Sequence[Start], time_step: float, stride: int, records: int) -> list[Answer]:
        """Velocity Verlet from each start: the fields of a trajectory (``time_step`` in ASE units)."""
        settings = {"time_step": time_step, "stride": stride, "records": records}
        jobs = [
            self._job(s, "trajectory", s.positions, settings, velocities=s.velocities, masses=s.masses) for s in starts
        ]
        return self._run(jobs, "reference, trajectories")

    def minima(self, starts: Sequence[Start]) -> list[Answer]:
        """``positions`` of the minimum that each start leads to, and its ``hessian`` if minima have them."""
        return self._run(self._minimum_jobs(starts), "reference, minima")

    def scans(self, name: str, starts: Sequence[Start]) -> tuple[dict[int, paths.Path], list[Values]]:
        """The scan of each molecule that has one, by its place, and for the others why there is none."""
        found: list[Values] = [{} for _ in starts]
        scans: dict[int, paths.Path] = {}
        for k, (start, minimum) in enumerate(
            zip(starts, self._run(self._chain_jobs(starts), "reference, chains"), strict=True)
        ):
            if isinstance(minimum, str):
                found[k] = {"reference_failed": minimum}
                continue
            try:
                scans[k] = MAKE[name](start.graph, minimum["positions"])
            except DataError as error:
                found[k] = {"left_out_because": str(error)}
        return scans, found

    def points(self, starts: Sequence[Start], scans: Mapping[int, paths.Path], name: str) -> list[Answer]:
        """``energy`` and ``forces`` along these scans."""
        jobs = [self._job(starts[k], "points", path.positions) for k, path in scans.items()]
        return self._run(jobs, f"reference, {name}")

    def _minimum_jobs(self, starts: Sequence[Start]) -> list[ReferenceJob]:
        return [self._job(start, "minimum", start.positions, {"hessian": self.hessian}) for start in starts]

    def _chain_jobs(self, starts: Sequence[Start]) -> list[ReferenceJob]:
        """Minima that scans begin at: near the all-trans geometry, of a molecule without a chain near its start."""
        jobs = []
        for start in starts:
            try:
                at = paths.stretched_out(start.graph, start.positions)
            except DataError:
                at = start.positions
            jobs.append(self._job(start, "minimum", at, {"hessian": False}))
        return jobs

    def _job(
        self, start: Start, kind: str, positions: np.ndarray, settings: Values | None = None, **arrays: np.ndarray
    ) -> ReferenceJob:
        assert self.level is not None
        graph = start.graph
        return ReferenceJob(
            str(self.cache),
            self.level.name,
            graph.molecule.name,
            kind,
            graph.numbers,
            positions,
            settings or {},
            **arrays,
        )

    def _run(self, jobs: Sequence[ReferenceJob], what: str) -> list[Answer]:
        """The answer of each job; those that are not known are computed, failed ones once a command."""
        missing = [job for job in jobs if job.path not in self._tried and not complete(job)]
        # Long jobs first, so that no worker is left alone with one at the end.
        missing.sort(key=lambda job: -len(job.numbers))
        done = len(jobs) - len(missing)
        if missing:
            self.report(what, done, len(jobs))
            self.cache.mkdir(parents=True, exist_ok=True)
        for job, failure in self.executor.run(make_reference, missing):
            self._tried[job.path] = failure
            done += 1
            self.report(what, done, len(jobs))
        answers: list[Answer] = []
        for job in jobs:
            answer = self._tried.get(job.path) or read_reference(job)
            if answer is None:
                raise DataError(f"{job.path} vanished: run the same command again")
            answers.append(answer)
        return answers
