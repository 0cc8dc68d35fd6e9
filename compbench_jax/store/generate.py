"""Generating a store: shards over workers, resumed where they are, then assembled."""

import itertools
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.labelling.dynamics import Segment
from compbench_jax.labelling.executors import Executor
from compbench_jax.labelling.jobs import run_jobs
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.sampling_job import SamplingJob
from compbench_jax.labelling.settings import SamplingSettings
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.pairs import pair_of
from compbench_jax.store.manifest import MANIFEST, Manifest, read_manifest
from compbench_jax.store.store import SETS, FrameStore, open_store
from compbench_jax.store.target import SHARDS, check_target, remove_shards, shards_in, writing
from compbench_jax.store.writer import Trajectory, write_store

PAIR_SEGMENT = 5
"""Frames of a pair from one placement."""

PAIR_FRAMES = "pair_frames"
"""Setting in the manifest of a data set that has pairs."""

FURTHER_SEGMENT = 100
"""Fewest frames of a further trajectory of a training molecule, unless there are fewer in all: of shorter ones much of
the work would be equilibration."""

TRAINING_FRAMES = "training_frames"
"""Setting in the manifest of a data set whose training molecules have more primary frames than the others."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides the content of a generated store.

    Attributes:
        out: folder of the store.
        molecules: what is sampled, in the order of the store.
        level: name of the level of theory.
        settings: how.
        preset: name of the preset the settings came from, for the record.
        trained: training molecules of a task.
        training_frames: primary frames of each of those; 0: as many as of the others. The first are those of the
            settings, more come from further trajectories.
        pair_frames: primary frames of every two training molecules, and of each with itself, in contact;
            :data:`PAIR_SEGMENT` from one placement.
    """

    out: Path
    molecules: tuple[Molecule, ...]
    level: str
    settings: SamplingSettings
    preset: str
    trained: tuple[Molecule, ...] = ()
    training_frames: int = 0
    pair_frames: int = 0

    @cached_property
    def everything(self) -> tuple[Molecule, ...]:
        """The molecules, then the pairs."""
        pairs = itertools.combinations_with_replacement(self.trained, 2) if self.pair_frames else ()
        return (*self.molecules, *(pair_of(*pair) for pair in pairs))

    def jobs(self) -> list[SamplingJob]:
        """One job a segment, in the order of the store."""
        folder = str(self.out.resolve() / SHARDS)  # workers of a cluster start in folders of their own
        return [
            SamplingJob(folder, molecule, self.level, self.settings, set, segment, n_frames)
            for k, molecule in enumerate(self.everything)
            for set in (SETS if k < len(self.molecules) else SETS[:1])
            for segment, n_frames in enumerate(self._segments(molecule, set, k >= len(self.molecules)))
        ]

    def _segments(self, molecule: Molecule, set: str, is_pair: bool) -> list[int]:
        """Number of frames of each segment."""
        if is_pair:
            return [min(PAIR_SEGMENT, self.pair_frames - k) for k in range(0, self.pair_frames, PAIR_SEGMENT)]
        segments = self.settings.segments(set)
        further = self.training_frames - sum(segments) if set == SETS[0] and molecule in self.trained else 0
        if further <= 0:
            return segments
        count = max(1, further // FURTHER_SEGMENT)
        return [*segments, *(further // count + (k < further % count) for k in range(count))]

    def manifest_settings(self) -> dict[str, Any]:
        """The settings as the manifest records them."""
        settings = {"preset": self.preset, **asdict(self.settings)}
        more = {TRAINING_FRAMES: self.training_frames, PAIR_FRAMES: self.pair_frames}
        return settings | {name: frames for name, frames in more.items() if frames}


def is_complete(plan: Plan) -> bool:
    """Whether the plan's store is already there.

    Raises:
        DataError: the folder holds another store.
    """
    if not (plan.out / MANIFEST).exists():
        return False
    manifest = read_manifest(plan.out)
    same = (
        manifest.settings == plan.manifest_settings()
        and manifest.level == get_level(plan.level).describe()
        and manifest.molecules == plan.everything
    )
    if not same:
        raise DataError(
            f"{plan.out} already holds a data set made with other settings: choose another --out, or remove it"
        )
    return True


def generate(
    plan: Plan,
    executor: Executor,
    on_start: Callable[[int, int], None],
    on_done: Callable[[], None],
    part: tuple[int, int] | None = None,
) -> Manifest | None:
    """Make the plan's store, taking over every shard that is already whole.

    Args:
        plan: what to make.
        executor: who makes the shards.
        on_start: called once with the number of segments done and in all.
        on_done: called after each further segment.
        part: ``(k, n)`` makes the k-th of n parts of the shards, counted from 1, and stops there: for job arrays.

    Returns:
        The manifest of the finished store, whose shards are then removed; None for a part.

    Raises:
        CompBenchError: what the executor or a segment raises, a shard that is not to be seen from here, another
            process at work in the folder, or a file of the user's that the store would replace.
    """
    if not is_complete(plan):
        with writing(plan.out, shared=part is not None):
            if not is_complete(plan):  # another process may have finished it
                check_target(plan.out, bool(shards_in(plan.out)))
                _make(plan, executor, on_start, on_done, part)
    if part is not None:
        return None
    remove_shards(plan.out)
    return read_manifest(plan.out)


def _make(
    plan: Plan,
    executor: Executor,
    on_start: Callable[[int, int], None],
    on_done: Callable[[], None],
    part: tuple[int, int] | None,
) -> None:
    """Make the shards that are missing and, unless only a part was asked for, the store."""
    jobs = plan.jobs()
    wanted = jobs if part is None else part_of(jobs, *part)
    (plan.out / SHARDS).mkdir(exist_ok=True)
    run_jobs(wanted, lambda job: job.read() is not None, executor, on_start, on_done)
    if part is None:
        assemble(plan, jobs)


def take_over(plan: Plan, path: Path) -> int:
    """Take over the segments that another store already has, byte for byte: those of the same molecules and settings.

    Args:
        plan: what is to be made.
        path: folder of the other store.

    Returns:
        Number of segments taken over; those whose shard is there already are not counted.

    Raises:
        DataError: the other store is damaged, of another level of theory, or was sampled with other settings.
    """
    if is_complete(plan):
        return 0
    store = open_store(path, checksums=True)
    if store.manifest.level != get_level(plan.level).describe():
        raise DataError(f"{path} has labels of another level of theory or version than {plan.level}: leave it out")
    # A setting that an older version did not have stood at what is now its default.
    defaults = asdict(SamplingSettings())
    other, own = (
        {**defaults, **s, "preset": "", TRAINING_FRAMES: 0, PAIR_FRAMES: 0}
        for s in (store.manifest.settings, plan.manifest_settings())
    )
    if other != own:
        names = ", ".join(sorted(name for name in {*other, *own} if other.get(name) != own.get(name)))
        raise DataError(f"{path} was sampled with other settings ({names}): leave it out, or give the same settings")
    with writing(plan.out):
        check_target(plan.out, bool(shards_in(plan.out)))
        (plan.out / SHARDS).mkdir(exist_ok=True)
        return _copy_segments(plan, store)


def _copy_segments(plan: Plan, store: FrameStore) -> int:
    """Write the shards that a store has the segments of, and say how many."""
    index = {graph.molecule.inchikey: m for m, graph in enumerate(store.graphs)}
    taken = 0
    for job in plan.jobs():
        m = index.get(job.molecule.inchikey)
        if m is None or job.read() is not None:
            continue
        graph, expected = store.graphs[m], molecular_graph(job.molecule)
        if not (np.array_equal(graph.numbers, expected.numbers) and np.array_equal(graph.bonds, expected.bonds)):
            continue  # another order of the atoms: made again
        own_frames = store.select(m, job.set)
        frames = own_frames[store.segment[own_frames] == job.segment]
        if len(frames) != job.n_frames:
            continue
        gathered = store.gather(frames)
        shape = (len(frames), graph.n_atoms, 3)
        rejected = [
            record
            for record in store.manifest.rejected
            if [record.get(key) for key in ("molecule", "set", "segment")]
            == [graph.molecule.name, job.set, job.segment]
        ]
        job.write(
            Segment(
                positions=gathered.positions.reshape(shape),
                forces=gathered.forces.reshape(shape),
                energy=gathered.energy,
                time=store.time[frames],
                temperature=store.temperature[frames],
                rejected=tuple(rejected),
            ),
        )
        taken += 1
    return taken


def part_of(jobs: Sequence[SamplingJob], k: int, n: int) -> list[SamplingJob]:
    """The k-th of n parts of the jobs, counted from 1: disjoint, together all of them, and about as long as each other.

    Raises:
        CompBenchError: k is not in 1 … n.
    """
    if not 1 <= k <= n:
        raise CompBenchError(f"part {k}/{n} does not exist: give K/N with K from 1 to N")
    return sorted(jobs, key=lambda job: -job.size)[k - 1 :: n]


def assemble(plan: Plan, jobs: Sequence[SamplingJob]) -> Manifest:
    """Write the store from its shards."""
    index = {molecule.inchikey: i for i, molecule in enumerate(plan.everything)}
    trajectories: list[Trajectory] = []
    rejected: list[dict[str, Any]] = []
    for job in jobs:
        segment = job.read()
        if segment is None:
            raise DataError(
                f"{job.path} vanished or was damaged while the data set was being written: rerun the command"
            )
        rejected.extend(segment.rejected)
        trajectories.append(
            Trajectory(
                molecule=index[job.molecule.inchikey],
                set=job.set,
                segment=job.segment,
                positions=segment.positions,
                forces=segment.forces,
                energy=segment.energy,
                time=segment.time,
                temperature=segment.temperature,
            )
        )
    level = get_level(plan.level)
    manifest = Manifest(
        molecules=plan.everything,
        n_atoms=(),
        n_bonds=(),
        level=level.describe(),
        settings=plan.manifest_settings(),
        tuning_frames=plan.settings.tuning_frames,
        rejected=tuple(rejected),
        created={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("compbench_jax", "numpy", "ase", "rdkit", *level.packages)},
        },
    )
    return write_store(plan.out, manifest, [molecular_graph(m) for m in plan.everything], trajectories)
