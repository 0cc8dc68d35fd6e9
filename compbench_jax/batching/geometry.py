"""Geometries from outside, one or several: refused where they mean nothing, centred so that float32 resolves them."""

from dataclasses import replace

import numpy as np
from ase.data import chemical_symbols
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from compbench_jax.batching.neighbours import EdgeLists
from compbench_jax.errors import DataError
from compbench_jax.store.frames import Frames

CLOSEST = 0.2
"""Å; atoms nearer than this are no molecule (the shortest bond, of H₂, has 0.74 Å), and no potential has seen them."""

COARSEST = 2e-4
"""Å; largest spacing of two numbers at a position: stiff bonds turn it into a force error of about 0.01 eV/Å."""


def refuse_unresolved(frames: Frames, dtype: type = np.float64) -> None:
    """Raise a :class:`DataError` that names the first atom whose position is not finite, or too large for its digits.

    Args:
        frames: positions in Å.
        dtype: of the numbers that are to hold them.
    """
    bad = ~(np.abs(frames.positions) * np.finfo(dtype).eps <= COARSEST).all(axis=1)
    if not bad.any():
        return
    atom = int(np.argmax(bad))
    if not np.isfinite(frames.positions[atom]).all():
        raise DataError(
            f"{_name(frames, atom)} has a position that is not finite: has the simulation blown up? Go back to a sane "
            "geometry, with a shorter time step"
        )
    raise DataError(
        f"{_name(frames, atom)} is {np.abs(frames.positions[atom]).max():.3g} Å away, where {np.dtype(dtype).name} "
        "resolves no bond: compute molecules that are so far apart one by one"
    )


def refuse_overlapping(frames: Frames, edges: EdgeLists) -> None:
    """Raise a :class:`DataError` that names the closest pair of atoms if they are nearer than ``CLOSEST``.

    Args:
        frames: positions in Å.
        edges: of these frames, with a cutoff above ``CLOSEST``.
    """
    senders, receivers = _pairs(frames, edges)
    if not len(senders):
        return
    square = ((frames.positions[receivers].astype(np.float64) - frames.positions[senders]) ** 2).sum(axis=1)
    pair = int(np.argmin(square))
    if square[pair] < CLOSEST**2:
        first, second = sorted((int(senders[pair]), int(receivers[pair])))
        raise DataError(
            f"{_name(frames, first)} and {_name(frames, second)} are {square[pair] ** 0.5:.3g} Å apart, and no "
            f"potential holds below {CLOSEST} Å: check the geometry, or take a shorter time step"
        )


def centred(
    frames: Frames, edges: EdgeLists, dtype: type, *, whole: bool = False, bonds: np.ndarray | None = None
) -> Frames:
    """Move every connected part to the origin, so that float32 has digits left for it wherever it is.

    A potential sees differences of positions along edges and bonds only, which no part has to another, unless it has
    long-range terms: then frames are moved as a whole.

    Args:
        frames: positions in Å, float64.
        edges: of these frames.
        dtype: of the positions that are returned.
        whole: keep the parts of a frame where they are to each other.
        bonds: atoms of the frame bonded to each atom, or itself, ``[n_atoms, n]``, for potentials that are told bonds.

    Raises:
        DataError: a part, or a frame if ``whole``, is so large that ``dtype`` does not resolve its bonds.
    """
    n_atoms = len(frames.numbers)
    if whole:
        part = np.repeat(np.arange(frames.n_frames), frames.n_atoms)
    else:
        first, second = _pairs(frames, edges)
        if bonds is not None:
            start = np.repeat(frames.offsets[:-1], frames.n_atoms)
            first = np.concatenate([first, (bonds + start[:, None]).ravel()])
            second = np.concatenate([second, np.repeat(np.arange(n_atoms), bonds.shape[1])])
        joined = coo_array((np.ones(len(first), bool), (first, second)), shape=(n_atoms, n_atoms))
        part = connected_components(joined, directed=False)[1]
    sums = np.stack([np.bincount(part, weights=column) for column in frames.positions.T], axis=1)
    middle = sums / np.maximum(np.bincount(part), 1)[:, None]
    moved = replace(frames, positions=frames.positions - middle[part])
    refuse_unresolved(moved, dtype)
    return replace(moved, positions=moved.positions.astype(dtype))


def _pairs(frames: Frames, edges: EdgeLists) -> tuple[np.ndarray, np.ndarray]:
    """Senders and receivers as rows of all atoms, ``[n_edges]`` each."""
    shift = np.repeat(frames.offsets[:-1], edges.n_edges)
    return edges.senders + shift, edges.receivers + shift


def _name(frames: Frames, atom: int) -> str:
    """An atom in words: its index within its geometry and its element, and the geometry if there are several."""
    owner = int(np.searchsorted(frames.offsets, atom, "right")) - 1
    words = f"atom {atom - int(frames.offsets[owner])} ({chemical_symbols[frames.numbers[atom]]})"
    return words if frames.n_frames == 1 else f"{words} of structure {owner}"
