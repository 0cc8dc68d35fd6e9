"""Unseen environments of a task's molecules by radius, compared with the receptive field of a potential."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.errors import CompBenchError
from compbench_jax.models.registry import config_from_json
from compbench_jax.report.table import significant
from compbench_jax.splits import audit as audit_file

AUDIT = "audit.json"

BOND = 1.54
"""Å, a C–C bond, the longest of these molecules: an environment of radius r (bonds) ends within r times this."""


def receptive_field(results: Mapping[str, Any]) -> float | None:
    """Receptive field (Å) of the potential of these results; None for a calculator, where it is unknown."""
    try:
        return float(config_from_json(results["config"]["model"]).receptive_field)
    except (CompBenchError, KeyError, TypeError, ValueError):
        return None


def read_audit(folder: Path, results: Mapping[str, Any]) -> dict[str, Any] | None:
    """The audit next to results; None where there is none of the same task and data."""
    audit = audit_file.read_audit(folder / AUDIT)
    same = audit is not None and (audit["task"], audit["data"]) == (results["task"], results["data"])
    return audit if same else None


def receptive_field_table(audit: Mapping[str, Any], field: float | None) -> Table:
    """The audit's radius profile, and which radii are inside the receptive field.

    Args:
        audit: contents of ``audit.json``.
        field: receptive field, Å; None if unknown.
    """
    table = Table(
        title=escape(f"Unseen environments of {audit['task']} and the receptive field"),
        caption=escape(receptive_field_line(audit, field)),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    for heading in ("radius (bonds)", "within (Å)", "unseen mass", "D_A", "D_C", "z of D_C", "seen whole"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in audit["profile"]:
        extent = BOND * row["radius"]
        seen = "?" if field is None else "yes" if extent <= field else "no"
        z_score = "–" if row["z_score"] is None else f"{row['z_score']:+.1f}"
        table.add_row(
            str(row["radius"]),
            f"{extent:.1f}",
            f"{row['novel_mass']:.3f}",
            f"{row['atom_divergence']:.3f}",
            f"{row['compound_divergence']:.3f}",
            z_score,
            seen,
        )
    return table


def receptive_field_line(audit: Mapping[str, Any], field: float | None) -> str:
    """Smallest unseen environment compared with the receptive field, in a sentence."""
    first = audit["first_novelty"]
    begins = (
        "no atom environment up to radius 4 is unseen"
        if first is None
        else f"unseen environments begin at radius {first}, within {BOND * first:.1f} Å"
    )
    if field is None:
        return f"{begins}; the receptive field of the potential is not known"
    if math.isinf(field):
        return f"{begins}; the receptive field is the whole molecule"
    sees = f"the receptive field is {significant(field)} Å, about {math.floor(field / BOND)} bonds"
    if first is None:
        return f"{begins}; {sees}: environments beyond radius 4 may be unseen"
    verdict = "it contains them" if BOND * first <= field else "it need not contain them"
    return f"{begins}; {sees}: {verdict}"
