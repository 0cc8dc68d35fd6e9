"""Which members of a run the choice, the mean and the ensemble are of."""

from dataclasses import replace

import numpy as np
import pytest
import toy_store

from compbench_jax.evaluation.ensemble import evaluate_members
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.settings import Settings

SETTINGS = Settings(samples=20, batch_size=4, fit_frames=6)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy_store.make_store(tmp_path_factory.mktemp("store") / "store")


def evaluated(store, changes):
    members = [
        replace(toy_store.make_run(store, strength=0.1 * (k + 1), seed=k), member=k, seed=k, **change)
        for k, change in enumerate(changes)
    ]
    split = toy_store.make_split(store)
    return evaluate_members(members, lambda item: evaluate(item, store, split, SETTINGS), store, SETTINGS)


def test_a_member_that_stopped_is_named_and_left_out(store):
    losses = [{"validation_loss": 3.0}, {"validation_loss": 1.0, "stopped": 7}, {"validation_loss": 2.0}]
    evaluation, others = evaluated(store, losses)
    block = evaluation.results["members"]
    assert (block["chosen"], sorted(others)) == (2, ["0", "2", "ensemble"])
    assert [item["stopped"] for item in block["trained"]] == [None, 7, None]
    forces = [others[name].predictions["ood"].forces for name in ("0", "2", "ensemble")]
    np.testing.assert_allclose(forces[2], (forces[0] + forces[1]) / 2, atol=1e-5)


def test_where_all_have_stopped_all_are_evaluated(store):
    evaluation, others = evaluated(store, [{"stopped": 3}, {"stopped": 7, "validation_loss": 1.0}])
    assert (evaluation.results["members"]["chosen"], sorted(others)) == (1, ["0", "1", "ensemble"])
