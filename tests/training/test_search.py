from dataclasses import replace

import pytest

from compbench_jax.errors import RunError
from compbench_jax.models.registry import MODELS
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.search import Axis, default_axes, parse_axis, search_space, with_values

BASE = RunConfig("chain_extension", "data/mini", "abc", "mace", MODELS["mace"], 0, 100, 8)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("optimiser.learning_rate=1e-4:1e-2:log", Axis("optimiser.learning_rate", 1e-4, 1e-2, log=True)),
        ("model.channels=8:64", Axis("model.channels", 8, 64)),
        ("model.cutoff=4,5.5", Axis("model.cutoff", choices=(4.0, 5.5))),
        ("optimiser.schedule=cosine,linear", Axis("optimiser.schedule", choices=("cosine", "linear"))),
        ("batch_size=4,8", Axis("batch_size", choices=(4, 8))),
    ],
)
def test_an_axis_has_the_type_of_its_setting_and_is_written_as_it_was_read(text, axis):
    found = parse_axis(text, BASE)
    assert found == axis
    assert [type(x) for x in (found.low, *found.choices)] == [type(x) for x in (axis.low, *axis.choices)]
    assert parse_axis(str(found), BASE) == found


def test_flags_are_words():
    nequip = replace(BASE, model=MODELS["nequip"])
    assert parse_axis("model.parity=true,false", nequip).choices == (True, False)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("optimiser.learning_rate", "is no range"),
        ("optimiser.learning_rate=1:2:ln", "is no range"),
        ("optimiser.learning_rate=2:1", "below the second"),
        ("optimiser.learning_rate=0:1:log", "above 0"),
        ("optimiser.learning_rate=nan:1", "'nan' is not possible"),
        ("optimiser.rate=1:2", "there is no such setting"),
        ("model.channels=8:9.5", "whole number"),
        ("model.channels=8,8", "twice"),
        ("optimiser.schedule=cosine,square", "'square' is not possible"),
        ("optimiser.schedule=a:b", "not a number"),
        ("model.radial_mlp=1,2", "neither a number nor a word"),
        ("seed=1,2", "cannot be searched"),
        ("watch.monitor_frames=1,2", "cannot be searched"),
    ],
)
def test_what_cannot_be_searched_is_one_line(text, part):
    with pytest.raises(RunError, match=part) as caught:
        parse_axis(text, BASE)
    assert "\n" not in str(caught.value)


def test_the_default_space_is_what_the_potential_offers():
    recipe = ["optimiser.learning_rate", "optimiser.matrix_rate", "loss.energy_weight"]
    assert [axis.name for axis in default_axes(BASE)] == [*recipe, "model.channels"]
    gemnet = replace(BASE, model=MODELS["gemnet"])
    assert [axis.name for axis in default_axes(gemnet)] == recipe


def test_the_matrix_rate_is_searched_around_that_of_the_recipe_with_muon_only():
    assert default_axes(BASE)[1] == Axis("optimiser.matrix_rate", 0.005, 0.08, log=True)
    adam = replace(BASE, optimiser=replace(BASE.optimiser, name="adam"))
    assert "optimiser.matrix_rate" not in [axis.name for axis in default_axes(adam)]


def test_given_axes_replace_the_default_ones_or_come_beside_them():
    words = ["optimiser.learning_rate=1e-3,1e-2", "model.cutoff=4,5"]
    axes = search_space(BASE, words, defaults=True)
    assert [axis.name for axis in axes] == [
        "optimiser.learning_rate",
        "optimiser.matrix_rate",
        "loss.energy_weight",
        "model.channels",
        "model.cutoff",
    ]
    assert axes[0].choices == (1e-3, 1e-2)
    assert len(search_space(BASE, words, defaults=False)) == 2
    with pytest.raises(RunError, match="nothing to search"):
        search_space(BASE, [], defaults=False)
    with pytest.raises(RunError, match="twice"):
        search_space(BASE, [words[0], words[0]], defaults=True)


def test_values_are_put_where_they_belong():
    changed = with_values(BASE, {"optimiser.learning_rate": 0.1, "model.channels": 8, "batch_size": 2})
    assert (changed.optimiser.learning_rate, changed.model.channels, changed.batch_size) == (0.1, 8, 2)
    assert replace(changed, optimiser=BASE.optimiser, model=BASE.model, batch_size=8) == BASE
