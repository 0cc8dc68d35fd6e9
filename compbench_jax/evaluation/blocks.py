"""Derived results as tables read them, and the writing of an evaluation's files."""

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.files import write_atomically


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


def plain(value: Any) -> Any:
    """The same value made of JSON types only: NumPy unwrapped, tuples to lists, NaN and infinities to None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def to_json(results: Mapping[str, Any]) -> str:
    """Serialise, one metric a line, so that the file can be read and its changes be seen in a diff."""
    return _write(plain(results), 0) + "\n"


def _write(value: Any, depth: int) -> str:
    leaf = not isinstance(value, dict) or not any(isinstance(item, dict | list) for item in value.values())
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        inner = ",\n".join(" " * (depth + 1) + _write(item, depth + 1) for item in value)
        return f"[\n{inner}\n{' ' * depth}]"
    if leaf:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    inner = ",\n".join(
        f"{' ' * (depth + 1)}{json.dumps(key, ensure_ascii=False)}: {_write(item, depth + 1)}"
        for key, item in value.items()
    )
    return f"{{\n{inner}\n{' ' * depth}}}"


def save(path: Path, content: bytes) -> None:
    """Write a file of a run whole or not at all, a failure being a one-line :class:`RunError`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except OSError as error:
        raise RunError(
            f"cannot write {path} ({error.strerror or error}): free space or check permissions, then rerun"
        ) from error


def array_bytes(array: np.ndarray) -> bytes:
    """An array as the bytes of an ``.npy`` file, never a pickle."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def estimate_of(block: Mapping[str, Any], metric: str) -> Estimate:
    """A metric read back from a block of results; undefined where the block lacks it."""
    item = block.get(metric)
    if not isinstance(item, Mapping):
        return Estimate(None)
    return Estimate(item.get("value"), item.get("low"), item.get("high"))
