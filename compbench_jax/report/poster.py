"""A static picture of a frame as SVG: its atoms, bonds and force errors, before it is opened in three dimensions."""

from collections.abc import Mapping
from typing import Any

import numpy as np

WIDTH, HEIGHT, MARGIN = 320, 220, 18
MOST_SCALE = 45.0
"""Pixels per Å of small molecules."""

SHORTEST = 4.0
"""Pixels; shorter arrows are left out."""


def poster(frame: Mapping[str, Any]) -> str:
    """Ball and stick with an arrow for each force error, seen so that the molecule is as wide as it can be.

    Args:
        frame: of ``showcase.json``: ``numbers``, ``bonds``, ``positions`` (Å), ``label`` and ``prediction`` (eV/Å).
    """
    place = np.asarray(frame["positions"], float)
    error = np.asarray(frame["prediction"], float) - np.asarray(frame["label"], float)
    axes = np.linalg.svd(place - place.mean(axis=0), full_matrices=False)[2]  # rows: longest first
    tips = place + error
    corners = np.concatenate([place, tips]) @ axes[:2].T
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = min(MOST_SCALE, *(room / np.maximum(high - low, 1e-3)))
    centre = (low + high) / 2

    def on_page(points: np.ndarray) -> np.ndarray:
        flat = (points @ axes[:2].T - centre) * scale
        return np.array([WIDTH / 2, HEIGHT / 2]) + flat * [1, -1]

    atoms, ends = on_page(place), on_page(tips)
    parts = [
        f'<path class="bond" d="M{atoms[i][0]:.0f},{atoms[i][1]:.0f}L{atoms[j][0]:.0f},{atoms[j][1]:.0f}"/>'
        for i, j in frame.get("bonds", [])
        if max(i, j) < len(atoms)
    ]
    for k in np.argsort(place @ axes[-1]):  # from behind
        number = frame["numbers"][k]
        at = f'cx="{atoms[k][0]:.0f}" cy="{atoms[k][1]:.0f}"'
        parts.append(f'<circle class="z{number}" {at} r="{4 if number == 1 else 7}"/>')
    for start, end in zip(atoms, ends, strict=True):
        along = end - start
        length = float(np.hypot(*along))
        if length < SHORTEST:
            continue
        along = along / length
        across = np.array([-along[1], along[0]])
        neck = end - min(6.0, length) * along
        left, right = neck + 3.5 * across, neck - 3.5 * across
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (end, left, right))
        parts.append(
            f'<path class="error" d="M{start[0]:.0f},{start[1]:.0f}L{neck[0]:.1f},{neck[1]:.1f}"/>'
            f'<polygon class="error" points="{points}"/>'
        )
    head = f'<svg class="poster" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
    return f"{head}{''.join(parts)}</svg>"
