"""Ensemble standard deviation compared with the error, as a table."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from compbench_jax.evaluation.intervals import Estimate
from compbench_jax.report.table import with_interval

ROWS = (
    ("spearman", "rank correlation (1 is best)"),
    ("error_over_spread", "RMSE / standard deviation (1 is calibrated)"),
    ("ence", "calibration error, ENCE (0 is best)"),
    ("ause", "sparsification error, AUSE (0 is best)"),
    ("ause_of_chance", "  the same of a random order"),
)
QUANTITIES = {"forces": "forces", "energy": "energies"}


def ensemble_table(uncertainty: Mapping[str, Any]) -> Table:
    """Scores of forces and energies, ID and OOD.

    Args:
        uncertainty: as in ``results["members"]["uncertainty"]``, or energies alone as in ``results["last_layer"]``.
    """
    seeds = uncertainty.get("n_members")
    ensemble = f"Ensemble standard deviation of {seeds} seeds and error of their mean"
    table = Table(
        title=ensemble if seeds else "Standard deviation from the last layer and error, energies centred by molecule",
        caption="forces by atom, energies by frame; [95% interval over molecules]",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for index, heading in enumerate(("", "score", "ID", "OOD")):
        table.add_column(heading, justify="left" if index < 2 else "right", no_wrap=True)
    for name, heading in QUANTITIES.items() if seeds else [("energy", "energies")]:
        for index, (key, label) in enumerate(ROWS):
            cells = [with_interval(Estimate(**uncertainty[name][part][key])) for part in ("id", "ood")]
            table.add_row(heading if not index else "", label, *cells, end_section=index == len(ROWS) - 1)
    return table
