import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.levels import LEVELS, get_level
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule


@pytest.fixture
def displaced_ethanol():
    molecule = find_molecule("ethanol")
    rng = np.random.default_rng(3)
    positions = conformer(molecule, 1)
    return molecular_graph(molecule).numbers, positions + rng.normal(scale=0.05, size=positions.shape)


@pytest.mark.parametrize("name", LEVELS)
def test_forces_are_minus_the_gradient_of_the_energy(name, displaced_ethanol):
    numbers, positions = displaced_ethanol
    level, step = LEVELS[name], 1e-3
    _, forces = level.label(numbers, positions)
    for atom, axis in ((0, 0), (2, 1), (8, 2)):
        shift = np.zeros_like(positions)
        shift[atom, axis] = step
        difference = level.label(numbers, positions + shift)[0] - level.label(numbers, positions - shift)[0]
        assert forces[atom, axis] == pytest.approx(-difference / (2 * step), abs=2e-4)


def test_labels_have_no_history(displaced_ethanol):
    numbers, positions = displaced_ethanol
    first = LEVELS["gfn2-xtb"].label(numbers, positions)
    LEVELS["gfn2-xtb"].label(numbers, positions * 1.02)
    again = LEVELS["gfn2-xtb"].label(numbers, positions)
    assert first[0] == pytest.approx(again[0], abs=1e-11)
    np.testing.assert_allclose(first[1], again[1], atol=1e-12)


def test_energies_are_total_energies_in_ev():
    # GFN2-xTB of water in the geometry of tblite's own documentation: -137.9678 eV.
    positions = np.array([[0, 0, 0.119262], [0, 0.763239, -0.477047], [0, -0.763239, -0.477047]])
    energy, forces = LEVELS["gfn2-xtb"].label(np.array([8, 1, 1]), positions)
    assert energy == pytest.approx(-137.96777, abs=1e-4)
    np.testing.assert_allclose(forces[0], [0, 0, -0.74953], atol=1e-4)


def test_description_is_in_qcschema_words_and_unknown_levels_are_named():
    description = get_level("gfn1-xtb").describe()
    assert description["method"] == "GFN1-xTB" and description["program"] == "tblite"
    with pytest.raises(CompBenchError, match="unknown level of theory 'b3lyp'"):
        get_level("b3lyp")
