"""The job of a generated data set: sample one segment by Langevin dynamics, and label its frames."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path

from compbench_jax.labelling.dynamics import Segment, run_segment
from compbench_jax.labelling.jobs import content_address, read_result, write_result
from compbench_jax.labelling.levels import get_level
from compbench_jax.labelling.settings import SamplingSettings
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule

FORMAT = 1
ARRAYS = tuple(field.name for field in fields(Segment) if field.name != "rejected")

OF_OTHER_SEGMENTS = (
    "primary_frames",
    "primary_segments",
    "secondary_frames",
    "secondary_segments",
    "tuning_frames",
)
"""Settings that do not change one segment: how many others there are."""


@dataclass(frozen=True)
class SamplingJob:
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
        """File of the segment; its name is a hash of everything that decides its content."""
        sampling = {name: value for name, value in asdict(self.settings).items() if name not in OF_OTHER_SEGMENTS}
        content = {
            "format": FORMAT,
            "inchikey": self.molecule.inchikey,
            "level": get_level(self.level).describe(),
            "sampling": sampling,
            "set": self.set,
            "segment": self.segment,
            "n_frames": self.n_frames,
        }
        return Path(self.folder) / f"{content_address(content)}.npz"

    @property
    def size(self) -> int:
        """Length of the SMILES, which grows with the molecule, and of a pair is that of both."""
        return len(self.molecule.smiles)

    def perform(self) -> None:
        """Sample and label the segment and write its file."""
        graph = molecular_graph(self.molecule)
        self.write(run_segment(graph, get_level(self.level), self.settings, self.set, self.segment, self.n_frames))

    def write(self, segment: Segment) -> None:
        """Keep a segment in the job's file."""
        write_result(self.path, {"rejected": segment.rejected}, {name: getattr(segment, name) for name in ARRAYS})

    def read(self) -> Segment | None:
        """The segment, or None if its file is absent or not whole."""
        content = read_result(self.path, ("rejected",), ARRAYS)
        if content is None or not isinstance(content["rejected"], list):
            return None
        n_frames, n_atoms = self.n_frames, len(molecular_graph(self.molecule).numbers)
        shapes = {"positions": (n_frames, n_atoms, 3), "forces": (n_frames, n_atoms, 3)}
        whole = all(content[name].shape == shapes.get(name, (n_frames,)) for name in ARRAYS)
        return Segment(**{**content, "rejected": tuple(content["rejected"])}) if whole else None
