"""Scans: what moves, by how much, and the figures of profiles that are known."""

import numpy as np
import pytest
from analytic import alkane, chain

from compbench_jax.dynamics.paths import (
    STRETCH,
    central_bond,
    clashes,
    folding_path,
    stretch_path,
    stretched_out,
    torsion_path,
)
from compbench_jax.dynamics.scans import colliding, scan_figures
from compbench_jax.errors import DataError
from compbench_jax.store.torsions import backbone_torsions, torsion_angles


@pytest.fixture(scope="module")
def heptane():
    return alkane(7)


def test_the_central_bond_cuts_the_chain_in_the_middle(heptane):
    graph, _ = heptane
    assert set(central_bond(graph)) in ({2, 3}, {3, 4})
    assert central_bond(chain([6, 6])) == (0, 1)
    assert central_bond(chain([1, 6, 1])) is None
    assert central_bond(chain([6, 6, 6], [(0, 1), (1, 2), (0, 2)])) is None
    with pytest.raises(DataError, match="no bond between heavy atoms"):
        torsion_path(chain([1, 6, 1]), np.eye(3))


def test_a_torsion_scan_turns_one_torsion_and_nothing_else(heptane):
    graph, at = heptane
    path = torsion_path(graph, at)
    torsions = backbone_torsions(graph)
    angles = torsion_angles(path.positions, torsions)
    (row,) = [k for k, t in enumerate(torsions.tolist()) if t[1:3] == path.atoms[0]]
    turned = (angles[:, row] - angles[0, row] - path.coordinate + 180) % 360 - 180
    np.testing.assert_allclose(turned, 0.0, atol=1e-6)
    others = np.delete(angles, row, axis=1)
    np.testing.assert_allclose(np.broadcast_to(others[0], others.shape), others, atol=1e-6)
    lengths = np.linalg.norm(path.positions[:, graph.bonds[:, 0]] - path.positions[:, graph.bonds[:, 1]], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(lengths[0], lengths.shape), atol=1e-9)


def test_a_stretch_changes_one_bond(heptane):
    graph, at = heptane
    path = stretch_path(graph, at)
    i, j = graph.bonds[:, 0], graph.bonds[:, 1]
    change = np.linalg.norm(path.positions[:, i] - path.positions[:, j], axis=-1) - np.linalg.norm(
        at[i] - at[j], axis=-1
    )
    row = graph.bonds.tolist().index(path.atoms[0])
    np.testing.assert_allclose(change[:, row], STRETCH, atol=1e-9)
    np.testing.assert_allclose(np.delete(change, row, axis=1), 0.0, atol=1e-9)
    np.testing.assert_allclose((path.tangents() ** 2).sum(axis=(1, 2)), 1.0)


def test_a_fold_begins_all_trans_and_brings_the_ends_together(heptane):
    graph, at = heptane
    trans = stretched_out(graph, at)
    torsions = backbone_torsions(graph)
    np.testing.assert_allclose(np.abs(torsion_angles(trans[None], torsions)), 180.0, atol=1e-6)
    path = folding_path(graph, trans)
    np.testing.assert_allclose(path.positions[0], trans, atol=1e-12)
    ends = np.linalg.norm(path.positions[:, 0] - path.positions[:, 6], axis=-1)
    assert ends[0] > 7.0 and ends[-1] < 5.0
    assert not clashes(graph, path.positions[-1:])[0]
    folded = np.abs(torsion_angles(path.positions[-1:], torsions))
    assert (np.isclose(folded, 65.0) | np.isclose(folded, 180.0)).all()
    with pytest.raises(DataError, match="no chain to fold"):
        folding_path(*alkane(2))


def test_figures_of_a_profile_shifted_scaled_and_with_points_left_out(heptane):
    graph, at = heptane
    path = stretch_path(graph, at)
    x = STRETCH
    truth, slope = 3.0 * x**2, -6.0 * x
    tangents = path.tangents()
    moved = tangents * np.sqrt((np.gradient(path.positions, axis=0) ** 2).sum(axis=(1, 2)) / 0.05**2)[:, None, None]
    forces = moved * slope[:, None, None]
    same = scan_figures(graph, path, truth + 7.0, forces, truth, forces)
    assert (same["energy_rmse"], same["barrier_error"], same["path_force_rmse"]) == pytest.approx((0, 0, 0), abs=1e-9)
    assert same["reference_barrier"] == pytest.approx(750.0)
    assert (same["points"], same["left_out"]) == (15, 0)
    scaled = scan_figures(graph, path, 1.1 * truth, 1.1 * forces, truth, forces)
    assert scaled["barrier_error"] == pytest.approx(75.0)
    assert scaled["energy_rmse"] == pytest.approx(100.0 * np.std(truth))
    along = np.linalg.norm(forces, axis=(1, 2))
    assert scaled["path_force_rmse"] == pytest.approx(0.1 * np.sqrt((along**2).mean()))
    truth = truth.copy()
    truth[:13] = np.nan
    few = scan_figures(graph, path, truth, forces, truth, forces)
    assert (few["points"], few["left_out"]) == (2, 13) and "energy_rmse" not in few


def test_colliding_atoms_are_those_that_come_as_near_as_a_bond():
    graph = chain([6, 6, 6, 6])
    at = np.array([[0.0, 0, 0], [1.5, 0, 0], [1.5, 1.5, 0], [0.2, 1.4, 0]])
    far = at.copy()
    far[3] = [3.0, 1.5, 0]
    np.testing.assert_array_equal(colliding(graph, np.array([at, far])), [True, False])
