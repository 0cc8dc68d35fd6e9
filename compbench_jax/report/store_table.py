"""The statistics of a data set as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table

LAGS = (1, 2, 3, 5, 10, 20)


def family_table(statistics: Mapping[str, Any]) -> Table:
    """A row for each family and one for all: forces, energies, torsions, coverage, rejections."""
    table = Table(title="by family", title_justify="left", caption_justify="left")
    table.caption = (
        "rej.: trajectories rejected. |F|: eV/Å, mean and 95% quantile. σ(E): within a molecule, eV. trans: share of "
        "the backbone torsions, primary and secondary. overlap of the torsions of both sets; random: with segments "
        "assigned to the sets at random. near: secondary frames with a primary frame within 30°."
    )
    table.add_column("family", no_wrap=True)
    for name in ("mol.", "frames", "segm.", "rej.", "|F|", "95%", "σ(E)", "trans 1", "2", "overlap", "random", "near"):
        table.add_column(name, justify="right", no_wrap=True)
    for family, entry in statistics["families"].items():
        torsions, shared = entry["torsions"], entry["coverage"] or {}
        table.add_row(
            family,
            str(entry["molecules"]),
            str(entry["frames"]),
            str(entry["segments"]),
            str(entry["rejected"]),
            _text(entry["force"]["mean"]),
            _text(entry["force"]["quantiles"]["p95"]),
            _text(entry["energy"]["std"], 3),
            _percent(torsions["primary"]["trans"]),
            _percent(torsions["secondary"]["trans"]),
            _percent(shared.get("overlap")),
            _percent(shared.get("overlap_redealt")),
            _percent(shared.get("covered")),
            end_section=family == list(statistics["families"])[-2],
        )
    return table


def correlation_table(statistics: Mapping[str, Any]) -> Table:
    """A row per quantity: autocorrelation at lag k, and the number of independent frames."""
    entry = statistics["families"]["all"]
    spacing = statistics["spacing"]
    apart = "frames apart" if spacing is None else f"frames of {spacing:g} fs apart"
    table = Table(title=f"autocorrelation within segments, {apart}", title_justify="left")
    table.add_column("of the")
    longest = max(len(values) for values in entry["autocorrelation"].values())
    lags = [lag for lag in LAGS if lag <= longest]
    for lag in lags:
        table.add_column(str(lag), justify="right")
    for name in ("inefficiency", "independent frames"):
        table.add_column(name, justify="right")
    for name, values in entry["autocorrelation"].items():
        independent = entry["independent_frames"][name]
        table.add_row(
            name,
            *(_text(values[lag - 1] if lag <= len(values) else None) for lag in lags),
            _text(entry["inefficiency"][name], 1),
            "–" if independent is None else str(independent),
        )
    return table


def summary(statistics: Mapping[str, Any]) -> str:
    """The data set in a line."""
    known = [f"{name} {value:.1f} K" for name, value in statistics["temperature"].items() if value is not None]
    temperature = f"; kinetic temperature: {', '.join(known)}" if known else ""
    count = len(statistics["molecules"])
    return (
        f"{statistics['frames']} frames, {statistics['atoms']} atoms, {count} molecule{'s' * (count != 1)}, labels of "
        f"{statistics['level']}{temperature}"
    )


def _text(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}%"
