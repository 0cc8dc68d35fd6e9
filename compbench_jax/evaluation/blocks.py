"""Derived results as blocks that tables read: each metric with its interval, and what it was taken over."""

from collections.abc import Mapping
from typing import Any

from compbench_jax.evaluation.intervals import Estimate


def section(estimates: Mapping[str, Estimate], counts: Mapping[str, int]) -> dict[str, Any]:
    """One block of results: every metric with value, low, high and what it was taken over, and the counts by
    themselves.

    Args:
        estimates: metrics by name.
        counts: ``n_molecules``, ``n_frames``, ``n_atoms`` (repeated in every metric) and any others (kept
            once).
    """
    repeated = {key: int(counts[key]) for key in ("n_molecules", "n_frames", "n_atoms")}
    metrics = {
        name: {key: rounded(getattr(item, key)) for key in ("value", "low", "high")} | repeated
        for name, item in estimates.items()
    }
    return {**metrics, **{key: int(value) for key, value in counts.items()}}


def rounded(value: float | None) -> float | None:
    """Six significant digits: more is noise, and the file is kept in repositories."""
    return None if value is None else float(f"{value:.5e}")


def estimate_of(block: Mapping[str, Any], metric: str) -> Estimate:
    """A metric read back from a block of results; undefined where the block lacks it."""
    item = block.get(metric)
    if not isinstance(item, Mapping):
        return Estimate(None)
    return Estimate(item.get("value"), item.get("low"), item.get("high"))
