"""Any value of ours as JSON text that people can read and compare."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


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
