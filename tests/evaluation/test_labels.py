import numpy as np
import pytest

from compbench_jax.evaluation.breakdown import TestSet
from compbench_jax.evaluation.labels import FORCE_EDGES, by_distance, by_element, by_force, crossed, methylenes
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
    assert methylenes(chain(hydrogens)) == count
    assert methylenes(chain(hydrogens, ends=None)) is None


def test_bins_of_force_hold_their_lower_edge_and_every_norm():
    forces = np.zeros((len(FORCE_EDGES) + 2, 3))
    forces[: len(FORCE_EDGES), 1] = FORCE_EDGES
    forces[-2:, 2] = 0.2499, -99.0
    labels = by_force(forces)
    assert labels.text().tolist() == [*labels.names, "0–0.25", "≥ 3"]
    assert labels.names[:2] == ("0–0.25", "0.25–0.5")


def test_elements_distances_and_both_at_once():
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
    labels = by_distance(test, distances)
    assert labels.names == ("0", "1", "2", "3", "none")
    assert labels.text().tolist() == ["0", "1", "2", "1", "1", "1", "2", "2", "3", "3", "3", *["none"] * 8]
    elements = by_element(graphs, frames.numbers)
    assert elements.names == ("H", "C")
    both = crossed(labels, elements).text()
    assert (both[0], both[3], both[-1]) == ("0 C", "1 H", "none H")
    nothing = by_distance(test, {0: np.full(8, -1), 1: np.full(11, -1)})
    assert nothing.names == ("none",)
    assert set(nothing.text()) == {"none"}
