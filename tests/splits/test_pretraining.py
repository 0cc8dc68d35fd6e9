from pathlib import Path

import numpy as np
import pytest

from compbench_jax.errors import TaskError
from compbench_jax.splits.controls import Oracle
from compbench_jax.splits.pretraining import Pretraining
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task


@pytest.fixture(scope="module")
def mini():
    return open_store(Path(__file__).parents[2] / "data" / "mini")


@pytest.mark.parametrize("name", ["chain_extension", "fragment_duplication", "fragment_combination", "fragment_fusion"])
def test_no_family_of_the_task_is_trained_on_and_its_ood_test_is_the_tasks(mini, name):
    task = get_task(name)
    before = get_task(f"pretraining({name})")
    assert before == Pretraining(task) and get_task(before.name) == before
    chosen, own = before.molecules(mini.graphs), task.molecules(mini.graphs)
    families = {mini.graphs[index].molecule.family for index in (*own.train, *own.ood)}
    others = {mini.graphs[index].molecule.family for index in chosen.train}
    assert others and not others & families
    assert others | families == {graph.molecule.family for graph in mini.graphs}
    split = before.split(mini)
    np.testing.assert_array_equal(split.ood_test, task.split(mini).ood_test)
    assert not set(mini.molecule[split.train]) & set(own.ood)


def test_only_a_task_has_a_pretraining():
    with pytest.raises(TaskError, match="name the task itself"):
        Pretraining(Oracle(get_task("fragment_fusion")))
