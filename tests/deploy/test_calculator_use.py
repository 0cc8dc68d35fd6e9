"""The ASE calculator as it is used: pickled, after a fork, in threads, on geometries that came apart or blew up."""

import multiprocessing
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jax
import numpy as np
import pytest
import toy_store
from ase import Atoms
from made_up_run import save_members, start_run

from compbench_jax.calculator import CompBenchCalculator
from compbench_jax.deploy.export import Sizes, export_program
from compbench_jax.deploy.exported import load
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.models.summary import hexane
from compbench_jax.training.loaded_run import load_run

CHAINS = tuple((f"alkane-{n}", "alkane", n, ("H", "H"), (1, *[6] * n, 1)) for n in (2, 3, 7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folder of a run of a small SchNet."""
    folder = tmp_path_factory.mktemp("use")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy_store, "MOLECULES", CHAINS)
        store = toy_store.make_store(folder / "store")
    _, init = start_run(folder / "run", store, folder / "store", cutoff=3.0)
    save_members(folder / "run", [init(0)], [init(0)])
    return folder / "run"


@pytest.fixture(scope="module")
def calculator(folder):
    return CompBenchCalculator(folder)


@pytest.fixture(scope="module")
def exported(folder):
    path = folder.parent / "program.zip"
    export_program(load_run(folder), Sizes(batch=2, nodes=60), path)
    return load(path)


def shaken(seed=0, size=0.05):
    frames, _ = hexane()
    positions = frames.positions.astype(float)
    return Atoms(frames.numbers, positions + size * np.random.default_rng(seed).normal(size=positions.shape))


def forces_by(which, request, atoms):
    """Energy and forces of the ASE calculator, or of the exported program."""
    if which == "ase":
        atoms.calc = request.getfixturevalue("calculator")
        return atoms.get_potential_energy(), atoms.get_forces()
    energies, forces = request.getfixturevalue("exported").energies_and_forces([(atoms.numbers, atoms.positions)])
    return energies[0], forces[0]


BOTH = pytest.mark.parametrize("which", ["ase", "exported"])


def test_a_pickle_loads_the_run_again(folder, exported):
    atoms = shaken()
    atoms.calc = CompBenchCalculator(folder, ensemble=[load_run(folder, "latest")], skin=0.3, graph=hexane()[1])
    again = pickle.loads(pickle.dumps(atoms))
    assert again.get_potential_energy() == atoms.get_potential_energy()
    np.testing.assert_array_equal(again.get_forces(), atoms.get_forces())
    assert again.calc.results["energy_std"] == 0
    assert len(pickle.dumps(CompBenchCalculator(folder))) < 1000
    structure = (atoms.numbers, atoms.positions)
    content = pickle.dumps(exported)
    assert len(content) < 1000
    np.testing.assert_array_equal(
        pickle.loads(content).energies_and_forces([structure])[1], exported.energies_and_forces([structure])[1]
    )


def compute_in_child(calculator):
    try:
        calculator.get_forces(shaken())
    except CompBenchError as error:
        return str(error)
    return "computed"


def in_forked_process(function, argument):
    """What the function returns in a forked process; it fails instead of waiting for ever."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("fork").Process(target=lambda: sender.send(function(argument)), daemon=True)
    child.start()
    found = receiver.recv() if receiver.poll(30) else "hangs"
    child.kill()
    child.join()
    return found


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning", "ignore:This process .*fork:DeprecationWarning")
def test_a_forked_process_says_why_it_cannot_compute(folder, calculator, exported):
    calculator.get_forces(shaken())
    structures = [(shaken().numbers, shaken().positions)]

    def with_exported(program):
        try:
            program.energies_and_forces(structures)
        except CompBenchError as error:
            return str(error)

    def loads(folder):
        try:
            CompBenchCalculator(folder)
        except CompBenchError as error:
            return str(error)

    for function, argument in ((compute_in_child, calculator), (with_exported, exported), (loads, folder)):
        line = in_forked_process(function, argument)
        assert "was forked" in line and "get_context('spawn')" in line and "\n" not in line


def test_threads_may_share_a_calculator(calculator):
    molecules = [shaken(k) if k % 2 else shaken(k)[:8] for k in range(12)]
    expected = []
    for atoms in molecules:
        atoms.calc = calculator
        expected.append((atoms.get_potential_energy(), atoms.get_forces()))

    def one(atoms):
        own = atoms.copy()
        own.calc = calculator
        return own.get_potential_energy(), own.get_forces()

    for _ in range(4):
        with ThreadPoolExecutor(6) as threads:
            for (energy, forces), wanted in zip(threads.map(one, molecules), expected, strict=True):
                assert energy == pytest.approx(wanted[0], abs=1e-5)
                np.testing.assert_allclose(forces, wanted[1], atol=1e-5)


@BOTH
@pytest.mark.parametrize("distance", [50.0, 1e5, 1e8])
def test_forces_do_not_depend_on_how_far_apart_molecules_are(request, which, distance):
    first, second = shaken(1), shaken(2)[:8]
    alone = [forces_by(which, request, item.copy()) for item in (first, second)]
    second.translate([distance, -distance, 0.3])
    energy, forces = forces_by(which, request, first + second)
    # At 1e8 Å float64 itself resolves 1.5e-8 Å.
    np.testing.assert_allclose(forces, np.concatenate([item for _, item in alone]), atol=2e-5)
    assert energy == pytest.approx(alone[0][0] + alone[1][0], abs=1e-4)


@BOTH
@pytest.mark.parametrize("gap", [0.0, 1e-6, 0.19])
def test_overlapping_atoms_are_one_clear_line(request, which, gap):
    atoms = shaken()
    atoms.positions[9] = atoms.positions[4] + [0, gap, 0]
    with pytest.raises(DataError, match=r"atom 4 \(C\) and atom 9 \(H\) are [\d.e-]+ Å apart") as caught:
        forces_by(which, request, atoms)
    assert "\n" not in str(caught.value)


@BOTH
@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "is not finite"), (-np.inf, "is not finite"), (1e14, r"is 1e\+14 Å away, where float64")],
)
def test_positions_that_mean_nothing_are_one_clear_line(request, which, value, words):
    atoms = shaken()
    atoms.positions[7, 1] = value
    with pytest.raises(DataError, match=rf"atom 7 \(H\) .*{words}") as caught:
        forces_by(which, request, atoms)
    assert "\n" not in str(caught.value)


def test_the_structure_is_named_where_there_are_several(exported):
    good, bad = shaken(), shaken()
    bad.positions[3] = bad.positions[2]
    with pytest.raises(DataError, match=re.escape("atom 2 (C) of structure 1 and atom 3 (C) of structure 1")):
        exported.energies_and_forces([(item.numbers, item.positions) for item in (good, bad)])


def test_long_range_terms_keep_the_distance_or_say_that_it_is_not_resolved(folder):
    run = load_run(folder)
    calculator = CompBenchCalculator(replace(run, potential=replace(run.potential, long_range=True)))
    atoms = shaken() + shaken()
    atoms.positions[20:, 0] += 1e5
    with pytest.raises(DataError, match="where float32 resolves no bond"):
        calculator.get_forces(atoms)


def test_no_atoms_are_one_line(calculator):
    with pytest.raises(CompBenchError, match="has no atoms"):
        calculator.get_forces(Atoms())


def test_a_program_is_used_from_threads(exported):
    structures = [(shaken(k).numbers, shaken(k).positions) for k in range(6)]
    expected = [exported.energies_and_forces([item])[1][0] for item in structures]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda item: exported.energies_and_forces([item])[1][0], structures)
        for forces, wanted in zip(jax.tree.leaves(list(found)), expected, strict=True):
            np.testing.assert_array_equal(forces, wanted)
