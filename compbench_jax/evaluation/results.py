"""``results.json``: its schema, written whole or not at all, and read with checks."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import DataError, RunError
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.files import read_json, write_atomically

SCHEMA_VERSION = 1
FILE = "results.json"
REQUIRED = (
    "schema_version",
    "task",
    "model",
    "seed",
    "data",
    "config",
    "versions",
    "hardware",
    "date",
    "id",
    "ood",
    "ratio",
)
NOTES = {
    "interval": "low and high bound a 95% interval over molecules (ID and OOD independently), jackknife and Student's "
    "t; null with fewer than four molecules, and wherever a value is not defined; one run says nothing of other seeds",
    "ratio": "OOD / ID; of force_cosine, force_cosine_weighted and efwt it is (1 - OOD) / (1 - ID), so that "
    "above 1 always means worse on OOD; its counts are those of ID and OOD together",
    "ratio_largest_id": "the same against only those ID molecules that have the largest n of ID",
    "energy_mae_referenced": "errors after a least-squares fit of the errors on train frames by one energy "
    "per element is taken out",
    "energy_mae_centred": "errors after each molecule's own mean error is taken out (conformational energies)",
    "force_cosine": "atoms whose reference force is below 1e-8 eV/angstrom are left out, and counted in skipped_atoms",
    "efwt": "share of frames with |referenced energy error| below 0.02 eV and every |force component error| below 0.03 "
    "eV/angstrom",
    "by_end_fragment": "molecules with this fragment at one end at least; two different ends count for both",
    "by_ch2": "molecules by their number of CH2: with a fragment at either end, those between the ends",
    "by_force": "atoms by the norm of their reference force, eV/angstrom",
    "by_distance": "OOD atoms by the number of bonds to the nearest atom whose environment is absent from "
    "train; none: no atom of the molecule has such an environment",
    "by_contact": "OOD frames with (novel) and without (known) a pair of close non-bonded atom environments "
    "that never occurs in train",
}


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
    raise TypeError(f"{type(value).__name__} has no place in {FILE}")


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


def write_results(path: Path, results: Mapping[str, Any]) -> None:
    """Write ``results.json`` atomically.

    Raises:
        RunError: the file could not be written (a full disk, say); what was there before is untouched.
    """
    missing = [key for key in REQUIRED if key not in results]
    if missing:
        raise ValueError(f"results lack {', '.join(missing)}")
    save(path, to_json(results).encode())


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


def read_results(path: str | Path) -> dict[str, Any]:
    """Read a ``results.json``, given the file or the folder of its run.

    Raises:
        RunError: no such file, not valid JSON, a newer schema, or a key missing.
    """
    file = Path(path)
    file = file / FILE if file.is_dir() else file
    try:
        if not file.exists():
            raise RunError(f"{file} does not exist: make it with `python evaluate.py --run {file.parent}`")
        results = read_json(file)
    except (OSError, DataError) as error:
        raise RunError(f"{error}; or rerun evaluate.py for this run") from error
    version = results.get("schema_version") if isinstance(results, dict) else None
    if not isinstance(version, int):
        raise RunError(f"{file} is not a {FILE} (it has no schema_version): give a file that evaluate.py wrote")
    if version > SCHEMA_VERSION:
        raise RunError(f"{file} has schema {version}, this program reads up to {SCHEMA_VERSION}: upgrade compbench_jax")
    missing = [key for key in REQUIRED if key not in results]
    if missing:
        raise RunError(f"{file} lacks {', '.join(missing)}: rerun evaluate.py for this run")
    return results


def estimate_of(block: Mapping[str, Any], metric: str) -> Estimate:
    """A metric read back from a block of results; undefined where the block lacks it."""
    item = block.get(metric)
    if not isinstance(item, Mapping):
        return Estimate(None)
    return Estimate(item.get("value"), item.get("low"), item.get("high"))


def molecule_sums(results: Mapping[str, Any], part: str, columns: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Molecule sums stored with the results: InChIKeys in order, and sums ``[n_molecules, n_columns]``.

    Columns are read by name: one that the results do not have, since they are of another version, is NaN.

    Raises:
        RunError: the sums are absent or damaged.
    """
    stored = results.get("molecule_sums")
    try:
        keys = list(stored[part])  # type: ignore[index]
        names = list(stored["columns"])  # type: ignore[index]
        sums = np.array([stored[part][key] for key in keys], np.float64).reshape(len(keys), len(names))  # type: ignore[index]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise RunError(
            f"the results of {results.get('model')} on {results.get('task')} hold no molecule sums of the "
            f"{part.upper()} set, or damaged ones: rerun evaluate.py"
        ) from error
    return keys, by_name(sums, names, columns)


def by_name(sums: np.ndarray, names: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """Columns of sums ``[..., n_names]`` in another order, ``[..., n_columns]``; NaN where the name is not there."""
    if sums.shape[-1] != len(names):
        raise ValueError(f"{sums.shape[-1]} numbers for {len(names)} columns")
    place = {name: k for k, name in enumerate(names)}
    absent = np.full(sums.shape[:-1], np.nan)
    return np.stack([sums[..., place[name]] if name in place else absent for name in columns], axis=-1)
