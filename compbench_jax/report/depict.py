"""Drawings of molecules as SVG that takes the colour of the page."""

import re
from typing import Any

from compbench_jax.errors import optional_import

WIDTH, HEIGHT = 190, 84


def drawing(smiles: str) -> str:
    """An SVG of a molecule, black lines replaced by ``currentColor``; empty where the SMILES cannot be read.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    chem: Any = optional_import("rdkit.Chem", "generate", "drawing molecules")
    draw: Any = optional_import("rdkit.Chem.Draw.rdMolDraw2D", "generate", "drawing molecules")
    mol = chem.MolFromSmiles(smiles)
    if mol is None:
        return ""
    canvas = draw.MolDraw2DSVG(WIDTH, HEIGHT)
    options = canvas.drawOptions()
    options.clearBackground = False
    options.padding = 0.06
    options.fixedBondLength = 18
    options.minFontSize = 10
    draw.PrepareAndDrawMolecule(canvas, mol)
    canvas.FinishDrawing()
    svg = canvas.GetDrawingText()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = (
        svg.replace("#000000", "currentColor").replace("#FF0000", "var(--oxygen)").replace("#0000FF", "var(--nitrogen)")
    )
    return re.sub(r"\s+", " ", svg).strip()
