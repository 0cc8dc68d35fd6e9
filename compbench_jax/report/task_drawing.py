"""A drawing of every task: one molecule that is trained on, and one that is tested."""

from collections.abc import Sequence
from pathlib import Path

from compbench_jax.errors import optional_import
from compbench_jax.files import save
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.registry import core_registry
from compbench_jax.splits.task import Task

PANEL = (420, 120)
"""Width and height of a molecule, pixels."""


def pairs_of(tasks: Sequence[Task]) -> list[tuple[Molecule, Molecule]]:
    """For each task the middle one of its training molecules and of its OOD molecules, in the registry's order."""
    graphs = [molecular_graph(molecule) for molecule in core_registry()]
    chosen = [task.molecules(graphs) for task in tasks]
    return [
        (graphs[split.train[len(split.train) // 2]].molecule, graphs[split.ood[len(split.ood) // 2]].molecule)
        for split in chosen
    ]


def draw_tasks(tasks: Sequence[Task], path: Path) -> None:
    """Draw one training molecule (left) and one OOD molecule (right) of each task (png).

    Raises:
        CompBenchError: RDKit is not installed.
        RunError: the file could not be written.
    """
    chem = optional_import("rdkit.Chem", "generate", "drawing molecules")
    draw = optional_import("rdkit.Chem.Draw", "generate", "drawing molecules")
    molecules, legends = [], []
    for task, pair in zip(tasks, pairs_of(tasks), strict=True):
        for part, molecule in zip(("trained on", "tested on"), pair, strict=True):
            molecules.append(chem.MolFromSmiles(molecule.smiles))
            legends.append(f"{task.kind}, {part}: {molecule.name}")
    picture = draw.MolsToGridImage(molecules, molsPerRow=2, subImgSize=PANEL, legends=legends, returnPNG=True)
    save(path, picture)
