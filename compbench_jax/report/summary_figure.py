"""The figure of the README: of each task a few training and test molecules, and OOD / ID of every potential."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compbench_jax.errors import RunError, optional_import
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.registry import core_registry
from compbench_jax.report.drawing import new_figure, plain_log_ticks, save_figure
from compbench_jax.report.findings_figures import style
from compbench_jax.report.findings_material import Material
from compbench_jax.report.leaderboard import kind_of_task, models_of, tasks_of
from compbench_jax.report.table import significant
from compbench_jax.splits.task import Task

WIDTH, ROW = 9.6, 0.92
"""Inches: of the figure, of a task."""
STARTS = {"trained on": 1.5, "unseen molecules": 4.72}
"""Inches from the left at which the molecules of either side begin."""
LEFT, RIGHT = 6.6, 9.4
"""Inches from the left, where the axis of the ratios begins and ends."""
BOND, GAP = 0.165, 0.26
"""Inches: length of a bond, space between two molecules."""
N_SHOWN = 4
"""Carbons of a molecule that is shown, where there is a choice."""
ATOMS = {"O": "#C62828", "N": "#1E4FC0"}


def examples_of(task: Task) -> tuple[list[Molecule], list[Molecule]]:
    """Of each family that a task trains on, and of each that it tests on, the molecule of the core registry whose
    number of carbons is nearest to :data:`N_SHOWN`.
    """
    graphs = [molecular_graph(molecule) for molecule in core_registry()]
    split = task.molecules(graphs)
    sides = []
    for indices in (split.train, split.ood):
        nearest: dict[str | None, Molecule] = {}
        for molecule in sorted((graphs[k].molecule for k in indices), key=lambda m: abs((m.n or 0) - N_SHOWN)):
            nearest.setdefault(molecule.family, molecule)
        sides.append(list(nearest.values()))
    return sides[0], sides[1]


def draw_summary(found: Material, tasks: Sequence[Task], path: Path) -> Path:
    """Draw it; tasks without results, and results of other tasks, are left out.

    Raises:
        RunError: no potential was trained on one of the tasks, or the file could not be written.
        CompBenchError: matplotlib or RDKit is not installed.
    """
    rows = [row for row in found.rows if row.kind == "trained" and row.estimate("ratio").value is not None]
    medians = {
        name: statistics.median(row.estimate("ratio").value or 1.0 for row in rows if row.task == name)
        for name in tasks_of(rows)
    }
    shown = [(task, next((n for n in medians if kind_of_task(n) == task.kind), "")) for task in tasks]
    shown = sorted(((task, name) for task, name in shown if name), key=lambda pair: medians[pair[1]])
    if not shown:
        raise RunError("there is no potential trained on one of the main tasks: evaluate one first")
    height = ROW * len(shown) + 1.15
    figure = new_figure(path, WIDTH, height)
    figure.set_layout_engine("none")
    page = figure.add_axes((0, 0, 1, 1))  # in inches, from the upper left
    page.set_xlim(0, WIDTH)
    page.set_ylim(height, 0)
    page.set_axis_off()
    top, bottom = 0.42, 0.42 + ROW * len(shown)
    axes = figure.add_axes((LEFT / WIDTH, 1 - bottom / height, (RIGHT - LEFT) / WIDTH, (bottom - top) / height))
    axes.set_ylim(len(shown) - 0.5, -0.5)
    models = models_of(rows)
    styles = {name: k for k, name in enumerate(models)}
    for side, start in STARTS.items():
        page.text(start, 0.24, side, fontsize=10, fontweight="bold", va="center")
    page.text(LEFT, 0.24, "force error, unseen / known molecules", fontsize=10, fontweight="bold", va="center")
    for place, (task, name) in enumerate(shown):
        middle = top + ROW * (place + 0.5)
        page.text(0.15, middle, task.kind.replace("_", "\n"), fontsize=10.5, va="center", linespacing=1.15)
        for start, molecules in zip(STARTS.values(), examples_of(task), strict=True):
            for molecule in molecules:
                start = draw_molecule(page, molecule.smiles, start, middle) + GAP
        page.annotate("", (STARTS["unseen molecules"] - 0.1, middle), (STARTS["unseen molecules"] - 0.42, middle),
                      arrowprops={"arrowstyle": "->", "color": "#6b7280"})  # fmt: skip
        for row in (row for row in rows if row.task == name):
            offset = (styles[row.model] - (len(models) - 1) / 2) * 0.56 / len(models)
            axes.plot(row.estimate("ratio").value, place + offset, **{**style(row, styles), "linestyle": "none"})
        axes.plot([medians[name]] * 2, [place - 0.33, place + 0.33], color="#111827", linewidth=1.2, zorder=1)
        axes.text(medians[name], place - 0.34, f"×{significant(medians[name], 2)}", fontsize=8.5, ha="center",
                  va="bottom")  # fmt: skip
    for edge in range(1, len(shown)):
        page.plot([0.15, RIGHT], [top + ROW * edge] * 2, color="#e5e7eb", linewidth=0.8)
    axes.axvline(1.0, color="#6b7280", linewidth=0.9, linestyle=":")
    axes.set_xscale("log")
    plain_log_ticks(axes.xaxis)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=9)
    axes.patch.set_alpha(0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    page.legend(handles.values(), handles, loc="lower center", ncols=min(8, len(models)), fontsize=9, frameon=False,
                columnspacing=1.2, handletextpad=0.3)  # fmt: skip
    return save_figure(figure, path)


def draw_molecule(page: Any, smiles: str, left: float, middle: float) -> float:
    """Draw a molecule's skeleton, the letters of O and N on it.

    Args:
        page: axes in inches.
        smiles: whose hydrogens are implicit.
        left: where it begins, inches.
        middle: its height, inches.

    Returns:
        where it ends, inches.
    """
    chem = optional_import("rdkit.Chem", "generate", "drawing molecules")
    coordinates = optional_import("rdkit.Chem.rdDepictor", "generate", "drawing molecules")
    transforms = optional_import("rdkit.Chem.rdMolTransforms", "generate", "drawing molecules")
    mol = chem.MolFromSmiles(smiles)
    coordinates.Compute2DCoords(mol)
    transforms.CanonicalizeConformer(mol.GetConformer())
    points = mol.GetConformer().GetPositions()[:, :2]
    points *= BOND / 1.5
    letters = {atom.GetIdx(): letters_of(atom, points[atom.GetIdx(), 0] < 0) for atom in mol.GetAtoms()}
    letters = {index: text for index, text in letters.items() if "C" not in text}
    points[:, 0] += left - points[:, 0].min() + (0.12 if points[:, 0].argmin() in letters else 0)
    points[:, 1] = middle - points[:, 1] + (points[:, 1].max() + points[:, 1].min()) / 2
    for bond in mol.GetBonds():
        ends = points[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]
        along = np.subtract(*ends) / np.linalg.norm(np.subtract(*ends))
        side = 0.022 * np.array([-along[1], along[0]]) * (bond.GetBondTypeAsDouble() == 2)
        for shift in (side, -side) if side.any() else (side,):
            page.plot(*(ends + shift).T, color="#374151", linewidth=1.2, solid_capstyle="round")
    for index, text in letters.items():
        page.text(*points[index], text, fontsize=8.5, ha="center", va="center", color=ATOMS[text.strip("H₂")],
                  bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"})  # fmt: skip
    return float(points[:, 0].max()) + (0.12 if points[:, 0].argmax() in letters else 0)


def letters_of(atom: Any, reverse: bool) -> str:
    """``"OH"``, ``"NH₂"`` or ``"O"``; reversed at the left of a molecule: ``"HO"``."""
    hydrogens = ("", "H", "H₂", "H₃", "H₄")[atom.GetTotalNumHs()]
    return hydrogens + atom.GetSymbol() if reverse else atom.GetSymbol() + hydrogens
