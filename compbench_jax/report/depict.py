"""Drawings of molecules as SVG that takes the colour of the page."""

import re
from typing import Any

from compbench_jax.errors import optional_import

WIDTH, HEIGHT = 190, 84
COLOURS = {"#000000": "currentColor", "#FF0000": "var(--oxygen)", "#0000FF": "var(--nitrogen)"}
PATH = re.compile(r"<path [^>]*?d='([^']*)'(?: style='([^']*)')?(?: fill='([^']*)')?")


def drawing(smiles: str) -> str:
    """An SVG of a molecule, as high as that, black replaced by ``currentColor``; empty where the SMILES cannot be read.

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
    options.minFontSize = 12
    draw.PrepareAndDrawMolecule(canvas, mol)
    canvas.FinishDrawing()
    svg = canvas.GetDrawingText()
    paths = []
    for d, style, fill in PATH.findall(svg):
        place = re.sub(r"\s*([A-Z,])\s*", r"\1", " ".join(d.split()))
        if fill:  # a letter
            paths.append(f'<path d="{place}" fill="{COLOURS.get(fill, fill)}" stroke="none"/>')
        elif d.count("L") == 1:  # a bond; in place of the patches of joints its ends are round
            (colour,) = re.findall(r"stroke:(#\w+)", style)
            paths.append(f'<path d="{place}" stroke="{COLOURS.get(colour, colour)}"/>')
    heights = [float(y) for d, *_ in PATH.findall(svg) for y in re.findall(r"[\d.]+[ ,]([\d.]+)", d)]
    top, bottom = min(heights, default=0.0) - 3, max(heights, default=HEIGHT) + 3
    inner = "".join(paths).replace(' stroke="currentColor"', "")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top:.0f} {WIDTH} {bottom - top:.0f}"'
    return f'{head} fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round">{inner}</svg>'
