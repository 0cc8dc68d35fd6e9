"""Langevin dynamics by the BAOAB splitting, with next to nothing around its arithmetic."""

from typing import Any

import numpy as np


class BAOAB:
    """Integrator of Leimkuhler and Matthews (J. Chem. Phys. 2013, 138, 174102): half a kick, half a drift, the
    Ornstein-Uhlenbeck step of the velocities, half a drift, half a kick.

    Every operation and its order are those of ``ase.md.langevinbaoab.LangevinBAOAB`` at fixed cell, so that
    trajectories are the same to the last bit (a test compares them). What is left out is what a step of a small
    molecule pays more for than for its arithmetic: observers, checks of the calculator's state, a matrix exponential.
    """

    def __init__(
        self, atoms: Any, time_step: float, *, temperature_K: float, T_tau: float, rng: np.random.Generator
    ) -> None:
        """Begin at the positions and momenta of ``atoms``, whose calculator is asked for the forces at once.

        Args:
            atoms: ASE atoms with a calculator and momenta, without constraints; positions and momenta are updated.
            time_step: in ASE's unit of time.
            temperature_K: of the thermostat.
            T_tau: time in which velocities are forgotten, in ASE's unit of time.
            rng: of the thermostat.
        """
        from ase import units
        from scipy.linalg import expm

        self.atoms, self.rng = atoms, rng
        self.half_step = 0.5 * time_step
        gamma = 1.0 / T_tau
        sigma = np.sqrt(2.0 * gamma * units.kB * temperature_K)
        self.noise = (sigma / np.sqrt(2.0 * gamma)) * np.sqrt(1.0 - np.exp(-2.0 * gamma * time_step))
        self.decay = expm(-(gamma * np.identity(3)) * time_step).T
        self.masses = atoms.get_masses()[:, np.newaxis]
        self.root_masses = np.sqrt(self.masses)
        self.kick = self.half_step * (atoms.get_forces() / self.masses)

    def half_step_velocities(self) -> np.ndarray:
        """Velocities before the second half kick of the last step, ``[n_atoms, 3]``.

        Of a harmonic vibration they have the variance kT/m at any time step, as its positions have kT/k, whereas those
        after the kick have (1 − ω² Δt² / 4) kT/m (Zhang et al., J. Phys. Chem. A 2019, 123, 6056, on the same scheme).
        """
        return self.atoms.arrays["momenta"] / self.masses - self.kick

    def run(self, steps: int) -> None:
        """Go on for this many steps."""
        positions, momenta = self.atoms.positions, self.atoms.arrays["momenta"]
        masses, half = self.masses, self.half_step
        for _ in range(steps):
            # Velocities go through momenta and back, as ASE's atoms keep them: the last bits depend on it.
            momentum = masses * (momenta / masses + self.kick)
            velocity = momentum / masses
            positions += half * velocity
            velocity = velocity @ self.decay
            velocity += self.noise * (self.rng.normal(size=positions.shape) / self.root_masses)
            velocity = (masses * velocity) / masses
            positions += half * velocity
            self.kick = half * (self.atoms.get_forces() / masses)
            momenta[:] = masses * (velocity + self.kick)
