from dataclasses import replace

import jax
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack
from test_contract import QUICK, SMALL, TINY
from training_store import ATOM_ENERGY, EPSILON, SIGMA, PairConfig, make_configuration

from compbench_jax.errors import RunError
from compbench_jax.models.registry import MODELS
from compbench_jax.training import potential_file
from compbench_jax.training.loaded_run import LoadedRun, load_run
from compbench_jax.training.log import read_log
from compbench_jax.training.run import train_run
from compbench_jax.training.settings import OptimiserSettings, WatchSettings
from compbench_jax.training.start_from import carry_over, load_start, normalisation_from, refit_references


@pytest.fixture(scope="module")
def before(store, split, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "before"
    train_run(make_configuration(store, optimiser=OptimiserSettings(learning_rate=2e-2)), store, split, run)
    return run


def test_fine_tuning_starts_where_the_other_run_ended_and_keeps_what_is_frozen(before, store, split, tmp_path):
    run = tmp_path / "run"
    watch = WatchSettings(log_every=1, validate_every=2, monitor_frames=0)
    gentle = OptimiserSettings(learning_rate=1e-4)
    configuration = make_configuration(
        store, steps=2, watch=watch, optimiser=gentle, init_from=str(before), freeze=("sigma", "shift$")
    )
    train_run(configuration, store, split, run)
    free = replace(configuration, freeze=())
    train_run(free, store, split, tmp_path / "free")
    norms = [read_log(r / "log.jsonl")[1]["gradient_norm"] for r in (run, tmp_path / "free")]
    assert norms[0] < norms[1]  # of the parameters that are trained
    start, end = load_run(before), load_run(run, "latest")
    assert end.potential.normalisation == start.potential.normalisation  # the same frames: the same energies
    a, b = start.params["params"], end.params["params"]
    np.testing.assert_array_equal(a["sigma"], b["sigma"])
    np.testing.assert_array_equal(a["shift"], b["shift"])
    assert 0 < abs(float(a["epsilon"] - b["epsilon"])) < 1e-3
    first, last = (
        next(x for x in reversed(read_log(r / "log.jsonl")) if x["event"] == "validation") for r in (before, run)
    )
    assert last["validation_loss"] == pytest.approx(first["validation_loss"], rel=0.05)


def test_runs_that_must_not_be_started_from_are_refused(before, store, split, tmp_path):
    def message(**changes):
        with pytest.raises(RunError) as caught:
            train_run(make_configuration(store, **changes), store, split, tmp_path / "run")
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "there is no run at" in message(init_from=str(tmp_path / "none"))
    assert "without --init-from" in message(freeze=("sigma",))
    with pytest.raises(RunError, match="run of another potential"):
        load_start(before, PairConfig(cutoff=5.0), store, split)
    with pytest.raises(RunError, match=r"trained on 5 OOD molecules of this task \(alkane-2, …\)"):
        load_start(before, PairConfig(), store, replace(split, ood_test=split.train))


def test_new_elements_start_fresh_and_known_ones_where_they_were(before):
    start = load_run(before)
    fitted = replace(start.potential.normalisation, elements=(1, 8), reference_energies=(-1.0, -2.0))
    joined = normalisation_from(start, fitted)
    energies = dict(zip(joined.elements, joined.reference_energies, strict=True))
    assert energies == {1: -1.0, 6: start.potential.normalisation.reference_energies[1], 8: -2.0}
    assert (joined.scale, joined.average_neighbours) == (fitted.scale, fitted.average_neighbours)

    old = {"table": np.arange(6.0).reshape(2, 3), "pairs": np.arange(4.0).reshape(2, 2), "other": np.ones(3)}
    fresh = {"table": np.full((3, 3), 9.0), "pairs": np.full((3, 3), 9.0), "other": np.zeros(3)}
    found = carry_over(old, fresh, (1, 8), (1, 6, 8))
    np.testing.assert_array_equal(found["table"], [[0, 1, 2], [9, 9, 9], [3, 4, 5]])
    np.testing.assert_array_equal(found["pairs"], [[0, 9, 1], [9, 9, 9], [2, 9, 3]])
    assert found["other"] is old["other"]
    for odd in ({**fresh, "other": np.zeros(4)}, {"table": fresh["table"]}, {**fresh, "other": np.zeros((3, 1))}):
        with pytest.raises(RunError, match="other parameters than this potential"):
            carry_over(old, odd, (1, 8), (1, 6, 8))

    # Elements that the data lack are dropped, unless the data have others that the run lacks.
    assert normalisation_from(start, fitted, {1}).elements == (1,)
    assert normalisation_from(start, fitted, {1, 7}).elements == joined.elements
    found = carry_over(fresh, old, (1, 6, 8), (1, 8))
    np.testing.assert_array_equal(found["table"], fresh["table"][[0, 2]])
    np.testing.assert_array_equal(found["pairs"], fresh["pairs"][:2, :2])


BY_ELEMENT = ("mace", "nequip")
"""Potentials with weights that are normalised for a number of elements; the others are tested before a release."""


@pytest.mark.parametrize(
    "name", [*BY_ELEMENT, *(pytest.param(name, marks=pytest.mark.slow) for name in SMALL if name not in BY_ELEMENT)]
)
def test_with_more_elements_it_starts_from_the_energies_of_the_run(name, tmp_path):
    """Molecules of the elements that the run knew have its energies before the first step, on and on."""
    config = replace(MODELS[name], **TINY[name])
    with jax.enable_x64(True):

        def initial(normalisation, seed):
            potential_file.write(tmp_path, config, normalisation)
            potential = potential_file.read(tmp_path)
            positions = molecule(6, seed=3)[1]
            species = np.searchsorted(normalisation.elements, [1, 6, 8, 1, 6, 8])
            graph = pack(
                [(species, positions)], config.cutoff, dtype=np.float64, incoming=0 if potential.triplets else None
            )
            init = jax.jit(potential.init, compiler_options=QUICK)
            return potential, init(jax.random.key(seed), graph), graph

        def energy(potential, params, graph):
            return float(jax.jit(potential.energy, compiler_options=QUICK)(params, graph)[0])

        run, params, graph = initial(NORMALISATION, 0)
        expected = energy(run, params, graph)
        assert abs(expected) > 1e-3
        for elements in ((1, 7), (9, 17)):
            fitted = replace(NORMALISATION, elements=elements, reference_energies=(-1.0, -2.0))
            joined = normalisation_from(LoadedRun({}, run, params, 0), fitted)
            potential, fresh, graph = initial(joined, 1)
            params = carry_over(params, fresh, run.normalisation.elements, joined.elements)
            assert energy(potential, params, graph) == pytest.approx(expected, abs=1e-9)
            run = potential
        assert run.normalisation.elements == (1, 6, 7, 8, 9, 17)


def test_a_converted_potential_keeps_its_origin_of_energies(before, store, split):
    """The exact potential, but for constants of its own for each element, leaves nothing to learn."""
    run = load_run(before)
    exact = {"epsilon": np.float32(EPSILON), "sigma": np.float32(SIGMA), "shift": np.array([5.0, -7.0], np.float32)}
    scaled = replace(run, params={"params": exact})
    wrong = replace(run.potential.normalisation, reference_energies=(0.0, 0.0))
    fitted = refit_references(scaled, wrong, store, split.train)
    expected = [ATOM_ENERGY[1] - 5.0, ATOM_ENERGY[6] + 7.0]
    np.testing.assert_allclose(fitted.reference_energies, expected, atol=2e-3)
    # Elements that the run does not know keep what was fitted to the labels.
    stranger = replace(wrong, elements=(1, 6, 8), reference_energies=(0.0, 0.0, -2.0))
    assert refit_references(scaled, stranger, store, split.train).reference_energies[2] == -2.0
    lost = replace(scaled, potential=replace(run.potential, normalisation=replace(wrong, elements=(1, 9))))
    assert refit_references(lost, wrong, store, split.train) is wrong
