from dataclasses import dataclass
from typing import ClassVar

import pytest

from compbench_jax.errors import TaskError
from compbench_jax.splits.controls import ControlRandom, Oracle
from compbench_jax.splits.families import choose
from compbench_jax.splits.task import Task

WORDS = {
    "kind": "toy",
    "principle": "none",
    "question": "Does it hold?",
    "trained_on": "n = {shortest}",
    "tested_on": "n above {shortest}",
}


def select(self, graphs):
    return choose(
        graphs,
        train=lambda molecule: molecule.n == self.shortest,
        ood=lambda molecule: molecule.n > self.shortest,
    )


def define(**changes):
    """Define a task class with these class attributes changed (None: left out)."""
    body = {"shortest": 2, "__annotations__": {"shortest": int}, "select": select, **WORDS, **changes}
    return dataclass(frozen=True)(type("Toy", (Task,), {k: v for k, v in body.items() if v is not None}))


def test_a_well_defined_task_splits_a_store(make_graph, make_store):
    task = define()()
    store = make_store([make_graph("a", [1, 2]), make_graph("b", [1, 2, 3])])
    assert task.name == "own(toy[2])"
    assert task.in_words(task.tested_on) == "n above 2"
    split = task.split(store)
    assert split.task == "own(toy[2])"
    assert store.molecule[split.train].tolist() == [0] * 4
    assert store.molecule[split.ood_test].tolist() == [1] * 4


def test_fragments_that_a_task_declares_new_come_with_its_split_and_not_with_its_controls(make_graph, make_store):
    store = make_store([make_graph("a", [1, 2]), make_graph("b", [1, 2, 3])])
    new = (("COOH", ("OH", "CHO")),)
    assert define()().split(store).new_fragments == ()
    for declared in (new, property(lambda self: new if self.shortest == 2 else ())):
        task = define(new_fragments=declared)()
        assert task.split(store).new_fragments == new
        assert ControlRandom(task).split(store).new_fragments == ()
        assert Oracle(task).split(store).new_fragments == ()


def test_molecules_outside_the_registry_are_never_chosen(make_graph):
    graphs = [make_graph("a", [1, 2]), make_graph("b", [1, 2, 3]), make_graph("c", [1, 2])]
    object.__setattr__(graphs[2].molecule, "n", None)
    assert define()().molecules(graphs).train == (0,)


def test_the_checks_of_molecules_name_the_task(make_graph):
    with pytest.raises(TaskError, match=r"toy\[2\]\): the data set has no OOD molecule \(n above 2\)"):
        define()().molecules([make_graph("a", [1, 2])])


@pytest.mark.parametrize("attribute", list(WORDS))
def test_a_task_without_an_attribute_cannot_be_defined(attribute):
    with pytest.raises(TypeError, match=f"task Toy has no {attribute}"):
        define(**{attribute: None})
    with pytest.raises(TypeError, match=f"task Toy has no {attribute}"):
        define(**{attribute: " "})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "Toy"}, "lower-case identifier"),
        ({"kind": "toy task"}, "lower-case identifier"),
        ({"question": "It holds."}, "one sentence that ends in a question mark"),
        ({"question": "Does it? Really?"}, "one sentence that ends in a question mark"),
        ({"trained_on": "n = {longest}"}, "names other things than parameters"),
        ({"shortest": None}, "every parameter needs a default"),
    ],
)
def test_a_malformed_task_cannot_be_defined(changes, message):
    with pytest.raises(TypeError, match=message):
        define(**changes)


def test_a_task_without_a_rule_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        define(select=None)()


def test_a_wrong_number_of_parameters_shows_the_right_one():
    @dataclass(frozen=True)
    class Pair(Task):
        kind: ClassVar[str] = "pair"
        principle: ClassVar[str] = "none"
        question: ClassVar[str] = "Does it hold?"
        trained_on: ClassVar[str] = "{first}"
        tested_on: ClassVar[str] = "{second}"
        first: str = "a"
        second: str = "b"

        def select(self, graphs):
            return choose(graphs, train=lambda molecule: True, ood=lambda molecule: False)

    assert Pair.from_parameters([]) == Pair("a", "b")
    assert Pair.from_parameters(["x", "y"]).name == "own(pair[x,y])"
    with pytest.raises(TaskError, match=r"pair\[x\]: this task takes 2 parameters: write pair\[FIRST,SECOND\]"):
        Pair.from_parameters(["x"])
