from dataclasses import replace

import numpy as np
import pytest

from compbench_jax.errors import TaskError
from compbench_jax.splits.checks import MoleculeSplit, check_molecules, check_split, named
from compbench_jax.splits.frames import molecule_disjoint_split


@pytest.fixture
def graphs(make_graph):
    return [make_graph(name, [1, 2]) for name in ("ethane", "propane", "butane")]


@pytest.fixture
def store(graphs, make_store):
    return make_store(graphs)


@pytest.fixture
def split(store):
    return molecule_disjoint_split(store, "toy", MoleculeSplit((0, 2), (1,)))


def test_a_sound_split_passes(store, split):
    check_split(store, split)


@pytest.mark.parametrize("part", ["train", "validation", "id_test", "ood_test"])
def test_an_empty_set_is_named(store, split, part):
    with pytest.raises(TaskError, match=f"toy: the {part} set of .* is empty"):
        check_split(store, replace(split, **{part: np.zeros(0, np.int64)}))


def test_a_frame_in_two_sets_is_named(store, split):
    bad = replace(split, id_test=np.sort(np.append(split.id_test, split.train[1])))
    with pytest.raises(TaskError, match=r"frame 1 \(ethane\) is in train and again in id_test"):
        check_split(store, bad)


def test_a_frame_twice_in_one_set_is_named(store, split):
    bad = replace(split, ood_test=np.append(split.ood_test, split.ood_test[2]))
    with pytest.raises(TaskError, match=r"frame 9 \(propane\) is in ood_test and again in ood_test"):
        check_split(store, bad)


@pytest.mark.parametrize("frame", [-1, 21])
def test_a_frame_outside_the_store_is_named(store, split, frame):
    with pytest.raises(TaskError, match=f"train frame {frame} is not in .*, which holds frames 0 to 20"):
        check_split(store, replace(split, train=np.array([0, frame])))


@pytest.mark.parametrize("part", ["train", "validation", "id_test"])
def test_an_ood_molecule_elsewhere_is_named_unless_the_split_says_so(store, split, part):
    unseen = store.select(1, "secondary")
    bad = replace(split, **{part: np.append(getattr(split, part), unseen)})
    with pytest.raises(TaskError, match=f"OOD molecule propane is in the {part} set too"):
        check_split(store, bad)
    check_split(store, replace(bad, molecule_disjoint=False))


def test_two_records_of_one_molecule_are_one_molecule(make_graph, make_store, split):
    graphs = [
        make_graph("ethane", [1, 2]),
        make_graph("dimethyl", [1, 2], key="ETHANE"),
        make_graph("butane", [3]),
    ]
    with pytest.raises(
        TaskError,
        match=r"OOD molecule dimethyl \(molecule 1\) is also the training molecule ethane \(molecule 0\)",
    ):
        check_molecules("toy", graphs, MoleculeSplit((0, 2), (1,)))
    with pytest.raises(TaskError, match="OOD molecule dimethyl is in the train set too"):
        check_split(make_store(graphs), split)


@pytest.mark.parametrize(("train", "ood", "side"), [((0, 3), (1,), "training"), ((0,), (-1,), "OOD")])
def test_an_unknown_molecule_is_named(graphs, train, ood, side):
    with pytest.raises(TaskError, match=f"unknown {side} molecule (3|-1): the data set holds molecules 0 to 2"):
        check_molecules("toy", graphs, MoleculeSplit(train, ood))


def test_an_empty_side_says_what_it_should_have_held(graphs):
    with pytest.raises(TaskError, match=r"toy: the data set has no training molecule \(alkanes\): choose"):
        check_molecules("toy", graphs, MoleculeSplit((), (1,)), "alkanes", "acids")
    with pytest.raises(TaskError, match=r"toy: the data set has no OOD molecule \(acids\): choose"):
        check_molecules("toy", graphs, MoleculeSplit((0,), ()), "alkanes", "acids")


def test_long_lists_of_names_are_cut(graphs):
    assert named(graphs, [0, 1, 2]) == "ethane, propane, butane"
    assert named(graphs, [0, 1, 2], most=1) == "ethane and 2 more"
