"""The main result of an evaluation in one sentence."""

from collections.abc import Mapping
from typing import Any

from compbench_jax.evaluation.blocks import estimate_of
from compbench_jax.report.table import MEV, significant


def finding(results: Mapping[str, Any]) -> str:
    """How much larger the force error is on unseen molecules, and on which element most; empty without forces.

    Args:
        results: contents of ``results.json``.
    """
    inside, outside, ratio = (estimate_of(results[part], "force_mae").value for part in ("id", "ood", "ratio"))
    if inside is None or outside is None or ratio is None:
        return ""
    text = (
        f"Found: on unseen molecules the force MAE of {results['model']} is {significant(ratio, 2)} times that on "
        f"known ones ({significant(MEV * inside)} → {significant(MEV * outside)} meV/Å)"
    )
    worst = worst_element(results)
    if worst is None:
        return text + "."
    symbol, known, unseen = worst
    return text + (
        f"; most on {symbol} atoms, {significant(unseen / known, 2)} times "
        f"({significant(MEV * known)} → {significant(MEV * unseen)})."
    )


def worst_element(results: Mapping[str, Any]) -> tuple[str, float, float] | None:
    """Element whose force MAE grows by the largest factor from ID to OOD, with both values in eV/Å."""
    blocks = results.get("by_element", {})
    found = []
    for symbol, block in blocks.get("ood", {}).items():
        known = estimate_of(blocks.get("id", {}).get(symbol, {}), "force_mae").value
        unseen = estimate_of(block, "force_mae").value
        if known and unseen is not None:
            found.append((unseen / known, symbol, known, unseen))
    return max(found)[1:] if found else None
