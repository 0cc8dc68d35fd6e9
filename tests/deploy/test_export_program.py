"""A trained potential as a program that runs without its code."""

import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms

from compbench_jax.api import Potential
from compbench_jax.batching.arrays import arrays_of
from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.topology import perceived_graphs
from compbench_jax.cli.main import run_command
from compbench_jax.deploy.ase_calculator import CompBenchCalculator
from compbench_jax.deploy.export import Sizes, export_program, function_of, inputs_for, shape_of
from compbench_jax.deploy.exported import frames_of, load
from compbench_jax.errors import CompBenchError, DataError, RunError
from compbench_jax.models.baselines.classical import ClassicalConfig
from compbench_jax.models.baselines.fit import fit_baseline
from compbench_jax.models.potential import PRIOR, Normalisation
from compbench_jax.models.registry import MODELS, build_potential, config_to_json
from compbench_jax.models.summary import hexane
from compbench_jax.training.loaded_run import LoadedRun, with_precision

TINY = {
    "schnet": replace(MODELS["schnet"], features=8, interactions=2, n_basis=4),
    "mace": replace(MODELS["mace"], channels=4, layers=2, radial_mlp=(8,)),
    "dimenet": replace(MODELS["dimenet"], features=8, blocks=1, triplet_features=4, output_features=8),
}
METHANE = np.array([6, 1, 1, 1, 1]), 0.63 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1.2]])


def structures():
    """Hexane, bent a little, and methane."""
    frames, _ = hexane()
    shaken = frames.positions + 0.05 * np.random.default_rng(0).normal(size=frames.positions.shape)
    return [METHANE, (frames.numbers, shaken), METHANE]


def made_up_run(name):
    """A run of random parameters."""
    normalisation = Normalisation((1, 6), (-13.5, -1030.25), 1.7, 12.0)
    potential = build_potential(TINY[name], normalisation)
    graph = batch_of(potential, None)[1]
    params = jax.jit(potential.init)(jax.random.key(3), graph)
    config = {"preset": name, "task": "chain_extension", "data_hash": "abc", "model": config_to_json(TINY[name])}
    return LoadedRun(config, potential, jax.device_get(params), 12)


def batch_of(potential, shape):
    """The structures as one batch, and which are where in it."""
    normalisation = potential.normalisation
    dataset = GraphDataset.build(
        frames_of(structures()),
        elements=normalisation.elements,
        reference_energies=normalisation.reference_energies,
        cutoff=potential.cutoff,
        batch_size=3,
        shape=shape,
        triplets=potential.triplets,
    )
    (item,) = dataset.sequential()
    return dataset, dataset.batch(item)


@pytest.mark.parametrize("symbolic", [False, True])
@pytest.mark.parametrize(
    "name", ["schnet", pytest.param("mace", marks=pytest.mark.slow), pytest.param("dimenet", marks=pytest.mark.slow)]
)
def test_the_program_gives_the_energies_and_forces_of_the_potential(tmp_path, name, symbolic):
    run, path = made_up_run(name), tmp_path / "program.zip"
    sizes = Sizes(batch=3, nodes=40, edges=600, incoming=24, symbolic=symbolic)
    header = export_program(run, sizes, path)
    assert header["platforms"] == ["cpu", "cuda", "tpu"]
    program = load(path)
    assert program.header == header
    _, graph = batch_of(run.potential, None)
    if not symbolic:
        dataset = program._dataset(frames_of(structures()))
        graph = dataset.batch(dataset.sequential()[0])
    energy, forces = program.call(arrays_of(graph))
    expected, expected_forces = jax.jit(run.potential.energy_and_forces)(run.params, graph)
    np.testing.assert_allclose(energy[:3], expected[:3], rtol=2e-6, atol=2e-6)
    real = int(graph.n_node[:3].sum())
    np.testing.assert_allclose(forces[:real], expected_forces[:real], rtol=2e-5, atol=2e-6)
    assert np.abs(np.asarray(forces[:real])).max() > 1e-3

    energies, parts = program.energies_and_forces(structures())
    assert [part.shape for part in parts] == [(5, 3), (20, 3), (5, 3)]
    assert energies[0] == pytest.approx(energies[2], abs=1e-6) and abs(energies[0] - (-1030.25 - 4 * 13.5)) < 50
    np.testing.assert_allclose(parts[0], parts[2], atol=1e-6)
    dataset, _ = batch_of(run.potential, None)
    order = [int(i) for i in dataset.sequential()[0].indices]
    interaction = np.asarray(expected, float)[:3][np.argsort(order)] if symbolic else None
    if interaction is not None:
        np.testing.assert_allclose(energies, dataset.reference + interaction, rtol=1e-9, atol=1e-5)


@pytest.fixture
def double():
    """64-bit JAX, in all threads; left as it was."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def test_a_program_and_a_calculator_are_told_bonds_or_perceive_them(tmp_path, double):
    """A network with a prior, in float64."""
    with jax.enable_x64(False):
        run = made_up_run("schnet")
    run = with_precision(run, "float64")
    frames = frames_of(structures())
    graphs = perceived_graphs(frames)
    labels = np.random.default_rng(0).normal(size=(30, 3))
    settings = {"elements": (1, 6), "reference_energies": (0.0, 0.0), "cutoff": run.potential.cutoff, "batch_size": 3}
    data = GraphDataset.build(replace(frames, forces=labels), **settings, graphs=graphs, dtype=np.float64)
    config = ClassicalConfig(cutoff=run.potential.cutoff)
    fitted, _ = fit_baseline(config, run.potential.normalisation, data, data)
    prior = build_potential(config, run.potential.normalisation)
    run = replace(run, potential=replace(run.potential, prior=prior), params={**run.params, PRIOR: fitted["params"]})
    run = with_precision(run, "float64")
    (item,) = data.sequential()
    energy, forces = jax.jit(run.potential.energy_and_forces)(run.params, data.batch(item))
    order = np.argsort(item.indices)
    parts = np.split(np.asarray(forces)[:30], np.cumsum(data.frames.n_atoms[item.indices])[:-1])
    expected, parts = np.asarray(energy)[:3][order], [parts[i] for i in order]

    header = export_program(run, Sizes(batch=3, nodes=40, edges=900), tmp_path / "program.zip")
    assert [entry["name"] for entry in header["inputs"]][-2:] == ["neighbours", "keys"]
    assert header["platforms"] == ["cpu", "cuda", "tpu"]
    program = load(tmp_path / "program.zip")
    references = np.array([-1030.25 - 4 * 13.5, 6 * -1030.25 - 14 * 13.5, -1030.25 - 4 * 13.5])
    for given in (None, graphs):
        energies, found = program.energies_and_forces(structures(), given)
        np.testing.assert_allclose(energies - references, expected, atol=1e-9)
        for own, other in zip(found, parts, strict=True):
            np.testing.assert_allclose(own, other, atol=1e-9)
    molecules = [Atoms(numbers, positions) for numbers, positions in structures()]
    energies, found = Potential(run).predict(molecules)
    np.testing.assert_allclose(energies - references, expected, atol=1e-9)
    np.testing.assert_allclose(found[1], parts[1], atol=1e-5)  # these are float32
    molecules[1].calc = CompBenchCalculator(run)
    np.testing.assert_allclose(molecules[1].get_forces(), parts[1], atol=1e-9)
    with pytest.raises(DataError, match="there are 1 graphs for 3 structures"):
        program.energies_and_forces(structures(), graphs[:1])
    with pytest.raises(DataError, match="graph 0 has other atoms than its structure"):
        Potential(run).predict(molecules, [graphs[1], graphs[0], graphs[2]])
    with pytest.raises(DataError, match="the bonds of structure 1 are not known"):
        program.energies_and_forces([METHANE, (np.array([6, 1]), np.array([[0.0, 0, 0], [0, 0, 1.1]]))])


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("name", TINY)
def test_no_program_for_an_accelerator_has_the_loop_of_the_cpu(name, platform):
    run = made_up_run(name)
    names, specs = inputs_for(run, shape_of(run, Sizes(batch=3, nodes=40, edges=600, incoming=24)), symbolic=False)
    program = jax.export.export(jax.jit(function_of(run, names)), platforms=(platform,))(*specs)
    # Some versions of jax search a sorted list of integers in a loop; a loop over edges carries their features.
    loops = [line for line in program.mlir_module().splitlines() if "stablehlo.while" in line]
    assert not [line for line in loops if re.search(r"x?f(32|64)>", line)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "schnet.zip"
    export_program(made_up_run("schnet"), Sizes(batch=2, nodes=24), path)
    return path


def test_it_runs_without_the_code_of_models_and_training(written):
    code = """
import sys
from compbench_jax.exported import load
found = load(sys.argv[1]).energies_and_forces([([6, 1, 1], [[0, 0, 0], [1, 0, 0], [0, 1.1, 0]])])
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("compbench_jax.")}
assert not rooms & {"models", "training"} and "flax" not in sys.modules, rooms
print(*found[0], *found[1][0].ravel())
"""
    done = subprocess.run([sys.executable, "-c", code, written], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    water_like = (np.array([6, 1, 1]), np.array([[0, 0, 0], [1, 0, 0], [0, 1.1, 0]]))
    energies, forces = load(written).energies_and_forces([water_like])
    np.testing.assert_allclose([float(x) for x in done.stdout.split()], [*energies, *forces[0].ravel()], rtol=1e-6)


def test_the_same_run_gives_the_same_file_without_a_word_about_this_machine(written, tmp_path):
    export_program(made_up_run("schnet"), Sizes(batch=2, nodes=24), tmp_path / "again.zip")
    with zipfile.ZipFile(written) as archive:
        assert b".py" not in archive.read("program.bin")
    assert (tmp_path / "again.zip").read_bytes() == written.read_bytes()


def test_what_the_program_cannot_take_is_one_line(written, tmp_path):
    program = load(written)
    with pytest.raises(DataError, match="knows only H, C"):
        program.energies_and_forces([([8], [[0, 0, 0]])])
    with pytest.raises(DataError, match="atoms"):
        program.energies_and_forces([(np.full(30, 6), np.arange(90.0).reshape(30, 3))])
    with pytest.raises(DataError, match=r"give \[n\] and \[n, 3\]"):
        program.energies_and_forces([([6, 1], [[0, 0, 0]])])
    with pytest.raises(DataError, match="no array 'senders'"):
        program.call({"positions": np.zeros((25, 3)), "species": np.zeros(25, np.int32)})
    with pytest.raises(DataError, match="there is no file"):
        load(tmp_path / "nowhere.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(DataError, match="no exported program"):
        load(tmp_path / "text.zip")
    broken = tmp_path / "broken.zip"
    with zipfile.ZipFile(written) as before, zipfile.ZipFile(broken, "w") as after:
        after.writestr("header.json", before.read("header.json"))
        after.writestr("program.bin", before.read("program.bin")[:1000])
    with pytest.raises(DataError, match="cannot be read by jax"):
        load(broken)


def test_sizes_and_potentials_that_cannot_be_exported_are_refused(tmp_path):
    run = made_up_run("schnet")
    with pytest.raises(RunError, match="--nodes is 0"):
        export_program(run, Sizes(nodes=0), tmp_path / "x.zip")
    with pytest.raises(CompBenchError, match=r"neither a data set .* nor a run"):
        run_command(["export", str(tmp_path), "--out", str(tmp_path / "x.zip")])
    assert not list(tmp_path.iterdir())
