"""Statistics of a store, by family and by molecule: the figures of a data card.

Everything is computed from the frames and the manifest; nothing needs RDKit or a quantum chemistry program. What a
store does not know (times, temperatures, families) or cannot have (the torsions of ethane) is None.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compbench_jax.store.correlation import (
    deviations,
    heavy_distances,
    segment_autocorrelation,
    statistical_inefficiency,
    unit_vectors,
)
from compbench_jax.store.coverage import coverage, overlap
from compbench_jax.store.store import SETS, FrameStore
from compbench_jax.store.torsions import backbone_torsions, torsion_angles, torsion_histogram, trans_fraction

SCHEMA_VERSION = 1
ALL = "all"
OTHER = "outside the registry"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
FORCE_EDGES = np.linspace(0.0, 8.0, 81)
ENERGY_EDGES = np.linspace(-1.5, 1.5, 61)
TORSION_BINS = 36
MAX_LAG = 50
QUANTITIES = ("energy", "shape", "torsions", "forces")

NOTES = {
    "force": "norm of the force on an atom, eV/angstrom, over all atoms of all frames; the last bin of the histogram "
    "holds what is larger too",
    "energy": "energy of a frame less the mean over its molecule's frames, eV; the outer bins hold what is beyond",
    "torsions": "backbone torsions: one for each bond of heavy atoms that can turn, along the chain; trans is beyond "
    "+-120 degrees, gauche all else; histograms over [-180, 180) degrees, as fractions",
    "autocorrelation": "rho(k) = <x(t) x(t+k)> / <x x> for frames k = 1, 2, ... apart in one segment, x the deviation "
    "from the mean over all segments of the molecule: of the energy, the shape (distances between heavy atoms), the "
    "torsions (as points of the unit circle) and the forces; mean over molecules",
    "inefficiency": "g = 1 + 2 sum_k (1 - k/L) rho(k), up to the first rho that is not positive: frames that carry as "
    "much as one independent frame; mean over molecules; at most the length L of a segment",
    "independent_frames": "frames divided by g, summed over molecules",
    "coverage": "primary against secondary set, mean over molecules. overlap: 1 - total variation distance of the "
    "histograms of each torsion (bins of 30 degrees). overlap_redealt: the same after the segments were assigned at "
    "random, the value expected for samples of this size. nearest_median: median distance of a secondary frame to the "
    "nearest primary frame (degrees; root mean square over torsions, mirror images are the same). covered: share "
    "nearer than 30 degrees. overlap_pooled: overlap of the family's two histograms",
    "rejected": "trajectories thrown away because a bond changed or a calculation failed; the fraction is of all that "
    "were started. rejected_frames: single frames left out",
}


@dataclass(frozen=True, eq=False)
class _Measured:
    """What is pooled of one molecule."""

    family: str
    force: np.ndarray
    energy: np.ndarray
    histograms: np.ndarray
    """Torsion counts by set, ``[2, TORSION_BINS]``."""
    trans: np.ndarray
    """Trans torsions and all torsions, by set, ``[2, 2]``."""
    correlation: dict[str, np.ndarray]
    row: dict[str, Any]


def store_statistics(store: FrameStore, seed: int = 0) -> dict[str, Any]:
    """Statistics of a store, ready to be written as JSON; what each figure means stands in ``NOTES`` (``"notes"``).

    Args:
        store: any store; frames are read molecule by molecule.
        seed: of the random splits that overlaps are compared with.
    """
    measured = [_measure(store, index, seed) for index in range(len(store.graphs)) if (store.molecule == index).any()]
    families = list(dict.fromkeys(item.family for item in measured))
    groups = {family: [item for item in measured if item.family == family] for family in families}
    rejected = [record for record in store.manifest.rejected if "attempt" in record]
    family_of = {graph.molecule.name: graph.molecule.family or OTHER for graph in store.graphs}
    by_family = Counter(family_of.get(str(record.get("molecule")), OTHER) for record in rejected)
    by_family[ALL] = len(rejected)
    return {
        "schema_version": SCHEMA_VERSION,
        "store": store.hash,
        "level": store.manifest.level.get("method"),
        "frames": store.n_frames,
        "atoms": int(store.offsets[-1]),
        "spacing": _spacing(store),
        "temperature": {name: _temperature(store, code) for code, name in enumerate(SETS)},
        "rejected_frames": sum(int(r.get("frames", 1)) for r in store.manifest.rejected if "attempt" not in r),
        "rejected_reasons": dict(Counter(_kind(str(record.get("reason"))) for record in rejected)),
        "edges": {
            "force": _rounded(FORCE_EDGES),
            "energy": _rounded(ENERGY_EDGES),
            "torsion": _rounded(np.linspace(-180, 180, TORSION_BINS + 1)),
        },
        "families": {
            family: _pool(members, by_family[family]) for family, members in [*groups.items(), (ALL, measured)]
        },
        "molecules": [item.row for item in measured],
        "notes": NOTES,
    }


def _measure(store: FrameStore, index: int, seed: int) -> _Measured:
    graph = store.graphs[index]
    frames = np.flatnonzero(store.molecule == index)
    n_atoms = graph.n_atoms
    # A molecule's frames lie side by side: a slice of the maps, copied once.
    rows = slice(int(store.offsets[frames[0]]), int(store.offsets[frames[-1] + 1]))
    positions = np.asarray(store.positions[rows]).reshape(-1, n_atoms, 3)
    forces = np.asarray(store.forces[rows]).reshape(-1, n_atoms, 3)
    secondary = store.set[frames] == 1
    energy = np.asarray(store.energy[frames], np.float64)
    energy -= energy.mean()
    angles = torsion_angles(positions, backbone_torsions(graph))
    # Trajectories of the two sets get numbers of their own.
    _, segments = np.unique(2 * store.segment[frames].astype(np.int64) + secondary, return_inverse=True)
    lengths = np.bincount(segments)
    longest = int(lengths.max())
    values = {
        "energy": energy[:, None],
        "shape": deviations(heavy_distances(positions, graph.numbers)),
        "torsions": deviations(unit_vectors(angles)) if angles.shape[1] else np.zeros((len(frames), 1)),
        "forces": deviations(forces),
    }
    lags = min(longest - 1, MAX_LAG)
    correlation = {name: segment_autocorrelation(value, segments, lags) for name, value in values.items()}
    inefficiency = {name: statistical_inefficiency(rho, longest) for name, rho in correlation.items()}
    force = np.linalg.norm(forces, axis=-1).ravel()
    covered = coverage(angles, secondary, segments, seed)
    molecule = graph.molecule
    row = {
        "name": molecule.name,
        "inchikey": molecule.inchikey,
        "family": molecule.family,
        "n": molecule.n,
        "atoms": n_atoms,
        "frames": {name: int((secondary == bool(code)).sum()) for code, name in enumerate(SETS)},
        "segments": len(lengths),
        "force_mean": _number(force.mean(dtype=np.float64)),
        "energy_std": _number(energy.std()),
        "torsions": angles.shape[1],
        "trans": {name: _number(trans_fraction(angles[secondary == bool(code)])) for code, name in enumerate(SETS)},
        "inefficiency": {name: _number(value) for name, value in inefficiency.items()},
        "coverage": None if covered is None else {name: _number(value) for name, value in vars(covered).items()},
    }
    of_set = [angles[~secondary], angles[secondary]]
    return _Measured(
        family=molecule.family or OTHER,
        force=force,
        energy=energy,
        histograms=np.array([torsion_histogram(own, TORSION_BINS).sum(axis=0) for own in of_set]),
        trans=np.array([[(trans_fraction(own) or 0.0) * own.size, own.size] for own in of_set]),
        correlation=correlation,
        row=row,
    )


def _pool(members: Sequence[_Measured], rejected: int) -> dict[str, Any]:
    """Figures of several molecules together."""
    force = np.concatenate([item.force for item in members])
    energy = np.concatenate([item.energy for item in members])
    histograms = np.sum([item.histograms for item in members], axis=0)
    trans = np.sum([item.trans for item in members], axis=0)
    rows = [item.row for item in members]
    segments = sum(row["segments"] for row in rows)
    covered = [row["coverage"] for row in rows if row["coverage"] is not None]
    shared: dict[str, Any] | None = None
    if covered:
        shared = {name: _number(np.mean([item[name] for item in covered])) for name in covered[0]}
        shared["overlap_pooled"] = _number(overlap(*histograms))
    return {
        "molecules": len(members),
        "frames": len(energy),
        "force": {
            "mean": _number(force.mean(dtype=np.float64)),
            "quantiles": _quantiles(force),
            "histogram": _counts(force, FORCE_EDGES),
        },
        "energy": {
            "std": _number(energy.std()),
            "quantiles": _quantiles(energy),
            "histogram": _counts(energy, ENERGY_EDGES),
        },
        "torsions": {
            name: {
                "count": int(trans[code, 1]),
                "trans": _number(trans[code, 0] / trans[code, 1]) if trans[code, 1] else None,
                "gauche": _number(1 - trans[code, 0] / trans[code, 1]) if trans[code, 1] else None,
                "histogram": _rounded(histograms[code] / trans[code, 1]) if trans[code, 1] else None,
            }
            for code, name in enumerate(SETS)
        },
        "autocorrelation": {name: _mean_correlation(members, name) for name in QUANTITIES},
        "inefficiency": {name: _mean([row["inefficiency"][name] for row in rows]) for name in QUANTITIES},
        "independent_frames": {name: _independent(rows, name) for name in QUANTITIES},
        "coverage": shared,
        "segments": segments,
        "rejected": rejected,
        "rejected_fraction": _number(rejected / (rejected + segments)),
    }


def _mean_correlation(members: Sequence[_Measured], name: str) -> list[float]:
    """ρ(1), ρ(2), … as the mean over the molecules that have them, up to the first lag that none has."""
    longest = max(len(item.correlation[name]) for item in members)
    result = []
    for k in range(longest):
        known = [rho[k] for rho in (item.correlation[name] for item in members) if k < len(rho) and np.isfinite(rho[k])]
        if not known:
            break
        result.append(float(np.mean(known)))
    return _rounded(result)


def _independent(rows: Sequence[dict[str, Any]], name: str) -> int | None:
    """Frames divided by the inefficiency, over the molecules where it is known."""
    known = [row for row in rows if row["inefficiency"][name]]
    return round(sum(sum(row["frames"].values()) / row["inefficiency"][name] for row in known)) if known else None


def _spacing(store: FrameStore) -> float | None:
    """Time between successive frames of a segment, fs: the median; None where times are not known."""
    if str(store.manifest.settings.get("time", "")).startswith("number of the frame"):
        return None
    keys = np.stack([store.molecule, store.set, store.segment])
    steps = np.diff(store.time.astype(np.float64))[(np.diff(keys, axis=1) == 0).all(axis=0)]
    steps = steps[np.isfinite(steps)]
    return _number(np.median(steps)) if len(steps) and np.median(steps) > 0 else None


def _temperature(store: FrameStore, code: int) -> float | None:
    """Mean kinetic temperature of a set, K, every degree of freedom alike (3N − 6 of a frame); None where unknown."""
    own = (store.set == code) & np.isfinite(store.temperature)
    weight = (3.0 * np.diff(store.offsets) - 6.0)[own]
    return _number(np.average(store.temperature[own], weights=weight)) if weight.sum() > 0 else None


def _kind(reason: str) -> str:
    """Reason of a rejection without its details."""
    for word in ("broke", "formed"):
        if reason.startswith("bond ") and f" {word} " in reason:
            return f"bond {word}"
    return reason.split(":")[0]


def _quantiles(values: np.ndarray) -> dict[str, float | None]:
    return {f"p{round(100 * q):02}": _number(x) for q, x in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)}


def _counts(values: np.ndarray, edges: np.ndarray) -> list[int]:
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].tolist()


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _number(np.mean(known)) if known else None


def _number(value: Any) -> float | None:
    """Five significant digits, which all of these figures are short of."""
    return None if value is None else float(f"{float(value):.5g}")


def _rounded(values: Any) -> list[float]:
    return [float(f"{value:.5g}") for value in np.asarray(values, np.float64).tolist()]


def statistics_json(statistics: Mapping[str, Any]) -> str:
    """The statistics as JSON, a list of numbers per line."""
    text = json.dumps(statistics, indent=1, ensure_ascii=False, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"
