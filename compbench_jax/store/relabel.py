"""A store's geometries at another level of theory: the same frames, or an even sample of them, labelled again."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError
from compbench_jax.labelling.executors import Executor
from compbench_jax.labelling.jobs import run_jobs
from compbench_jax.labelling.label_job import LabelJob
from compbench_jax.labelling.levels import get_level
from compbench_jax.store.manifest import MANIFEST, Manifest, manifest_hash, read_manifest
from compbench_jax.store.store import SETS, FrameStore
from compbench_jax.store.target import SHARDS, check_target, remove_shards, shards_in, writing
from compbench_jax.store.writer import Trajectory, write_store


@dataclass(frozen=True, eq=False)
class Relabelling:
    """What to label.

    Attributes:
        source: store of the geometries.
        out: folder of the new store.
        level: name of the level of theory.
        sample: frames per molecule, of both sets together in the proportion of the source; None for all.
        molecules: indices of molecules of the source, ascending.
    """

    source: FrameStore
    out: Path
    level: str
    sample: int | None
    molecules: tuple[int, ...]

    def frames(self) -> np.ndarray:
        """Indices of the source's frames to label, ascending, int64."""
        return np.sort(np.concatenate([self._chosen(index, set) for index in self.molecules for set in SETS]))

    def _chosen(self, index: int, set: str) -> np.ndarray:
        own = self.source.select(index, set)
        if self.sample is None:
            return own
        other = self.source.select(index, SETS[1 - SETS.index(set)])
        # The primary set takes what rounding leaves.
        secondary = own if set == SETS[1] else other
        n_secondary = round(self.sample * len(secondary) / max(1, len(own) + len(other)))
        wanted = n_secondary if set == SETS[1] else self.sample - n_secondary
        if wanted > len(own):
            name = self.source.graphs[index].molecule.name
            raise DataError(f"{name} has {len(own)} {set} frames, {wanted} were asked for: lower --sample")
        # The middles of equal stretches: every segment of the source is met, where there are frames enough.
        return own[(2 * np.arange(wanted) + 1) * len(own) // (2 * max(1, wanted))]

    def tuning_frames(self, frames: np.ndarray) -> int:
        """Tuning frames of the new store: those of its secondary frames that tune in the source.

        Raises:
            DataError: none of them does, or all do.
        """
        counts = []
        for index in self.molecules:
            own = self.source.select(index, SETS[1])
            kept = np.isin(own, frames)
            tuning = int(kept[: self.source.manifest.tuning_frames].sum())
            if own.size and not 0 < tuning < kept.sum():
                raise DataError(
                    f"--sample {self.sample} leaves {self.source.graphs[index].molecule.name} without tuning or "
                    "without test frames in its secondary set: raise it"
                )
            counts.append(tuning)
        return min(counts)

    def jobs(self, frames: np.ndarray) -> list[tuple[np.ndarray, LabelJob]]:
        """Jobs, each with the source's frames it labels."""
        level, source = get_level(self.level), self.source
        folder = str(self.out.resolve() / SHARDS)  # workers of a cluster start in folders of their own
        jobs = []
        for index in self.molecules:
            graph = source.graphs[index]
            own = frames[source.molecule[frames] == index]
            for start in range(0, len(own), level.frames_per_job):
                part = own[start : start + level.frames_per_job]
                positions = source.gather(part).positions.reshape(len(part), graph.n_atoms, 3)
                jobs.append((part, LabelJob(folder, self.level, graph.molecule.name, graph.numbers, positions)))
        return jobs

    def record(self) -> dict[str, Any]:
        """What the new manifest says of its origin, next to the source's settings."""
        return {
            **self.source.manifest.settings,
            "relabelled": {
                "source": manifest_hash(self.source.path),
                "source_level": self.source.manifest.level,
                "sample": self.sample,
            },
        }


def relabel(
    plan: Relabelling, executor: Executor, on_start: Callable[[int, int], None], on_done: Callable[[], None]
) -> Manifest:
    """Make the plan's store, taking over every label that is already there.

    Args:
        plan: what to label.
        executor: who computes.
        on_start: called once with the number of jobs done and in all.
        on_done: called after each further job.

    Returns:
        The manifest; frames whose calculation failed are not in the store but listed in ``rejected``.

    Raises:
        DataError: the folder holds another store, or every calculation failed.
        CompBenchError: another process is at work in the folder, or a file of the user's would be replaced.
    """
    if not is_complete(plan):
        with writing(plan.out):
            if not is_complete(plan):  # another process may have finished it
                check_target(plan.out, bool(shards_in(plan.out)))
                _make(plan, executor, on_start, on_done)
    remove_shards(plan.out)
    return read_manifest(plan.out)


def _make(
    plan: Relabelling, executor: Executor, on_start: Callable[[int, int], None], on_done: Callable[[], None]
) -> None:
    """Make the labels that are missing or failed, then the store."""
    frames = plan.frames()
    tuning_frames = plan.tuning_frames(frames)
    jobs = plan.jobs(frames)
    (plan.out / SHARDS).mkdir(exist_ok=True)

    def is_done(job: LabelJob) -> bool:
        # What failed in an earlier run of the command is tried again: a program or licence may have been missing.
        labels = job.read()
        return labels is not None and not labels.failures

    run_jobs([job for _, job in jobs], is_done, executor, on_start, on_done)
    _assemble(plan, jobs, tuning_frames)


def is_complete(plan: Relabelling) -> bool:
    """Whether the plan's store is already there.

    Raises:
        DataError: the folder holds another store.
    """
    if not (plan.out / MANIFEST).exists():
        return False
    manifest = read_manifest(plan.out)
    chosen = tuple(plan.source.graphs[index].molecule for index in plan.molecules)
    same = manifest.level == get_level(plan.level).describe() and manifest.settings == plan.record()
    if not (same and manifest.molecules == chosen):
        raise DataError(
            f"{plan.out} already holds a data set made with other settings: choose another --out, or remove it"
        )
    return True


def _assemble(plan: Relabelling, jobs: list[tuple[np.ndarray, LabelJob]], tuning_frames: int) -> None:
    source = plan.source
    energy: dict[int, float] = {}
    forces: dict[int, np.ndarray] = {}
    rejected: list[dict[str, Any]] = []
    for frames, job in jobs:
        labels = job.read()
        if labels is None:
            raise DataError(f"{job.path} vanished while the data set was being written: rerun the command")
        for k, frame in enumerate(frames.tolist()):
            if k in labels.failures:
                rejected.append(
                    {
                        "molecule": job.title,
                        "set": SETS[source.set[frame]],
                        "segment": int(source.segment[frame]),
                        "frame": frame,
                        "reason": labels.failures[k],
                    }
                )
            else:
                energy[frame], forces[frame] = float(labels.energy[k]), labels.forces[k]
    if not energy:
        raise DataError(f"every calculation at {plan.level} failed ({rejected[0]['reason']}): nothing was written")
    level = get_level(plan.level)
    manifest = Manifest(
        molecules=(),
        n_atoms=(),
        n_bonds=(),
        level=level.describe(),
        settings=plan.record(),
        tuning_frames=tuning_frames,
        rejected=tuple(rejected),
        created={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("compbench_jax", "numpy", "ase", *level.packages)},
        },
    )
    trajectories = list(_trajectories(plan, energy, forces))
    write_store(plan.out, manifest, [source.graphs[index] for index in plan.molecules], trajectories)


def _trajectories(plan: Relabelling, energy: dict[int, float], forces: dict[int, np.ndarray]) -> list[Trajectory]:
    source, place = plan.source, {index: i for i, index in enumerate(plan.molecules)}
    groups: dict[tuple[int, int, int], list[int]] = {}
    for frame in sorted(energy):
        groups.setdefault((source.molecule[frame], source.set[frame], source.segment[frame]), []).append(frame)
    result = []
    for (molecule, set, segment), frames in groups.items():
        n_atoms = source.graphs[molecule].n_atoms
        result.append(
            Trajectory(
                molecule=place[int(molecule)],
                set=SETS[set],
                segment=int(segment),
                positions=source.gather(np.array(frames)).positions.reshape(len(frames), n_atoms, 3),
                forces=np.array([forces[k] for k in frames]),
                energy=np.array([energy[k] for k in frames]),
                time=source.time[frames],
                temperature=source.temperature[frames],
            )
        )
    return result
