"""What the figures for papers share: colours, marks, logarithmic axes, files."""

import io
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError, optional_import
from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.files import save

COLOURS = {"id": "#0072B2", "ood": "#D55E00"}
"""Blue and vermilion of Okabe & Ito: distinguishable under every common colour blindness, and in grey."""

LABELS = {"id": "ID", "ood": "OOD"}
MARKERS = "osD^vPX<>*"
FORMATS = (".png", ".pdf", ".svg")
DPI = 150
MEV = 1000.0
LONG = 2000.0
"""Ratio of the ends of a logarithmic axis from which on its marks would overlap."""


def new_figure(path: Path, width: float, height: float) -> Any:
    """An empty matplotlib figure of this size in inches, to be saved to this file.

    Raises:
        RunError: the ending of the file is no format that can be written.
        CompBenchError: matplotlib is not installed.
    """
    check_format(path)
    optional_import("matplotlib", "report", "drawing figures")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def check_format(path: Path) -> None:
    """Refuse a file whose ending is no format that can be written.

    Raises:
        RunError: says which can.
    """
    if path.suffix not in FORMATS:
        raise RunError(f"cannot draw to {path}: end its name in {', '.join(FORMATS)}")


def plain_log_ticks(axis: Any) -> None:
    """Mark a logarithmic axis at 1, 2 and 5 of every decade, a long one at 1, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > LONG * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def bars(estimate: Estimate, scale: float = MEV) -> list[list[float]] | None:
    """Lengths of an interval to both sides of its value, by default in meV/Å; None where there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    return [[scale * max(estimate.value - estimate.low, 0.0)], [scale * max(estimate.high - estimate.value, 0.0)]]


def save_figure(figure: Any, path: Path, dpi: int = DPI) -> Path:
    """Write a matplotlib figure, whole or not at all. Dollar signs in names are shown as they are.

    Raises:
        RunError: the file could not be written.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if "$" in text.get_text():
            text.set_parse_math(False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:], dpi=dpi)
    save(path, buffer.getvalue())
    return path
