import numpy as np
import pytest
from ase.calculators.calculator import CalculationFailed

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.levels import LEVELS, get_level, level_described_by
from compbench_jax.molecules.conformers import conformer
from compbench_jax.molecules.graph import molecular_graph
from compbench_jax.molecules.registry import find_molecule

WATER = np.array([8, 1, 1]), np.array([[0, 0, 0.119262], [0.1, 0.763239, -0.477047], [0, -0.763239, -0.477047]])


@pytest.fixture
def displaced_ethanol():
    molecule = find_molecule("ethanol")
    rng = np.random.default_rng(3)
    positions = conformer(molecule, 1)
    return molecular_graph(molecule).numbers, positions + rng.normal(scale=0.05, size=positions.shape)


def assert_forces_are_slopes(level, numbers, positions, places, step, tolerance):
    _, forces = level.label(numbers, positions)
    for atom, axis in places:
        shift = np.zeros_like(positions)
        shift[atom, axis] = step
        difference = level.label(numbers, positions + shift)[0] - level.label(numbers, positions - shift)[0]
        assert forces[atom, axis] == pytest.approx(-difference / (2 * step), abs=tolerance)


@pytest.mark.parametrize("name", ["gfn2-xtb", "gfn1-xtb", 'tblite.ase:TBLite{"accuracy": 0.01, "verbosity": 0}'])
def test_forces_are_minus_the_gradient_of_the_energy(name, displaced_ethanol):
    assert_forces_are_slopes(get_level(name), *displaced_ethanol, ((0, 0), (2, 1), (8, 2)), 1e-3, 2e-4)


@pytest.mark.slow
def test_dft_forces_are_minus_the_gradient_of_the_energy(displaced_ethanol):
    assert_forces_are_slopes(LEVELS["pbe-d3bj"], *displaced_ethanol, ((0, 0), (2, 1), (8, 2)), 2e-3, 3e-4)


def test_dft_of_water():
    """One force against a difference of energies, and the dispersion and units against a calculation by hand."""
    from pyscf import dft, gto

    level = LEVELS["pbe-d3bj"]
    energy, forces = level.label(*WATER)
    by_hand = dft.RKS(gto.M(atom=list(zip(*WATER, strict=True)), basis="def2-tzvp", verbose=0), xc="pbe").run()
    # Hartree to eV; density fitting costs a few meV, dispersion inside one water is 1e-4 Hartree.
    assert energy == pytest.approx(by_hand.e_tot * 27.211386, abs=0.03)
    assert_forces_are_slopes(level, *WATER, ((1, 1),), 2e-3, 3e-4)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-6)


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
    with pytest.raises(CompBenchError, match="did you mean 'pbe-d3bj'"):
        get_level("pbe-d3b")


def test_a_level_is_found_by_its_description_and_import_paths_are_not_followed():
    assert level_described_by(get_level("gfn2-xtb").describe()) is LEVELS["gfn2-xtb"]
    assert level_described_by(get_level("pbe-d3bj").describe()) is LEVELS["pbe-d3bj"]
    assert level_described_by({"method": "os:system", "basis": None, "program": "os:system"}) is None


def test_any_ase_calculator_is_a_level_by_its_import_path():
    level = get_level('ase.calculators.lj:LennardJones{"sigma": 3.0, "rc": 8.0}')
    energy, forces = level.label(np.array([18, 18]), np.array([[0.0, 0, 0], [3.0 * 2 ** (1 / 6), 0, 0]]))
    np.testing.assert_allclose(forces, 0, atol=1e-10)
    assert energy < 0 and level.describe()["version"].startswith("ase ")
    for wrong, message in (
        ("ase.calculators.lj:Nothing", "Nothing"),
        ("no_such_module:Calculator", "no_such_module"),
        ('ase.calculators.lj:LennardJones{"label": 5, "directory": 5}', "refused its keywords"),
        ("tblite.ase:TBLite{method}", "not JSON"),
    ):
        with pytest.raises(CompBenchError, match=message):
            get_level(wrong).calculator()
    with pytest.raises(CalculationFailed, match="B3LYP"):
        get_level('tblite.ase:TBLite{"method": "B3LYP", "verbosity": 0}').label(*WATER)
