"""What ``compbench dynamics`` shows: its progress, then one line per property."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich import box
from rich import progress as bars
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compbench_jax.dynamics.results import METRICS, PARTS


@contextmanager
def stage_progress(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar with the current stage; in a log one line per stage."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(None),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task, current = bar.add_task("", total=None), ""

        def report(stage: str, done: int, total: int) -> None:
            nonlocal current
            if stage != current:
                current = stage
                bar.reset(task, description=stage, total=total)
                if not console.is_terminal:
                    console.print(f"{stage} ({total})")
            bar.update(task, completed=done, total=total)

        yield report


def dynamics_table(results: Mapping[str, Any]) -> Table:
    """One line per property: ID, OOD, and values of the reference to compare them with.

    Args:
        results: contents of ``dynamics.json``.
    """
    level = (results.get("level") or {}).get("method", "no reference")
    counts = " and ".join(f"{len(results['molecules'][part])} {part.upper()}" for part in PARTS)
    table = Table(
        title=escape(f"{results['model']} on {results['task']}: {counts} molecules, reference {level}"),
        caption="Means of magnitudes over molecules (n: number of molecules with a value), or counts. Reference: its "
        "own drift, broken bonds, barrier and imaginary modes; for distances of distributions, that of the two halves "
        "of its trajectory. –: no molecule has a value (a drift needs ten records without a bond change).",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("property")
    table.add_column("unit")
    for heading in ("ID", "OOD", "reference, ID", "OOD"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = None
    for metric in METRICS:
        entry = results["summary"].get(metric.property, {}).get(metric.key)
        if entry is None or all(entry[part][key] is None for part in PARTS for key in ("value", "reference")):
            continue
        if before not in (None, metric.property):
            table.add_section()
        before = metric.property
        cells = [_cell(entry[part], "value", metric.total) for part in PARTS]
        cells += [_cell(entry[part], "reference", metric.total) for part in PARTS]
        table.add_row(metric.label, metric.unit, *cells)
    return table


def _cell(entry: Mapping[str, Any], key: str, total: bool) -> str:
    value = entry[key]
    if value is None:
        return "–" if key == "value" and entry["of"] else ""
    text = str(value) if total else f"{value:.3g}"
    fewer = key == "value" and entry["n_molecules"] < entry["of"]
    return text + (f" (n={entry['n_molecules']})" if fewer else "")
