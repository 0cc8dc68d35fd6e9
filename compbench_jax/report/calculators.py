"""Terminal output for a calculator next to the tables: levels of theory, energy shifts, missing frames."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from compbench_jax.report.table import significant

SHOWN = 10
"""Molecules with missing frames that are named."""


def calculator_lines(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Lines to print.

    Args:
        results: contents of ``results.json``.
        folder: of the predictions, where the failures and logs are.
    """
    levels, shifts = results["levels"], results["energy_shifts"]
    lines = []
    if levels["same"] is False:
        lines.append(
            f"levels of theory differ: calculator {levels['calculator']}, labels {levels['labels']}; "
            "the errors include the difference of the two"
        )
    elif levels["same"] is None:
        lines.append(
            f"level of theory of the calculator unknown (--calculator-level), labels {levels['labels']}: "
            "errors may include a difference of levels"
        )
    fitted = ", ".join(f"{symbol} {value:.3f}" for symbol, value in shifts["per_element"].items())
    lines.append(
        f"energy shifts fitted on {shifts['fitted_on_train_frames']} train frames "
        f"(eV per atom, calculator − labels): {fitted}"
    )
    model = results["config"]["model"]
    lines += [f"{key.replace('_', ' ')}: {model[key]}" for key in ("trained_on", "energies") if key in model]
    lines.append(f"calculator: {significant(1000 * results['seconds_per_frame'])} ms per frame (median)")
    for part, entry in results.get("partial", {}).items():
        lines.append(
            f"PARTIAL: {entry['n_frames']} of {entry['of_frames']} {part.upper() if part != 'train' else part} "
            f"frames are missing ({folder / 'failed.tsv'})"
        )
        lines += [
            f"  {item['name']}: {item['n_frames']} of {item['of_frames']}: {item['reason']}"
            for item in entry["molecules"][:SHOWN]
        ]
        if len(entry["molecules"]) > SHOWN:
            lines.append(f"  and {len(entry['molecules']) - SHOWN} molecules more (in results.json)")
    return lines


def print_calculator(results: Mapping[str, Any], folder: Path, console: Console | None = None) -> None:
    """Print :func:`calculator_lines`."""
    console = console or Console(highlight=False)
    for line in calculator_lines(results, folder):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
