"""How alike successive frames of a segment are."""

import numpy as np


def segment_autocorrelation(values: np.ndarray, segments: np.ndarray, max_lag: int) -> np.ndarray:
    """ρ(k) = ⟨x_t · x_{t+k}⟩ / ⟨x_t · x_t⟩ for k = 1 … max_lag, float64 ``[max_lag]``.

    The numerator is the mean over all pairs of frames k apart in the same segment, the denominator over all frames.
    ``values`` are deviations from a mean that all segments share, not from each segment's own: what stays the same all
    through a segment (its conformer) then counts as correlation, as it does for whoever learns from the frames.

    Args:
        values: deviations, ``[n_frames, dimension]``, in the order of time within each segment.
        segments: number of the segment of each frame, ``[n_frames]``, equal numbers side by side.
        max_lag: largest k.

    Returns:
        NaN where no segment is long enough, and everywhere if nothing varies.
    """
    values = np.asarray(values, np.float64).reshape(len(segments), -1)
    variance = np.einsum("td,td->", values, values) / max(len(values), 1)
    result = np.full(max_lag, np.nan)
    if not variance > 0:
        return result
    for k in range(1, min(max_lag, len(values) - 1) + 1):
        same = segments[:-k] == segments[k:]
        if same.any():
            products = np.einsum("td,td->t", values[:-k], values[k:])
            result[k - 1] = products[same].mean() / variance
    return result


def statistical_inefficiency(correlation: np.ndarray, length: int) -> float | None:
    """Frames of a segment that carry as much as one independent frame: g = 1 + 2 Σ_k (1 − k/L) ρ(k).

    The sum ends before the first ρ(k) that is not positive, where noise takes over. g lies between 1 and L. (Chodera
    et al., J. Chem. Theory Comput. 2007, 3, 26, eq. 8 to 10, for a known mean.)

    Args:
        correlation: ρ(1), ρ(2), …; NaN where unknown.
        length: frames per segment.

    Returns:
        None if not even ρ(1) is known.
    """
    known = correlation[: length - 1]
    if not len(known) or np.isnan(known[0]):
        return None
    stop = np.flatnonzero(~(known > 0))
    lags = np.arange(1, 1 + (int(stop[0]) if len(stop) else len(known)))
    total = 1.0 + 2.0 * float(((1.0 - lags / length) * known[: len(lags)]).sum())
    return min(total, float(length))


def deviations(values: np.ndarray) -> np.ndarray:
    """Values less their mean over frames, float64 ``[n_frames, dimension]``."""
    values = np.asarray(values, np.float64).reshape(len(values), -1)
    return values - values.mean(axis=0)


def heavy_distances(positions: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Distances between all heavy atoms, ``[n_frames, n_pairs]``: the shape without place and orientation.

    All atoms count where fewer than two are heavy.
    """
    chosen = np.flatnonzero(numbers > 1)
    if len(chosen) < 2:
        chosen = np.arange(len(numbers))
    first, second = np.triu_indices(len(chosen), 1)
    points = np.asarray(positions, np.float64)[:, chosen]
    return np.linalg.norm(points[:, first] - points[:, second], axis=-1)


def unit_vectors(angles: np.ndarray) -> np.ndarray:
    """Angles (degrees, ``[n_frames, n]``) as points of the unit circle, ``[n_frames, 2n]``: no jump at ±180°."""
    radians = np.radians(angles)
    return np.concatenate([np.cos(radians), np.sin(radians)], axis=1)
