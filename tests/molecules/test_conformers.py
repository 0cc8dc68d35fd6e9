import numpy as np
import pytest
from rdkit.Chem import rdDistGeom

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import extended_registry, find_molecule

# typical bond lengths in Å (CRC Handbook), by sorted atomic numbers; C–O and C=O share a range, so do C–N of both kinds
LENGTHS = {(1, 6): (1.05, 1.15), (1, 7): (0.98, 1.06), (1, 8): (0.93, 1.02)} | {
    (6, 6): (1.45, 1.60),
    (6, 7): (1.31, 1.52),
    (6, 8): (1.18, 1.46),
}


def distances(positions):
    return np.linalg.norm(positions[:, None] - positions[None], axis=-1)


@pytest.mark.parametrize("molecule", extended_registry()[::13], ids=lambda molecule: molecule.name)
def test_geometry_is_that_of_the_molecule(molecule):
    graph = molecular_graph(molecule)
    positions = conformer(molecule, seed=3)
    assert positions.shape == (graph.n_atoms, 3)
    assert positions.dtype == np.float64
    np.testing.assert_allclose(positions.mean(axis=0), 0.0, atol=1e-12)
    apart = distances(positions)
    for i, j in graph.bonds:
        low, high = LENGTHS[tuple(sorted((int(graph.numbers[i]), int(graph.numbers[j]))))]
        assert low < apart[i, j] < high, (i, j, apart[i, j])
        apart[i, j] = apart[j, i] = np.inf
    np.fill_diagonal(apart, np.inf)
    assert apart.min() > 1.5  # geminal hydrogens are 1.6 to 1.8 Å apart; nothing else is closer


def test_the_seed_decides():
    hexane = find_molecule("hexane")
    first, again, other = (conformer(hexane, seed) for seed in (11, 11, 12))
    np.testing.assert_array_equal(first, again)
    assert np.abs(distances(first) - distances(other)).max() > 0.1


def test_seeds_find_several_conformers():
    butane = find_molecule("butane")
    end_to_end = [distances(conformer(butane, seed))[0, 3] for seed in range(20)]
    assert min(end_to_end) < 3.3  # gauche
    assert max(end_to_end) > 3.7  # anti


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seed_out_of_range(seed):
    with pytest.raises(CompBenchError, match="out of range"):
        conformer(find_molecule("ethane"), seed)


def test_failed_embedding_falls_back_to_random_coordinates_then_says_so(monkeypatch):
    tried = []

    def fail(mol, parameters):
        tried.append(parameters.useRandomCoords)
        return -1

    monkeypatch.setattr(rdDistGeom, "EmbedMolecule", fail)
    with pytest.raises(CompBenchError, match=r"no conformer of ethane \(CC\) from seed 5"):
        conformer(find_molecule("ethane"), 5)
    assert tried == [False, True]
