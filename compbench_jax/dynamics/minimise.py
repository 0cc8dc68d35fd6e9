"""Minimising an energy by BFGS, for one molecule: small steps, no line search, the caller computes the forces."""

import numpy as np

STEP = 0.15
"""Å; the farthest an atom is moved at a time."""

STIFFNESS = 70.0
"""eV/Å²; curvature assumed in all directions where nothing is known yet (between a stretch and a torsion)."""

SOFTEST = 0.5
"""eV/Å²; curvatures below this are taken for this, so that flat and concave directions are walked along, not jumped."""


class BFGS:
    """The matrix of Broyden, Fletcher, Goldfarb and Shanno (Nocedal and Wright, Numerical Optimization, eq. 6.19).

    Args:
        n_atoms: of the molecule.
        hessian: eV/Å² ``[3 n, 3 n]`` to begin with, if one is known that is about right.
    """

    def __init__(self, n_atoms: int, hessian: np.ndarray | None = None):
        if hessian is None:
            self.hessian = STIFFNESS * np.eye(3 * n_atoms)
        else:
            values, vectors = np.linalg.eigh(0.5 * (hessian + hessian.T))
            self.hessian = (vectors * np.maximum(np.abs(values), SOFTEST)) @ vectors.T
        self._before: tuple[np.ndarray, np.ndarray] | None = None

    def step(self, positions: np.ndarray, forces: np.ndarray) -> np.ndarray:
        """The next positions, Å ``[n_atoms, 3]``, from the forces (eV/Å) at the present ones."""
        x, gradient = positions.ravel(), -forces.ravel()
        if self._before is not None:
            s, y = x - self._before[0], gradient - self._before[1]
            if s @ s > 1e-16:
                hs = self.hessian @ s
                # A curvature that is not positive would make the matrix indefinite: the step is made without it.
                if s @ y > 1e-3 * (s @ hs):
                    self.hessian += np.outer(y, y) / (s @ y) - np.outer(hs, hs) / (s @ hs)
        self._before = x.copy(), gradient
        values, vectors = np.linalg.eigh(self.hessian)
        move = -(vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), SOFTEST))).reshape(-1, 3)
        longest = np.linalg.norm(move, axis=1).max()
        return positions + move * min(1.0, STEP / longest if longest else 1.0)


def largest_force(forces: np.ndarray) -> float:
    """Longest force on an atom, eV/Å."""
    return float(np.sqrt((forces**2).sum(axis=1).max()))
