"""Shards: one labelled segment a file, named by what it contains, so that work is never done twice."""

import hashlib
import io
import json
import struct
import tokenize
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from compbench_jax._version import __version__
from compbench_jax.files import write_atomically
from compbench_jax.labelling.dynamics import Segment, run_segment
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.settings import SamplingSettings
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule

SHARD_FORMAT = 1

DAMAGED = (ValueError, TypeError, KeyError, AttributeError, EOFError, OSError, RecursionError, zipfile.BadZipFile,
           zlib.error, struct.error, tokenize.TokenError, NotImplementedError, OverflowError)  # fmt: skip
"""What reading an archive raises that is not whole."""


@dataclass(frozen=True)
class ShardJob:
    """One segment to sample and label, and the folder to leave it in."""

    folder: str
    molecule: Molecule
    level: str
    settings: SamplingSettings
    set: str
    segment: int
    n_frames: int

    def __str__(self) -> str:
        """How messages name the job."""
        return f"{self.molecule.name}, {self.set} segment {self.segment}"

    @property
    def path(self) -> Path:
        """File of the shard; its name is a hash of everything that decides its content."""
        return Path(self.folder) / f"{shard_key(self)}.npz"


def shard_key(job: ShardJob) -> str:
    """Content address of a job: molecule, level with program version, settings, set, segment and number of frames."""
    sampling = asdict(job.settings)
    # How many other segments and frames there are does not change this one.
    for name in (
        "primary_frames",
        "primary_segments",
        "secondary_frames",
        "secondary_segments",
        "tuning_frames",
    ):
        del sampling[name]
    content = {
        "format": SHARD_FORMAT,
        "program": __version__,
        "inchikey": job.molecule.inchikey,
        "level": get_level(job.level).describe(),
        "sampling": sampling,
        "set": job.set,
        "segment": job.segment,
        "n_frames": job.n_frames,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def make_shard(job: ShardJob) -> str:
    """Sample and label the job's segment and write its shard; returns the path. Runs in a worker."""
    graph = molecular_graph(job.molecule)
    segment = run_segment(graph, get_level(job.level), job.settings, job.set, job.segment, job.n_frames)
    write_shard(job, segment)
    return str(job.path)


def write_shard(job: ShardJob, segment: Segment) -> None:
    """Keep the job's segment in its shard."""
    buffer = io.BytesIO()
    arrays = {field.name: getattr(segment, field.name) for field in fields(Segment) if field.name != "rejected"}
    rejected = np.frombuffer(json.dumps(segment.rejected).encode(), np.uint8)
    np.savez(buffer, rejected=rejected, **arrays)
    write_atomically(job.path, buffer.getvalue())


def read_shard(job: ShardJob) -> Segment | None:
    """The job's segment, or None if its shard is absent or not whole (it is then made again)."""
    n_frames, n_atoms = job.n_frames, len(molecular_graph(job.molecule).numbers)
    shapes = {"positions": (n_frames, n_atoms, 3), "forces": (n_frames, n_atoms, 3)}
    try:
        require_plain(job.path)
        with np.load(job.path, allow_pickle=False) as file:
            content = {field.name: file[field.name] for field in fields(Segment)}
        rejected = tuple(json.loads(content.pop("rejected").tobytes()))
    except DAMAGED:
        return None
    whole = all(array.shape == shapes.get(name, (n_frames,)) for name, array in content.items())
    return Segment(**content, rejected=rejected) if whole else None


def require_plain(path: Path) -> None:
    """Raise ``FileNotFoundError`` where there is no plain file; reading from a pipe would wait for ever."""
    if not path.is_file():
        raise FileNotFoundError(path)
