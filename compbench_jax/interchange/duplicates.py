"""Geometries that occur twice."""

import numpy as np

TOLERANCE = 1e-6
"""Å by which each coordinate of a repeated geometry may differ."""

PROJECTIONS = 8


class Duplicates:
    """Remembers the geometries of one molecule by eight random projections each (64 bytes, not a geometry).

    Two geometries that agree within the tolerance agree in every projection within the tolerance times the sum of
    the projection's weights, so none is missed; that different ones do is possible only if they lie within some 1e-5 Å.
    """

    def __init__(self, n_atoms: int):
        self._weights = np.random.default_rng(0).normal(size=(3 * n_atoms, PROJECTIONS))
        self._limits = TOLERANCE * np.abs(self._weights).sum(axis=0)
        self._seen: dict[int, list[np.ndarray]] = {}

    def repeated(self, positions: np.ndarray) -> np.ndarray:
        """Say for each geometry (Å, ``[n, n_atoms, 3]``) whether it was there before, bool ``[n]``, and remember it."""
        prints = positions.reshape(len(positions), -1).astype(np.float64) @ self._weights
        cells = np.floor(prints[:, 0] / self._limits[0]).astype(np.int64)
        result = np.zeros(len(positions), bool)
        for k, (cell, mark) in enumerate(zip(cells.tolist(), prints, strict=True)):
            near = (other for c in (cell - 1, cell, cell + 1) for other in self._seen.get(c, ()))
            if any((np.abs(mark - other) <= self._limits).all() for other in near):
                result[k] = True
            else:
                self._seen.setdefault(cell, []).append(mark)
        return result
