"""The job of a data set that is labelled again: energies and forces of a few given geometries."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compbench_jax.labelling.jobs import content_address, read_result, write_result
from compbench_jax.labelling.levels import get_level

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of a job's frames.

    Attributes:
        energy: eV, float64 ``[n_frames]``; NaN where the calculation failed.
        forces: eV/Å, float32 ``[n_frames, n_atoms, 3]``; NaN likewise.
        failures: why, by frame of the job.
    """

    energy: np.ndarray
    forces: np.ndarray
    failures: dict[int, str]


@dataclass(frozen=True, eq=False)
class LabelJob:
    """Geometries of one molecule to label at one level, and the folder to leave the labels in.

    Attributes:
        folder: where the file goes.
        level: name of the level.
        title: what an error message calls the molecule.
        numbers: Z, int32 ``[n_atoms]``.
        positions: Å, float32 ``[n_frames, n_atoms, 3]``.
    """

    folder: str
    level: str
    title: str
    numbers: np.ndarray
    positions: np.ndarray

    def __str__(self) -> str:
        """How messages name the job."""
        return f"{self.title}, {len(self.positions)} frames"

    @property
    def path(self) -> Path:
        """File of the labels; its name is a hash of everything that decides its content."""
        content = {"format": FORMAT, "level": get_level(self.level).describe()}
        arrays = (np.asarray(self.numbers, np.int32), np.asarray(self.positions, np.float32))
        return Path(self.folder) / f"label-{content_address(content, arrays)}.npz"

    @property
    def size(self) -> int:
        """Atoms of the molecule."""
        return len(self.numbers)

    def perform(self) -> None:
        """Label the frames and write the file.

        A calculation that fails is recorded and the next one begins. Labels that the file already has are kept; what
        failed in it is tried again.
        """
        from ase.calculators.calculator import CalculationFailed

        level = get_level(self.level)
        energy = np.full(len(self.positions), np.nan)
        forces = np.full(self.positions.shape, np.nan, np.float32)
        before = self.read()
        if before is not None:
            energy[:], forces[:] = before.energy, before.forces
        failures: dict[int, str] = {}
        for k, frame in enumerate(self.positions):
            if np.isfinite(energy[k]) and np.isfinite(forces[k]).all():
                continue
            try:
                found, gradient = level.label(self.numbers, frame.astype(np.float64))
                if not (np.isfinite(found) and np.isfinite(gradient).all()):
                    raise CalculationFailed("the result is not finite")
                energy[k], forces[k] = found, gradient
            except CalculationFailed as error:
                failures[k] = (str(error) or type(error).__name__).splitlines()[0]
        write_result(self.path, {"failures": sorted(failures.items())}, {"energy": energy, "forces": forces})

    def read(self) -> Labels | None:
        """The labels, or None if their file is absent or not whole."""
        content = read_result(self.path, ("failures",), ("energy", "forces"))
        if content is None:
            return None
        energy, forces = content["energy"], content["forces"]
        try:
            failures = {int(k): str(reason) for k, reason in content["failures"]}
        except (TypeError, ValueError):
            return None
        labelled = np.ones(len(self.positions), bool)
        whole = energy.shape == labelled.shape and forces.shape == self.positions.shape
        if not whole or not set(failures) <= set(range(len(labelled))):
            return None
        labelled[list(failures)] = False
        finite = np.isfinite(energy) & np.isfinite(forces).all(axis=(1, 2))
        return Labels(energy, forces, failures) if finite[labelled].all() else None
