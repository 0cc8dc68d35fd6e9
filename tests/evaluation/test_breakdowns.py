from types import SimpleNamespace

import numpy as np
import pytest

from compbench_jax.evaluation.breakdowns import (
    BREAKDOWNS,
    FORCE_EDGES,
    by_ch2,
    by_distance_and_element,
    force_groups,
    in_order,
)
from compbench_jax.evaluation.score import TestSet
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.store.frames import Frames


def chain(hydrogens, ends=("H", "H")):
    """A chain of carbons with so many hydrogens on each."""
    n = len(hydrogens)
    bonds = [(i, i + 1) for i in range(n - 1)]
    for carbon, count in enumerate(hydrogens):
        bonds += [(carbon, n + sum(hydrogens[:carbon]) + k) for k in range(count)]
    numbers = np.array([6] * n + [1] * sum(hydrogens), np.int32)
    record = Molecule("chain", "C", "KEY", "C", "alkane", n, ends)
    return MolecularGraph(record, numbers, np.array(bonds, np.int32), np.zeros((len(numbers), 5), np.uint32))


@pytest.mark.parametrize(("hydrogens", "count"), [([3, 3], 0), ([3, 2, 2, 3], 2), ([1, 2, 2, 2, 1], 3), ([2, 2], 2)])
def test_methylenes_are_carbons_with_two_hydrogens(hydrogens, count):
    assert by_ch2(chain(hydrogens), None) == [str(count)]
    assert by_ch2(chain(hydrogens, ends=None), None) == []


def names_of(groups):
    return np.array(groups.names)[groups.code].tolist()


def test_bins_of_force_hold_their_lower_edge_and_every_norm():
    forces = np.zeros((len(FORCE_EDGES) + 2, 3))
    forces[: len(FORCE_EDGES), 1] = FORCE_EDGES
    forces[-2:, 2] = 0.2499, -99.0
    groups = force_groups(forces)
    assert names_of(groups) == [*groups.names, "0–0.25", "≥ 3"]
    assert groups.names[:2] == ("0–0.25", "0.25–0.5")


def test_distances_and_elements_at_once():
    graphs = (chain([3, 3]), chain([3, 2, 3]))
    frames = Frames(
        np.concatenate([graphs[1].numbers, graphs[0].numbers]),
        np.zeros((19, 3), np.float32),
        np.zeros((19, 3), np.float32),
        np.zeros(2),
        np.array([1, 0], np.int32),
        np.array([0, 11, 19]),
    )
    test = TestSet(frames, frames.molecule, np.zeros((2, 0)), np.zeros((19, 0)))
    distances = {0: np.full(8, -1), 1: np.array([0, 1, 2, 1, 1, 1, 2, 2, 3, 3, 3])}

    def context(distances):
        return SimpleNamespace(
            tests={"id": test, "ood": test}, store=SimpleNamespace(graphs=graphs), distances=distances
        )

    groups = by_distance_and_element(context(distances), "ood")
    assert groups.names[:3] == ("0 H", "0 C", "1 H") and groups.names[-1] == "none C"
    assert names_of(groups)[:4] == ["0 C", "1 C", "2 C", "1 H"] and names_of(groups)[-1] == "none H"
    assert set(names_of(by_distance_and_element(context({0: np.full(8, -1), 1: np.full(11, -1)}), "ood"))) == {
        "none H",
        "none C",
    }
    # Every environment of a trained molecule is seen.
    assert set(names_of(by_distance_and_element(context(distances), "id"))) == {"none H", "none C"}


def test_groups_are_shown_in_their_order_whatever_they_are_called():
    assert in_order(BREAKDOWNS["n"], ["10", "9", "x", "10"]) == ["9", "10", "x"]
    assert in_order(BREAKDOWNS["element"], ["O", "C", "H", "?"]) == ["H", "C", "O", "?"]
    assert in_order(BREAKDOWNS["contact"], ["unseen", "seen"]) == ["unseen", "seen"]
