"""Whole bonds: many geometries at once as one by one."""

import numpy as np

from compbench_jax.labelling.bonds import BROKEN, FORMED, bonds_whole, changed_bond
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


def test_many_at_once_agree_with_one_by_one():
    molecule = find_molecule("ethanoic acid")
    graph = molecular_graph(molecule)
    rng = np.random.default_rng(0)
    # Displacements from thermal to shattered: both answers must come up often.
    scale = np.repeat(np.linspace(0.02, 0.5, 15), 10)[:, None, None]
    positions = conformer(molecule, 0) + scale * rng.normal(size=(150, graph.n_atoms, 3))
    expected = np.array([changed_bond(graph, frame) is None for frame in positions])
    assert 20 < expected.sum() < 130
    np.testing.assert_array_equal(bonds_whole(graph, positions), expected)
    np.testing.assert_array_equal(bonds_whole(graph, positions.astype(np.float32)), expected)
    assert bonds_whole(graph, positions[:0]).shape == (0,)


def test_thresholds():
    from ase.data import covalent_radii

    graph = molecular_graph(find_molecule("ethane"))
    reach = 2 * covalent_radii[6]
    base = conformer(find_molecule("ethane"), 0)
    axis = (base[1] - base[0]) / np.linalg.norm(base[1] - base[0])
    left, right = [0, 2, 3, 4], [1, 5, 6, 7]
    assert {tuple(sorted(pair)) for pair in graph.bonds.tolist()} >= {(0, 1), (0, 2), (1, 5)}
    for factor, whole in ((BROKEN - 0.01, True), (BROKEN + 0.01, False)):
        frame = base.copy()
        frame[right] += axis * (factor * reach - np.linalg.norm(base[1] - base[0]))
        assert bonds_whole(graph, frame[None]).tolist() == [whole]
        assert (changed_bond(graph, frame) is None) == whole
    assert FORMED < BROKEN and len(left) + len(right) == graph.n_atoms
