"""One segment: Langevin dynamics from a conformer, or from a pair of them in contact, its frames labelled."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.bonds import changed_bond
from compbench_jax.labelling.integrator import BAOAB
from compbench_jax.labelling.levels import Level
from compbench_jax.labelling.settings import SamplingSettings
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.molecules.pairs import start_geometry

SET_CODES = {"primary": 0, "secondary": 1}


@dataclass(frozen=True, eq=False)
class Segment:
    """Frames of one trajectory and what was thrown away on the way to it.

    Attributes:
        positions: Å, float32 ``[n_frames, n_atoms, 3]``, centre of mass at the origin.
        forces: eV/Å, float32 ``[n_frames, n_atoms, 3]``.
        energy: eV, float64 ``[n_frames]``.
        time: fs since the end of the equilibration, float32 ``[n_frames]``.
        temperature: kinetic temperature of the vibrations, K, float32 ``[n_frames]``.
        rejected: one record for each attempt whose bonds changed or whose SCF failed.
    """

    positions: np.ndarray
    forces: np.ndarray
    energy: np.ndarray
    time: np.ndarray
    temperature: np.ndarray
    rejected: tuple[dict[str, Any], ...]


def segment_seeds(root: int, inchikey: str, set: str, segment: int, attempt: int) -> np.random.SeedSequence:
    """Seed of one attempt at one segment; different for every molecule, set, segment and attempt."""
    return np.random.SeedSequence([root, int.from_bytes(inchikey.encode(), "big"), SET_CODES[set], segment, attempt])


def run_segment(
    graph: MolecularGraph, level: Level, settings: SamplingSettings, set: str, segment: int, n_frames: int
) -> Segment:
    """Sample and label one segment, starting again from the next seed when a bond breaks or forms.

    Raises:
        CompBenchError: no attempt out of ``settings.max_attempts`` kept its bonds.
    """
    from ase.calculators.calculator import CalculationFailed

    rejected: list[dict[str, Any]] = []
    for attempt in range(settings.max_attempts):
        seeds = segment_seeds(settings.seed, graph.molecule.inchikey, set, segment, attempt)
        try:
            result = _attempt(graph, level, settings, n_frames, seeds)
        except CalculationFailed as error:
            result = f"SCF failed: {str(error).splitlines()[0]}"
        if isinstance(result, Segment):
            return Segment(**{**vars(result), "rejected": tuple(rejected)})
        rejected.append(
            {
                "molecule": graph.molecule.name,
                "set": set,
                "segment": segment,
                "attempt": attempt,
                "reason": result,
            }
        )
    raise CompBenchError(
        f"{graph.molecule.name}, {set} segment {segment}: {settings.max_attempts} trajectories were rejected "
        f"(last: {rejected[-1]['reason']}): lower the temperature or raise --settings.max-attempts"
    )


def _attempt(
    graph: MolecularGraph,
    level: Level,
    settings: SamplingSettings,
    n_frames: int,
    seeds: np.random.SeedSequence,
) -> Segment | str:
    """One trajectory, or the reason why it is rejected."""
    from ase import Atoms, units
    from ase.md.velocitydistribution import thermalize_momenta

    conformer_seed, dynamics_seed = seeds.spawn(2)
    start = start_geometry(graph.molecule, int(conformer_seed.generate_state(1)[0] % 2**31))
    rng = np.random.default_rng(dynamics_seed)
    atoms = Atoms(graph.numbers, start, calculator=level.calculator(settings.scf_looseness))
    # The conformer is near a minimum and holds no potential energy. Twice the temperature in the velocities gives each
    # vibration its kT, which the equilibration then only has to distribute over kinetic and potential parts.
    thermalize_momenta(atoms, 2.0 * settings.temperature, rng=rng)
    dynamics = BAOAB(
        atoms,
        settings.time_step * units.fs,
        temperature_K=settings.temperature,
        T_tau=units.fs / settings.friction,
        rng=rng,
    )
    dynamics.run(round(settings.equilibration / settings.time_step))
    stride = round(settings.spacing / settings.time_step)
    positions, forces, energy, temperature = [], [], [], []
    for _ in range(n_frames):
        dynamics.run(stride)
        reason = changed_bond(graph, atoms.positions)
        if reason:
            return reason
        # Labels belong to the geometry as stored: rounded to float32 first, labelled afterwards.
        frame = (atoms.positions - atoms.get_center_of_mass()).astype(np.float32)
        frame_energy, frame_forces = level.label(graph.numbers, frame.astype(np.float64))
        positions.append(frame)
        energy.append(frame_energy)
        forces.append(frame_forces.astype(np.float32))
        velocities = dynamics.half_step_velocities() if settings.half_step_temperature else atoms.get_velocities()
        temperature.append(vibrational_temperature(atoms.positions, velocities, atoms.get_masses()))
    return Segment(
        positions=np.array(positions),
        forces=np.array(forces),
        energy=np.array(energy),
        time=(settings.spacing * np.arange(1, n_frames + 1)).astype(np.float32),
        temperature=np.array(temperature, np.float32),
        rejected=(),
    )


def vibrational_temperature(positions: np.ndarray, velocities: np.ndarray, masses: np.ndarray) -> float:
    """Kinetic temperature, K, of the 3N − 6 degrees of freedom left when translation and rotation are taken out.

    Args:
        positions: Å, ``[n_atoms, 3]``, of a molecule that is not linear.
        velocities: ASE units (Å √(u/eV))⁻¹, ``[n_atoms, 3]``.
        masses: u, ``[n_atoms]``.
    """
    from ase import units

    weight = masses / masses.sum()
    r = positions - weight @ positions
    v = velocities - weight @ velocities
    inertia = np.einsum("i,ij->", masses, r**2) * np.eye(3) - np.einsum("i,ij,ik->jk", masses, r, r)
    omega = np.linalg.solve(inertia, (masses[:, None] * np.cross(r, v)).sum(0))
    v = v - np.cross(omega, r)
    return float((masses[:, None] * v**2).sum() / ((3 * len(masses) - 6) * units.kB))
