"""From scored test sets to the result that is stored."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compbench_jax.evaluation import provenance
from compbench_jax.evaluation.breakdowns import BREAKDOWNS, Breakdown, Context, Groups
from compbench_jax.evaluation.identity import kind_of
from compbench_jax.evaluation.model_under_test import ModelUnderTest
from compbench_jax.evaluation.result import (
    DIGITS,
    FRAME_DIGITS,
    GROUP_DIGITS,
    PARTS,
    VERSION,
    Columns,
    MoleculeResult,
    Result,
    Row,
    SetResult,
    Trained,
    stored_row,
)
from compbench_jax.evaluation.score import TestSet
from compbench_jax.json_text import plain
from compbench_jax.metrics.aggregate import SUM_COLUMNS, molecule_sums
from compbench_jax.metrics.sums import ATOM_COLUMNS
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.composition import composition
from compbench_jax.splits.roles import role_of
from compbench_jax.splits.split import Split
from compbench_jax.splits.unseen import molecules_of
from compbench_jax.store.store import FrameStore

QUANTILES = (0.05, 0.50, 0.95)
"""Over a molecule's frames of their force MAE."""


def assemble(
    tested: ModelUnderTest, store: FrameStore, split: Split, tests: Mapping[str, TestSet], fit_frames: int
) -> Result:
    """The result of an evaluation.

    Args:
        tested: the model under test.
        store: where the frames are.
        split: which frames these are; its test sets are the frames that were evaluated.
        tests: the scored sets ``"id"`` and ``"ood"``.
        fit_frames: training frames in the per-element fit of the energy errors.
    """
    context = Context(store, split, tests)
    sets = {part: tested_set(context, part) for part in PARTS}
    return Result(
        version=VERSION,
        task=split.task,
        role=role_of(split.task),
        kind=kind_of(split.task, tested.config),
        model=tested.name,
        seed=tested.seed,
        data=store.hash,
        date=provenance.now(),
        checkpoint_step=tested.step,
        columns=Columns(list(ATOM_COLUMNS), list(SUM_COLUMNS)),
        id=sets["id"],
        ood=sets["ood"],
        train=trained(store, split),
        fit_frames=fit_frames,
        unidentifiable=unidentifiable(store, split),
        config=plain(tested.config),
        versions={**provenance.versions()},
        hardware=plain(provenance.hardware()),
        **tested.more,
    )


def tested_set(context: Context, part: str) -> SetResult:
    """What is stored of a test set."""
    test, graphs = context.tests[part], context.store.graphs
    molecules, sums = test.sums()
    index = {int(molecule): k for k, molecule in enumerate(molecules)}
    frame_mae = test.frame_mae()
    described = []
    for molecule in molecules:
        quantiles = np.quantile(frame_mae[test.molecule == molecule], QUANTILES)
        described.append(described_molecule(context, part, graphs[molecule], stored_row(quantiles, FRAME_DIGITS)))
    groups = {
        item.name: group_rows(item, item.function(context, part), test, index)  # type: ignore[call-arg, arg-type]
        for item in BREAKDOWNS.values()
        if item.of != "molecules" and item.function is not None and part in (item.stored or item.sets)
    }
    return SetResult(described, [stored_row(row, DIGITS) for row in sums], groups)


def described_molecule(context: Context, part: str, graph: MolecularGraph, quantiles: Row) -> MoleculeResult:
    """A molecule with its groups."""
    record = graph.molecule
    groups: dict[str, list[str]] = {
        item.name: item.function(graph, context)  # type: ignore[misc, arg-type]
        for item in BREAKDOWNS.values()
        if item.of == "molecules" and item.function is not None and part in item.sets
    }
    return MoleculeResult(
        inchikey=record.inchikey,
        name=record.name,
        smiles=record.smiles,
        family=record.family,
        n=record.n,
        ends=None if record.ends is None else list(record.ends),
        groups={name: item for name, item in groups.items() if item},
        force_mae_frames=quantiles,
    )


def group_rows(item: Breakdown, groups: Groups, test: TestSet, index: Mapping[int, int]) -> dict[str, dict[int, Row]]:
    """Sums of each group by molecule; groups that nothing is in stay out."""
    of_atoms = item.of == "atoms"
    owner = np.repeat(test.molecule, test.frames.n_atoms) if of_atoms else test.molecule
    n = max(index) + 1
    keys, sums = molecule_sums(test.terms if of_atoms else test.table, groups.code * n + owner)
    found: dict[str, dict[int, Row]] = {}
    for key, row in zip(keys.tolist(), sums, strict=True):
        code, molecule = divmod(key, n)
        found.setdefault(groups.names[code], {})[index[molecule]] = stored_row(row, GROUP_DIGITS)
    return found


def unidentifiable(store: FrameStore, split: Split) -> list[str]:
    """Names of the OOD molecules whose total energies the training compositions do not determine."""
    sides = ([store.graphs[m] for m in molecules_of(store, frames)] for frames in (split.train, split.ood_test))
    return list(composition(*sides).unidentifiable)


def trained(store: FrameStore, split: Split) -> Trained:
    """What was trained on."""
    molecules = [store.graphs[m].molecule for m in molecules_of(store, split.train)]
    return Trained(
        sorted({molecule.n for molecule in molecules if molecule.n is not None}),
        len(molecules),
        len(split.train),
        [molecule.inchikey for molecule in molecules],
    )


def missing_frames(
    store: FrameStore, frames: Mapping[str, np.ndarray], good: Mapping[str, np.ndarray], reasons: Mapping[int, str]
) -> dict[str, Any]:
    """The entry ``partial`` of a result: frames without a finite prediction, by molecule, and why; empty if none.

    Args:
        store: where the frames are.
        frames: indices of the frames of ``"id"``, ``"ood"`` and ``"fit"``.
        good: which of them have a prediction.
        reasons: by index of the frame; those not named are not finite.
    """
    missing: dict[str, Any] = {}
    for part, indices in frames.items():
        failed = indices[~good[part]]
        if not len(failed):
            continue
        owners, of = store.molecule[failed], store.molecule[indices]
        missing["train" if part == "fit" else part] = {
            "n_frames": len(failed),
            "of_frames": len(indices),
            "molecules": [
                {
                    "name": store.graphs[molecule].molecule.name,
                    "n_frames": int((owners == molecule).sum()),
                    "of_frames": int((of == molecule).sum()),
                    "reason": most_common([reasons.get(int(i), "not finite") for i in failed[owners == molecule]]),
                }
                for molecule in dict.fromkeys(owners.tolist())
            ],
        }
    return missing


def most_common(reasons: Sequence[str]) -> str:
    """The reason given most often, the first of them if there are several."""
    return max(reasons, key=reasons.count)
