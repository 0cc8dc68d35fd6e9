"""Whether the secondary set of a molecule visits what its primary set visits."""

from dataclasses import dataclass

import numpy as np

from compbench_jax.store.torsions import angle_difference, torsion_histogram

BINS = 12
"""Bins of 30° for overlaps molecule by molecule: few frames would leave finer ones empty by chance."""

NEAR = 30.0
"""Degrees; a frame is covered if another's torsions differ by less than this (root mean square)."""

DRAWS = 50
BLOCK = 64
"""Frames compared at once with all frames of the other set."""


@dataclass(frozen=True)
class Coverage:
    """How well the primary frames of a molecule cover its secondary frames, by their backbone torsions.

    Attributes:
        overlap: 1 − total variation distance of the torsion histograms of both sets (bins of 30°), mean over torsions;
            1 for equal distributions, 0 for disjoint ones.
        overlap_redealt: the same, when the segments of both sets are assigned at random (mean over draws): what two
            samples of this size from one distribution reach. Far below it, ``overlap`` means that the sets differ.
        nearest_median: median over secondary frames of the distance to the nearest primary frame, degrees: root mean
            square difference of their torsions, mirror images counted as the same.
        covered: share of the secondary frames for which this distance is below 30°.
    """

    overlap: float
    overlap_redealt: float
    nearest_median: float
    covered: float


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """1 − total variation distance = Σ_i min(p_i, q_i) of histograms along the last axis, normalised here."""
    p = first / first.sum(axis=-1, keepdims=True)
    q = second / second.sum(axis=-1, keepdims=True)
    return np.minimum(p, q).sum(axis=-1)


def coverage(angles: np.ndarray, secondary: np.ndarray, segments: np.ndarray, seed: int = 0) -> Coverage | None:
    """Compare the two sets of one molecule.

    Args:
        angles: torsions, degrees, ``[n_frames, n_torsions]``.
        secondary: whether a frame is of the secondary set, bool ``[n_frames]``.
        segments: number of the trajectory of each frame, different in the two sets, ``[n_frames]``.
        seed: of the random splits.

    Returns:
        None if the molecule has no torsion or only one set.
    """
    if not angles.shape[1] or secondary.all() or not secondary.any():
        return None
    counts, of_secondary = [], []
    for segment in np.unique(segments):
        own = segments == segment
        counts.append(torsion_histogram(angles[own], BINS))
        of_secondary.append(bool(secondary[own][0]))
    histograms, dealt = np.array(counts), np.array(of_secondary)

    def of_deal(chosen: np.ndarray) -> float:
        return float(overlap(histograms[~chosen].sum(axis=0), histograms[chosen].sum(axis=0)).mean())

    rng = np.random.default_rng(seed)
    redealt = [of_deal(rng.permutation(dealt)) for _ in range(DRAWS)]
    distances = nearest_distances(angles[secondary], angles[~secondary])
    return Coverage(
        overlap=of_deal(dealt),
        overlap_redealt=float(np.mean(redealt)),
        nearest_median=float(np.median(distances)),
        covered=float((distances < NEAR).mean()),
    )


def nearest_distances(angles: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each frame to the nearest of the others, degrees, float64 ``[n_frames]``.

    The distance is the root mean square over torsions of their difference; a frame and its mirror image (all torsions
    with the other sign) are the same, since they have the same energy.

    Args:
        angles: degrees, ``[n_frames, n_torsions]``.
        others: degrees, ``[n_others, n_torsions]``.
    """
    result = np.empty(len(angles))
    for start in range(0, len(angles), BLOCK):
        block = angles[start : start + BLOCK, None]
        squares = [(angle_difference(block, image) ** 2).mean(axis=-1).min(axis=1) for image in (others, -others)]
        result[start : start + BLOCK] = np.sqrt(np.minimum(*squares))
    return result
