"""The metrics of the benchmark: one row each says how it is computed, stored and shown.

A new metric is a row of ``METRICS``; its sums, if they are new, are columns of :mod:`compbench_jax.metrics.sums`.
Tables, the site and CSV files read the rows; results of before have sums without the new columns, and show a dash.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from compbench_jax.metrics.sums import ATOM_COLUMNS

Columns = Mapping[str, np.ndarray]
"""Sums over any set of frames by the name of their column, each ``[...]``."""


@dataclass(frozen=True)
class Metric:
    """A metric of sums.

    Attributes:
        name: in results and CSV files.
        label: in tables.
        columns: sums that it is made of. If all are of atoms, it is a metric of any set of atoms.
        function: from these sums to the metric; NaN where it is not defined.
        unit: of the stored value.
        shown: unit in tables.
        scale: factor from ``unit`` to ``shown``.
        decimals: shown; None: three significant digits.
        smallest: of a score, whose best value is 1, the worst value; None: an error, whose best value is 0.
        total_energy: it depends on total energies, which the compositions of training may leave undetermined.
        short: heading of its column in the table across runs; empty: not in that table.
        compared: whether tables that compare runs show it.
        listed: whether the table of one run shows it.
        note: what a reader must know.
    """

    name: str
    label: str
    columns: tuple[str, ...]
    function: Callable[[Columns], np.ndarray]
    unit: str = "1"
    shown: str = ""
    scale: float = 1.0
    decimals: int | None = None
    smallest: float | None = None
    total_energy: bool = False
    short: str = ""
    compared: bool = False
    listed: bool = True
    note: str = ""

    @property
    def of_atoms(self) -> bool:
        """Whether it is defined for any set of atoms."""
        return set(self.columns) <= set(ATOM_COLUMNS)

    @property
    def higher_is_better(self) -> bool:
        """Whether it is a score, whose best value is 1."""
        return self.smallest is not None

    @property
    def heading(self) -> str:
        """Label and unit: ``"force MAE (meV/Å)"``."""
        return f"{self.label} ({self.shown})" if self.shown else self.label


def quotient(upper: str, lower: str, factor: float = 1.0, each: int = 1) -> Callable[[Columns], np.ndarray]:
    """``factor`` · upper / (``each`` · lower), NaN over zero."""

    def function(sums: Columns) -> np.ndarray:
        numerator, denominator = np.asarray(sums[upper], np.float64), each * np.asarray(sums[lower], np.float64)
        whole = np.full(numerator.shape, np.nan)
        return factor * np.divide(numerator, denominator, out=whole, where=denominator != 0)

    return function


def root(function: Callable[[Columns], np.ndarray]) -> Callable[[Columns], np.ndarray]:
    """The square root of a metric."""
    return lambda sums: np.sqrt(function(sums))


FORCES = {"unit": "eV/angstrom", "shown": "meV/Å", "scale": 1000.0}
ENERGIES = {"unit": "eV", "shown": "meV", "scale": 1000.0}
PER_ATOM = {"unit": "meV/atom", "shown": "meV/atom"}

RAW = "mean absolute error of total energies as they are"
REFERENCED = "the same after one energy per element, fitted to the errors on training frames, is taken out"
CENTRED = "the same after the mean error of each molecule is taken out: conformational energies"
DIRECTED = (
    "mean over atoms of the cosine between predicted and reference force; atoms whose reference force is below "
    "1e-8 eV/Å are left out, and counted in `skipped_atoms`"
)


def _energy(way: str, note: str, total: bool, short: str = "") -> tuple[Metric, Metric]:
    """The mean absolute energy error taken one way, per molecule and per atom."""
    name, columns = f"energy_mae_{way}", (f"abs_{way}", "frames")
    per_atom = (f"abs_{way}_per_atom", "frames")
    return (
        Metric(
            name,
            f"E MAE {way}",
            columns,
            quotient(*columns),
            **ENERGIES,  # type: ignore[arg-type]
            total_energy=total,
            compared=way != "raw",
            note=note,
        ),
        Metric(
            f"{name}_per_atom",
            f"  {way}",
            per_atom,
            quotient(*per_atom, factor=1000.0),
            **PER_ATOM,  # type: ignore[arg-type]
            total_energy=total,
            short=short,
            note=f"{note}; per atom",
        ),
    )


_raw, _referenced, _centred = (
    _energy("raw", RAW, True),
    _energy("referenced", REFERENCED, True, "E ref."),
    _energy("centred", CENTRED, False, "E centred"),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "force_mae",
            "force MAE",
            ("abs_force", "atoms"),
            quotient("abs_force", "atoms", each=3),
            **FORCES,  # type: ignore[arg-type]
            compared=True,
            note="mean absolute error over atoms and components",
        ),
        Metric(
            "force_rmse",
            "force RMSE",
            ("squared_force", "atoms"),
            root(quotient("squared_force", "atoms", each=3)),
            **FORCES,  # type: ignore[arg-type]
            compared=True,
            note="root of the mean square over atoms and components",
        ),
        Metric(
            "force_l2",
            "force error norm",
            ("l2_force", "atoms"),
            quotient("l2_force", "atoms"),
            **FORCES,  # type: ignore[arg-type]
            listed=False,
            note="mean norm of the error vector over atoms",
        ),
        Metric(
            "force_cosine",
            "force cosine",
            ("cosine", "cosine_atoms"),
            quotient("cosine", "cosine_atoms"),
            decimals=4,
            smallest=-1.0,
            short="cosine",
            compared=True,
            note=DIRECTED,
        ),
        Metric(
            "force_cosine_weighted",
            "force cosine, weighted",
            ("weighted_cosine", "force_norm"),
            quotient("weighted_cosine", "force_norm"),
            decimals=4,
            smallest=-1.0,
            note="the same cosine, weighted by the norm of the reference force",
        ),
        Metric(
            "force_magnitude_mae",
            "|F| MAE",
            ("abs_magnitude", "atoms"),
            quotient("abs_magnitude", "atoms"),
            **FORCES,  # type: ignore[arg-type]
            short="|F| MAE",
            compared=True,
            note="mean absolute error of the norm of the force",
        ),
        *(pair[0] for pair in (_raw, _referenced, _centred)),
        *(pair[1] for pair in (_raw, _referenced, _centred)),
        Metric(
            "efwt",
            "within thresholds",
            ("within_threshold", "frames"),
            quotient("within_threshold", "frames"),
            smallest=0.0,
            total_energy=True,
            note="share of frames with |referenced energy error| below 0.02 eV and every |force component error| "
            "below 0.03 eV/Å, the thresholds of OC20",
        ),
    )
}
"""Every metric by name, in the order of the tables."""


def metrics_of(sums: np.ndarray, columns: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Every metric that these columns define, NaN where one is not defined.

    Means are over atoms (of forces, also over components) or over frames, never over molecules or batches.

    Args:
        sums: ``[..., n_columns]``, over any set of frames; leading dimensions (runs, say) are kept.
        columns: their names. A column of NaN, where the sums are of a version without it, gives metrics of NaN.
    """
    by_name = {name: np.asarray(sums[..., index], np.float64) for index, name in enumerate(columns)}
    return {metric.name: metric.function(by_name) for metric in METRICS.values() if set(metric.columns) <= set(columns)}
