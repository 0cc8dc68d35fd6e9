"""Runs with a prior: what they are trained on, and what becomes of them."""

import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from test_run import PowerCut, assert_same_run, comparable, cut_at
from training_store import make_configuration

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import RunError
from compbench_jax.evaluation.ensemble import ensemble_of
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.identity import recipe
from compbench_jax.evaluation.parallel import predictor_of
from compbench_jax.evaluation.predict import predict
from compbench_jax.evaluation.sets import predict_sets
from compbench_jax.evaluation.settings import Settings
from compbench_jax.models.potential import PRIOR
from compbench_jax.models.registry import BASELINES, MODELS
from compbench_jax.store.frames import ragged_indices
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task
from compbench_jax.training import configuration as config_file
from compbench_jax.training import prior
from compbench_jax.training.configuration import RunConfig, check
from compbench_jax.training.data import build_data
from compbench_jax.training.loaded_run import LoadedRun, load_members, load_run, with_precision, without_prior
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import OptimiserSettings, WatchSettings

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(samples=10)


@pytest.fixture(scope="module")
def whole(store, split, tmp_path_factory):
    """A run of 30 steps that nothing interrupted."""
    run = tmp_path_factory.mktemp("priors") / "whole"
    assert train_run(make_configuration(store, prior="classical"), store, split, run) is None
    return run


def prior_of(run):
    """The prior of a run as a run."""
    return replace(run, potential=run.potential.prior, params={"params": run.params[PRIOR]})


QUICK = {"xla_backend_optimization_level": 0}


def predictions(run, store, frames):
    """Interaction energies (eV) and forces of frames of a store by any potential."""
    potential = run.potential
    data = GraphDataset.build(
        store.gather(frames),
        elements=potential.normalisation.elements,
        reference_energies=np.zeros(len(potential.normalisation.elements)),
        cutoff=potential.cutoff,
        batch_size=8,
        graphs=store.graphs,
    )
    found = predict(jax.jit(potential.energy_and_forces, compiler_options=QUICK), run.params, data)
    return found.energy, found.forces


@pytest.fixture(scope="module")
def parts(whole, store):
    """Interaction energies and forces of all frames of the store by network and prior, each by itself."""
    run = load_run(whole)
    return [predictions(item, store, np.arange(store.n_frames)) for item in (without_prior(run), prior_of(run))]


def of_frames(found, store, frames):
    """What was found for some frames."""
    starts = store.offsets[frames]
    return found[0][frames], found[1][ragged_indices(starts, store.offsets[np.asarray(frames) + 1] - starts)]


def references(run, store, frames):
    """Sum of the reference energies of the atoms of each frame, eV."""
    normalisation = run.potential.normalisation
    energies = dict(zip(normalisation.elements, normalisation.reference_energies, strict=True))
    return np.array([sum(energies[z] for z in store.graphs[m].numbers.tolist()) for m in store.molecule[frames]])


def test_training_sees_the_labels_less_the_prior(whole, parts, store, split):
    run, configuration = load_run(whole), make_configuration(store, prior="classical")
    labels = prior.labels_without(whole, configuration, store, split)
    frames = np.concatenate([split.train, split.validation, split.id_test[[0, -1]], split.ood_test[[0, -1]]])
    energy, forces = of_frames(parts[1], store, frames)
    before, after = store.gather(frames), labels.gather(frames)
    np.testing.assert_allclose(after.energy, before.energy - energy, atol=1e-5)
    np.testing.assert_allclose(after.forces, before.forces - forces, atol=1e-5)
    # Nobody can train on others by mistake.
    assert set(frames) < set(np.flatnonzero(np.isfinite(labels.energy))) < set(range(store.n_frames))
    train = build_data(labels, split, run.potential.normalisation, 7.0, 4, 8).train
    rms = np.sqrt(np.mean(np.square(train.frames.forces, dtype=float)))
    assert run.potential.normalisation.scale == pytest.approx(rms, rel=1e-6)
    assert rms < np.sqrt(np.mean(np.square(store.gather(split.train).forces)))


def test_an_evaluation_is_that_of_network_plus_prior(whole, parts, store, split):
    run = load_run(whole)
    found = evaluate(run, store, split, SETTINGS)
    assert found.results["model"] == "pair + classical prior"
    for part in ("id", "ood"):
        frames = found.frames[part]
        network, more = (of_frames(item, store, frames) for item in parts)
        expected = references(run, store, frames) + network[0] + more[0]
        np.testing.assert_allclose(found.predictions[part].energy, expected, atol=1e-4)
        np.testing.assert_allclose(found.predictions[part].forces, network[1] + more[1], atol=1e-4)
        assert np.abs(more[1]).max() > 1e-2


def test_validation_errors_are_those_against_the_labels_themselves(whole, parts, store, split):
    lines = [line for line in comparable(whole) if line["event"] == "validation"]
    best = min(lines, key=lambda line: line["validation_loss"])
    network, more = (of_frames(item, store, split.validation)[1] for item in parts)
    expected = np.abs(network + more - store.gather(split.validation).forces).mean()
    assert best["validation_force_mae"] == pytest.approx(expected, rel=1e-4)
    assert best["monitor_ood_force_mae"] > 0


@pytest.mark.slow
def test_several_processes_evaluate_it_alike(whole, store, split):
    run = load_run(whole)
    alone = evaluate(run, store, split, SETTINGS)
    with predictor_of(2) as two:
        found = evaluate(run, store, split, SETTINGS, predictor=two)
    np.testing.assert_allclose(found.predictions["ood"].forces, alone.predictions["ood"].forces, atol=1e-5)


def test_a_resumed_run_is_the_same_bit_for_bit(whole, store, split, tmp_path, monkeypatch):
    configuration, run = make_configuration(store, prior="classical"), tmp_path / "run"
    with monkeypatch.context() as patch:
        cut_at(patch, 13)
        with pytest.raises(PowerCut):
            train_run(configuration, store, split, run)
    assert train_run(configuration, store, split, run) is None
    assert_same_run(whole, run)


def test_a_prior_is_a_setting_of_a_run(whole, store, split, tmp_path):
    plain, configuration = make_configuration(store), make_configuration(store, prior="classical")
    with pytest.raises(RunError, match="prior = 'classical', this one has prior = 'none'"):
        train_run(plain, store, split, whole)
    content = config_file.to_json(plain)
    del content["prior"]  # as runs of before the setting
    assert config_file.from_json(content, tmp_path) == plain
    assert recipe(content) == recipe(config_file.to_json(plain)) != recipe(config_file.to_json(configuration))
    with pytest.raises(RunError, match="leave out --prior"):
        check(make_configuration(store, BASELINES["composition"], preset="composition", prior="classical"))
    with pytest.raises(RunError, match="--prior is 'quantum'"):
        check(replace(plain, prior="quantum"))


def test_fine_tuning_goes_on_with_the_prior_of_the_run(whole, store, split, tmp_path):
    gentle = OptimiserSettings(learning_rate=1e-12)
    changes = {"steps": 2, "optimiser": gentle, "watch": WatchSettings(validate_every=2, monitor_frames=0)}
    with pytest.raises(RunError, match="was trained with --prior classical, this run has none"):
        train_run(make_configuration(store, init_from=str(whole), **changes), store, split, tmp_path / "plain")
    configuration = make_configuration(store, prior="classical", init_from=str(whole), **changes)
    assert train_run(configuration, store, split, tmp_path / "run") is None
    a, b = load_run(whole), load_run(tmp_path / "run")
    for x, y in zip(jax.tree.leaves(a.params), jax.tree.leaves(b.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5)
    np.testing.assert_array_equal(a.params[PRIOR]["pair_0"], b.params[PRIOR]["pair_0"])
    # The other way round: the run to start from has none.
    train_run(make_configuration(store, steps=2), store, split, tmp_path / "before")
    late = make_configuration(store, prior="classical", init_from=str(tmp_path / "before"))
    with pytest.raises(RunError, match="was trained with --prior none, this run has classical"):
        train_run(late, store, split, tmp_path / "late")


def test_a_prior_that_meets_other_elements_gives_them_nothing(whole, parts, store, tmp_path):
    (tmp_path / "run").mkdir()
    prior.copy(whole, tmp_path / "run", [1, 5, 7])
    potential, params = prior.read(tmp_path / "run")
    assert potential.normalisation.elements == (1, 5, 6, 7)
    wider = LoadedRun({}, potential, {"params": params}, 0)
    frames = store.select(3, "primary")[:1]
    for found, before in zip(predictions(wider, store, frames), of_frames(parts[1], store, frames), strict=True):
        np.testing.assert_allclose(found, before, atol=1e-4)
    # An atom in the middle of the chain becomes nitrogen.
    graph = store.graphs[3]
    numbers = np.where(np.arange(graph.n_atoms) == 2, 7, graph.numbers).astype(np.int32)
    graphs = tuple(replace(graph, numbers=numbers) if g is graph else g for g in store.graphs)
    energy, forces = predictions(wider, replace(store, graphs=graphs), frames)
    assert np.isfinite(energy).all() and np.abs(forces).max() > 1e-3
    assert not forces[2].any()


@pytest.mark.slow
def test_members_share_the_prior_and_float64_is_all_float64(store, split, tmp_path, restored):
    jax.config.update("jax_enable_x64", True)
    configuration = make_configuration(store, steps=6, seeds=2, precision="float64", prior="classical")
    assert train_run(configuration, store, split, tmp_path / "run") is None
    members = load_members(tmp_path / "run")
    floats = [x.dtype for x in jax.tree.leaves(members[0].params) if np.issubdtype(x.dtype, np.floating)]
    assert set(floats) == {np.dtype(np.float64)}
    frames = {"some": split.ood_test[:3]}

    def forces(run):
        return predict_sets(run, store, frames, SETTINGS, lambda _: None)["some"].forces

    each = [forces(member) for member in members]
    np.testing.assert_allclose(forces(ensemble_of(members)), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(forces(with_precision(members[0], "float32")), each[0], atol=2e-3)
    assert np.abs(each[0] - each[1]).max() > 0


@pytest.mark.slow
def test_on_real_molecules_the_network_has_less_to_learn(tmp_path):
    store = open_store(ROOT / "data" / "mini")
    split = get_task("chain_extension").split(store)
    errors = {}
    for name in ("none", "classical"):
        configuration = RunConfig(
            "chain_extension", "data/mini", store.hash, "schnet", MODELS["schnet"], 0, 200, 8, prior=name
        )
        train_run(configuration, store, split, tmp_path / name)
        lines = [line for line in read_log(tmp_path / name / "log.jsonl") if line["event"] == "validation"]
        errors[name] = lines[-1]["validation_force_mae"], lines[-1]["monitor_ood_force_mae"]
    assert all(more < 0.5 * plain for more, plain in zip(errors["classical"], errors["none"], strict=True))


@pytest.fixture
def restored():
    """Leaves JAX as it was."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.parametrize("damage", ["cut", "missing", "other arrays"])
def test_a_damaged_prior_is_one_line(whole, tmp_path, damage):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    path = run / prior.FOLDER / prior.FILE
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "missing":
        path.unlink()
    else:
        np.savez(path, pair_0=np.zeros((2, 3)))
    with pytest.raises(RunError, match=r"parameters\.npz") as caught:
        load_run(run)
    assert "\n" not in str(caught.value)
