from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.errors import TaskError
from compbench_jax.splits.audit import audit_split
from compbench_jax.splits.checks import shared_molecules
from compbench_jax.splits.controls import Contacts, ControlRandom, FewShot, Oracle
from compbench_jax.splits.families import choose
from compbench_jax.splits.task import Task


@dataclass(frozen=True)
class ShortToLong(Task):
    kind: ClassVar[str] = "short_to_long"
    principle: ClassVar[str] = "none"
    question: ClassVar[str] = "Does it hold?"
    trained_on: ClassVar[str] = "n up to {longest}"
    tested_on: ClassVar[str] = "longer ones"
    longest: int = 5

    def select(self, graphs):
        return choose(
            graphs,
            train=lambda molecule: molecule.n <= self.longest,
            ood=lambda molecule: molecule.n > self.longest,
        )


@pytest.fixture(scope="module")
def graphs(make_graph):
    return [make_graph(f"m{n}", [1] * n) for n in range(2, 12)]


@given(st.integers(2, 10), st.integers(0, 10**6))
def test_the_random_control_deals_the_same_molecules_in_the_same_numbers(graphs, longest, seed):
    task = ShortToLong(longest)
    control = ControlRandom(task, seed)
    chosen, dealt = task.molecules(graphs), control.molecules(graphs)
    assert len(dealt.train) == len(chosen.train)
    assert len(dealt.ood) == len(chosen.ood)
    assert sorted(dealt.train + dealt.ood) == sorted(chosen.train + chosen.ood)
    assert control.molecules(graphs) == dealt


def test_the_deal_depends_on_the_seed_and_not_on_the_order_of_the_store(graphs):
    deals = {ControlRandom(ShortToLong(), seed).molecules(graphs) for seed in range(20)}
    assert len(deals) > 15
    there = {graphs[i].molecule.name for i in ControlRandom(ShortToLong(), 3).molecules(graphs).train}
    turned = graphs[::-1]
    assert {turned[i].molecule.name for i in ControlRandom(ShortToLong(), 3).molecules(turned).train} == there


def test_records_of_one_molecule_are_dealt_together(make_graph):
    graphs = [make_graph(f"m{n}", [1] * n, key="TWIN" if n < 4 else None) for n in range(2, 12)]
    for seed in range(30):
        dealt = ControlRandom(ShortToLong(), seed).molecules(graphs)
        assert len({0, 1} & set(dealt.train)) in (0, 2)
        assert len(dealt.train) == 4


def test_the_random_control_splits_frames_like_a_task(graphs, make_store):
    store = make_store(graphs, frames=(4, 3), tuning=1)
    task, control = ShortToLong().split(store), ControlRandom(ShortToLong(), 1).split(store)
    assert control.task == "control_random(own(short_to_long[5]),seed=1)"
    assert control.molecule_disjoint
    for part, frames in control.parts().items():
        assert len(frames) == len(task.parts()[part])
    assert not set(store.molecule[control.train]) & set(store.molecule[control.ood_test])


def test_the_oracle_trains_on_the_ood_molecules_and_says_so(graphs, make_store):
    store = make_store(graphs, frames=(4, 3), tuning=1)
    task, oracle = ShortToLong().split(store), Oracle(ShortToLong()).split(store)
    assert not Oracle.molecule_disjoint
    assert not oracle.molecule_disjoint
    assert oracle.train.tolist() == sorted([*task.train, *task.ood_test])
    assert oracle.validation.tolist() == task.validation.tolist()
    assert oracle.id_test.tolist() == task.id_test.tolist()
    assert set(store.molecule[oracle.ood_test]) == set(store.molecule[task.ood_test])
    assert not np.isin(oracle.ood_test, np.concatenate(list(task.parts().values()))).any()
    assert (store.set[oracle.ood_test] == 1).all()


def test_names():
    assert ControlRandom(ShortToLong()).name == "control_random(own(short_to_long[5]))"
    assert ControlRandom(ShortToLong(4), 7).name == "control_random(own(short_to_long[4]),seed=7)"
    assert Oracle(ShortToLong()).name == "oracle(own(short_to_long[5]))"


def test_controls_of_controls_and_negative_seeds_are_refused():
    for control in (ControlRandom, Oracle):
        for inner in (ControlRandom(ShortToLong()), Oracle(ShortToLong())):
            with pytest.raises(TaskError, match="a control of a control: name the task itself"):
                control(inner)
    with pytest.raises(TaskError, match="seed -1 is negative"):
        ControlRandom(ShortToLong(), -1)


def test_the_errors_of_the_task_reach_the_user(make_graph):
    graphs = [make_graph("a", [1, 2]), make_graph("b", [1] * 7, key="A")]
    for control in (ControlRandom(ShortToLong()), Oracle(ShortToLong())):
        with pytest.raises(TaskError, match=r"short_to_long\[5\]\): OOD molecule b .* both are A"):
            control.molecules(graphs)
        with pytest.raises(TaskError, match=r"short_to_long\[5\]\): the data set has no OOD molecule"):
            control.molecules(graphs[:1])


def test_a_few_frames_of_every_unseen_molecule(graphs, make_store):
    store, task = make_store(graphs), ShortToLong()
    whole, oracle = task.split(store), Oracle(task).split(store)
    split = FewShot(task, 3).split(store)
    assert split.task == "few_shot(own(short_to_long[5]),frames=3)" and not split.molecule_disjoint
    assert set(whole.train) < set(split.train) < set(oracle.train)
    added = np.setdiff1d(split.train, whole.train)
    unseen = {int(m) for m in store.molecule[oracle.ood_test]}
    assert dict(zip(*np.unique(store.molecule[added], return_counts=True), strict=True)) == dict.fromkeys(unseen, 3)
    for part in ("validation", "id_test", "ood_test"):
        np.testing.assert_array_equal(getattr(split, part), getattr(oracle, part))
    np.testing.assert_array_equal(FewShot(task, 10**6).split(store).train, oracle.train)
    with pytest.raises(TaskError, match="frames 0: give 1 or more"):
        FewShot(task, 0)
    with pytest.raises(TaskError, match="a control of a control"):
        FewShot(Oracle(task), 3)


def paired(make_graph, first, second):
    """A graph of two chains of n atoms, ends O, and the SMILES of both."""
    bonds = [[i, i + 1] for i in range(first + second - 1) if i != first - 1]
    numbers = [8, *[6] * (first - 1), 8, *[6] * (second - 1)]
    graph = make_graph(f"m{first}.m{second}", [1] * (first + second), bonds, numbers)
    return replace(graph, molecule=replace(graph.molecule, family=None, n=None, ends=None))


def test_pairs_of_trained_molecules_are_trained_on_too(make_graph, make_store):
    graphs = [make_graph(f"m{n}", [1] * n) for n in (3, 4, 8)]
    pairs = [paired(make_graph, *sizes) for sizes in ((3, 3), (3, 4), (4, 8))]
    store = make_store([*graphs, *pairs], frames=[(4, 3)] * 3 + [(5, 0)] * 3)
    task = ShortToLong()
    alone, split = task.split(store), Contacts(task).split(store)
    assert split.task == "contacts(own(short_to_long[5]))" and split.molecule_disjoint
    added = store.molecule[np.setdiff1d(split.train, alone.train)]
    # Not the last one, which holds an OOD molecule.
    assert sorted(set(added)) == [3, 4] and len(added) == 10 and set(alone.train) < set(split.train)
    for part in ("validation", "id_test", "ood_test"):
        np.testing.assert_array_equal(getattr(split, part), getattr(alone, part))
    with pytest.raises(TaskError, match="has no pairs of the training molecules: use data/pairs"):
        Contacts(task).split(make_store(graphs))
    with pytest.raises(TaskError, match="a control of a control"):
        Contacts(Oracle(task))
    # A pair gives away the molecules that it is made of.
    leaking = np.flatnonzero(store.molecule == 5)
    assert shared_molecules(store, leaking, alone.ood_test) == ("m8",)
    assert shared_molecules(store, split.train, alone.ood_test) == ()


def test_the_audit_of_pairs_is_that_of_their_molecules_but_for_contacts(make_graph, make_store):
    trained = [make_graph(f"m{n}", [1] * n, numbers=[8] + [6] * (n - 1)) for n in (3, 4)]
    tested = make_graph("m8", [1] * 8, numbers=[8, 6, 6, 6, 6, 6, 6, 8])
    folded = np.array([[x, y, 0.0] for y in (0, 2) for x in ((0, 1.5, 3, 4.5) if y == 0 else (4.5, 3, 1.5, 0))])
    close = np.array([[x, y, 0.0] for y in (0, 3) for x in (0, 1.5, 3)])
    store = make_store(
        [*trained, tested, paired(make_graph, 3, 3)], frames=[(4, 3)] * 3 + [(5, 0)],
        positions={(2, "primary"): [folded] * 4, (3, "primary"): [close] * 5},
    )  # fmt: skip
    task = ShortToLong()
    alone, together = (audit_split(store, item.split(store), draws=5) for item in (task, Contacts(task)))
    assert "O(C) O(C)" in alone.novel_contact_types and "O(C) O(C)" not in together.novel_contact_types
    assert together.profile == alone.profile and together.composition == alone.composition
    assert together.sets["train"].molecules == ("m3", "m4", "m3.m3") and not together.failures
