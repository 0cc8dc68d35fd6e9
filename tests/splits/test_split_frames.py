import numpy as np
import pytest

from compbench_jax.errors import TaskError
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.frames import molecule_disjoint_split, oracle_split


@pytest.fixture
def graphs(make_graph):
    return [make_graph(name, [1, 2]) for name in ("ethane", "propane", "butane")]


def test_frames_of_a_task(graphs, make_store):
    # Frames of molecule 0: 0-3 primary, 4-6 secondary; of 1: 7-10, 11-13; of 2: 14-17, 18-20.
    store = make_store(graphs, frames=(4, 3), tuning=1)
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0, 2), (1,)))
    assert split.train.tolist() == [0, 1, 2, 3, 14, 15, 16, 17]
    assert split.validation.tolist() == [4, 18]
    assert split.id_test.tolist() == [5, 6, 19, 20]
    assert split.ood_test.tolist() == [7, 8, 9, 10]
    assert split.task == "toy"
    assert split.molecule_disjoint
    assert all(frames.dtype == np.int64 for frames in split.parts().values())


def test_tuning_frames_are_counted_in_every_molecule(graphs, make_store):
    store = make_store(graphs, frames=[(1, 5), (1, 3), (1, 4)], tuning=2)
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0, 1), (2,)))
    assert split.validation.tolist() == [1, 2, 7, 8]
    assert split.id_test.tolist() == [3, 4, 5, 9]


def test_frames_of_an_oracle(graphs, make_store):
    store = make_store(graphs, frames=(4, 3), tuning=1)
    chosen = MoleculeSplit((0, 2), (1,))
    task, oracle = molecule_disjoint_split(store, "toy", chosen), oracle_split(store, "oracle(toy)", chosen)
    assert oracle.train.tolist() == sorted([*task.train, *task.ood_test])
    assert oracle.ood_test.tolist() == [12, 13]
    assert oracle.validation.tolist() == task.validation.tolist()
    assert oracle.id_test.tolist() == task.id_test.tolist()
    assert not oracle.molecule_disjoint


def test_an_ood_molecule_needs_no_secondary_set_but_an_oracle_does(graphs, make_store):
    store = make_store(graphs, frames=[(4, 3), (4, 0), (4, 3)])
    assert len(molecule_disjoint_split(store, "toy", MoleculeSplit((0, 2), (1,))).ood_test) == 4
    with pytest.raises(TaskError, match=r"oracle\(toy\): no secondary trajectory in .* for propane: "):
        oracle_split(store, "oracle(toy)", MoleculeSplit((0, 2), (1,)))


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([(0, 3), (4, 3), (4, 3)], "toy: no primary trajectory in .* for ethane: generate"),
        ([(4, 3), (0, 3), (4, 3)], "toy: no primary trajectory in .* for propane: generate"),
        ([(4, 0), (4, 3), (4, 0)], "toy: no secondary trajectory in .* for ethane, butane: generate"),
        ([(4, 3), (4, 3), (4, 1)], "toy: the secondary set of butane in .* has 1 frames, of which 1 tune"),
    ],
)
def test_missing_trajectories_are_named(graphs, make_store, frames, message):
    store = make_store(graphs, frames=frames)
    with pytest.raises(TaskError, match=message):
        molecule_disjoint_split(store, "toy", MoleculeSplit((0, 2), (1,)))


def test_without_tuning_frames_the_validation_set_is_empty(graphs, make_store):
    store = make_store(graphs, tuning=0)
    with pytest.raises(TaskError, match=r"toy: the validation set of .* is empty"):
        molecule_disjoint_split(store, "toy", MoleculeSplit((0, 2), (1,)))
