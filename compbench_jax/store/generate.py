"""Generating a store: shards over workers, resumed where they are, then assembled."""

import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from compbench_jax.errors import DataError
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.settings import SamplingSettings
from compbench_jax.labelling.shards import ShardJob, make_shard, read_shard
from compbench_jax.labelling.workers import run_jobs
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.store.manifest import MANIFEST, Manifest, read_manifest
from compbench_jax.store.store import SETS
from compbench_jax.store.writer import Trajectory, write_store

SHARDS = "shards"


@dataclass(frozen=True)
class Plan:
    """Everything that decides the content of a generated store.

    Attributes:
        out: folder of the store.
        molecules: what is sampled, in the order of the store.
        level: name of the level of theory.
        settings: how.
        preset: name of the preset the settings came from, for the record.
    """

    out: Path
    molecules: tuple[Molecule, ...]
    level: str
    settings: SamplingSettings
    preset: str

    def jobs(self) -> list[ShardJob]:
        """One job a segment, in the order of the store."""
        folder = str(self.out / SHARDS)
        return [
            ShardJob(folder, molecule, self.level, self.settings, set, segment, n_frames)
            for molecule in self.molecules
            for set in SETS
            for segment, n_frames in enumerate(self.settings.segments(set))
        ]

    def manifest_settings(self) -> dict[str, Any]:
        """The settings as the manifest records them."""
        return {"preset": self.preset, **asdict(self.settings)}


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
        and manifest.molecules == plan.molecules
    )
    if not same:
        raise DataError(
            f"{plan.out} already holds a store made with other settings: choose another --out, or remove it"
        )
    return True


def generate(plan: Plan, workers: int, on_start: Callable[[int, int], None], on_done: Callable[[], None]) -> Manifest:
    """Make the plan's store, taking over every shard that is already whole.

    Args:
        plan: what to make.
        workers: processes.
        on_start: called once with the number of segments done and in all.
        on_done: called after each further segment.

    Returns:
        The manifest of the finished store. Shards are removed once it is written.
    """
    if not is_complete(plan):
        jobs = plan.jobs()
        (plan.out / SHARDS).mkdir(parents=True, exist_ok=True)
        missing = [job for job in jobs if read_shard(job) is None]
        on_start(len(jobs) - len(missing), len(jobs))
        # Long jobs first, so that no worker is left alone with one at the end.
        missing.sort(key=lambda job: -(job.molecule.n or 0))
        for _ in run_jobs(make_shard, missing, workers):
            on_done()
        assemble(plan, jobs)
    remove_shards(plan.out)
    return read_manifest(plan.out)


def assemble(plan: Plan, jobs: Sequence[ShardJob]) -> Manifest:
    """Write the store from its shards."""
    index = {molecule.inchikey: i for i, molecule in enumerate(plan.molecules)}
    trajectories: list[Trajectory] = []
    rejected: list[dict[str, Any]] = []
    for job in jobs:
        segment = read_shard(job)
        if segment is None:
            raise DataError(
                f"{job.path} vanished or was damaged while the store was being put together: rerun the command"
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
    manifest = Manifest(
        molecules=plan.molecules,
        n_atoms=(),
        n_bonds=(),
        level=get_level(plan.level).describe(),
        settings=plan.manifest_settings(),
        tuning_frames=plan.settings.tuning_frames,
        rejected=tuple(rejected),
        created={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("compbench_jax", "numpy", "ase", "rdkit", "tblite")},
        },
    )
    return write_store(plan.out, manifest, [molecular_graph(m) for m in plan.molecules], trajectories)


def remove_shards(out: Path) -> None:
    """Remove the folder of shards; nothing else is touched."""
    folder = out / SHARDS
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
