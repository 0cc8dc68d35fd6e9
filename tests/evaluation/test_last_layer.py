"""The standard deviation from the last layer: its features are exact, its formula that of linear regression."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy_store
from ase import Atoms
from model_graphs import NORMALISATION, molecule, pack
from test_contract import QUICK, SMALL, TINY

import compbench_jax as cb
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.evaluation.last_layer import LAST, make_features, rigidity, variances
from compbench_jax.models.registry import MODELS, build_potential

QUICK_ONES = ("schnet", "painn", "mace", "nequip")
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in (*SMALL, "so3lr") if name not in QUICK_ONES]


@pytest.mark.parametrize("name", [*QUICK_ONES, *OTHERS])
def test_energies_are_linear_in_the_last_layer(name):
    """Other weights change the energies of a batch by exactly the features times the change."""
    with jax.enable_x64(True):
        potential = build_potential(replace(MODELS[name], **TINY[name]), NORMALISATION)
        batch = [molecule(4, seed=1), molecule(5, seed=2)]
        graph = pack(batch, potential.cutoff, dtype=np.float64, incoming=0 if potential.triplets else None)
        params = jax.jit(potential.init, compiler_options=QUICK)(jax.random.key(0), graph)
        changes = []

        def moved(path, leaf):
            if not LAST.search("/".join(key.key for key in path)):
                return leaf
            changes.append(np.random.default_rng(len(changes)).normal(size=leaf.shape))
            return leaf + changes[-1]

        others = jax.tree_util.tree_map_with_path(moved, params)
        features = jax.jit(make_features(potential), compiler_options=QUICK)(params, graph)
        energy = jax.jit(potential.energy, compiler_options=QUICK)
        change = energy(others, graph) - energy(params, graph)
        assert features.shape == (len(graph.n_node), sum(item.size for item in changes))
        np.testing.assert_allclose(features @ np.concatenate([x.ravel() for x in changes]), change, atol=1e-9)
        assert np.abs(change[:2]).min() > 1e-5


def test_a_potential_without_a_last_layer_is_refused():
    with pytest.raises(RunError, match="is not known: train an ensemble"):
        make_features(build_potential(MODELS["schnet"], NORMALISATION))({"params": {"x": jnp.zeros(1)}}, None)


def test_the_standard_deviation_is_that_of_linear_regression():
    """Labels of a linear model with noise: predicted and actual errors agree, near the training data and far away."""
    rng = np.random.default_rng(0)
    train, tuning = rng.normal(size=(60, 8)), rng.normal(size=(40, 8))
    far = rng.normal(size=(200, 8)) * [1, 1, 1, 1, 1, 1, 1, 20.0]
    predicted, actual = [], []
    for _ in range(200):
        weights = rng.normal(size=8)
        fitted = np.linalg.lstsq(train, train @ weights + 0.1 * rng.normal(size=60), rcond=None)[0]
        matrix = rigidity(train, tuning, tuning @ (fitted - weights))
        predicted.append(variances(far, matrix))
        actual.append((far @ (fitted - weights)) ** 2)
    predicted, actual = np.mean(predicted, axis=0), np.mean(actual, axis=0)
    assert actual.max() > 30 * actual.min()
    np.testing.assert_allclose(predicted, actual, rtol=0.35)
    spread = variances(np.vstack([train[:1], 20 * train[:1]]), matrix)
    assert spread[1] == pytest.approx(400 * spread[0])


def test_evaluate_prepares_it_and_the_calculator_gives_it(tmp_path, capsys):
    data, run = tmp_path / "data", tmp_path / "run"
    store = toy_store.make_store(data)
    model = (
        "model:schnet",
        "--model.features",
        "8",
        "--model.interactions",
        "1",
        "--model.n-basis",
        "4",
        "--model.cutoff",
        "3",
    )
    words = (
        "train",
        "--task",
        "random_frames",
        "--data",
        data,
        "--out",
        run,
        "--steps",
        "20",
        "--batch-size",
        "4",
        *model,
    )
    assert exit_code_of(lambda: run_command([str(word) for word in words])) == 0
    with pytest.raises(CompBenchError, match="--uncertainty"):
        cb.Calculator(run, uncertainty=True)
    for others in (
        ["--run", str(run), "--member", "0"],
        ["--calculator", "perturb", "--task", "x", "--data", str(data)],
    ):
        assert exit_code_of(lambda others=others: run_command(["evaluate", "--uncertainty", *others])) == 2
    capsys.readouterr()
    assert exit_code_of(lambda: run_command(["evaluate", "--run", str(run), "--uncertainty", "--samples", "20"])) == 0
    assert "Standard deviation from the last layer" in capsys.readouterr().out
    scores = read_results(run)["last_layer"]["energy"]
    assert scores["id"]["error_over_spread"]["value"] > 0 and len(scores["ood"]["calibration"]["predicted"]) > 2
    # The calculator's numbers are those of the evaluation, and grow with what training did not see.
    frames = store.gather(np.array([0]))
    atoms = Atoms(frames.numbers, frames.positions, calculator=cb.Calculator(run, uncertainty=True))
    energy, spread = atoms.get_potential_energy(), atoms.calc.results["energy_std"]
    plain = Atoms(frames.numbers, frames.positions, calculator=cb.Calculator(run))
    assert energy == pytest.approx(plain.get_potential_energy(), abs=1e-4) and "energy_std" not in plain.calc.results
    atoms.positions *= 0.7
    atoms.get_potential_energy()
    assert atoms.calc.results["energy_std"] > spread > 0
    with pytest.raises(CompBenchError, match="of one run"):
        cb.Calculator(run, ensemble=[run], uncertainty=True)
