"""The molecules of every task, against the table of benchmark.md written out by hand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.errors import TaskError
from compbench_jax.molecules.fragments import FAMILIES
from compbench_jax.tasks import SUBTASKS, TASKS, get_task

FRAGMENTS = ["OH", "NH2", "CHO", "COOH"]
ALL = list(range(2, 14))
FROM_3 = list(range(3, 14))


def content(graphs, indices):
    """``{family: [n, …]}`` of these molecules."""
    found = {}
    for index in indices:
        molecule = graphs[index].molecule
        found.setdefault(molecule.family, []).append(molecule.n)
    return found


@pytest.mark.parametrize(
    ("name", "train", "ood"),
    [
        ("chain_extension", {"alkane": [2, 3, 4, 5, 6]}, {"alkane": [7, 8, 9, 10, 11, 12, 13]}),
        ("chain_extension[OH]", {"alcohol": [2, 3, 4, 5, 6]}, {"alcohol": list(range(7, 14))}),
        ("chain_extension[diacid]", {"diacid": [3, 4, 5, 6]}, {"diacid": list(range(7, 14))}),
        ("chain_interpolation", {"alkane": [2, 3, 4, 5, 10, 11, 12, 13]}, {"alkane": [6, 7, 8, 9]}),
        ("fragment_duplication", {"alkane": ALL, "acid": ALL}, {"diacid": FROM_3}),
        ("fragment_duplication[amine]", {"alkane": ALL, "amine": ALL}, {"diamine": ALL}),
        (
            "fragment_combination",
            {"amine": ALL, "acid": ALL, "diamine": ALL, "diacid": FROM_3},
            {"amino acid": ALL},
        ),
        (
            "fragment_combination[CHO,OH]",
            {"alcohol": ALL, "aldehyde": ALL, "diol": ALL, "dialdehyde": FROM_3},
            {"hydroxy aldehyde": ALL},
        ),
        (
            "proximity",
            {"amine": ALL, "acid": ALL, "diamine": ALL, "diacid": FROM_3},
            {"amino acid": ALL},
        ),
        (
            "fragment_transfer",
            {"alkane": ALL, "alcohol": ALL, "amine": [2, 3, 4, 5, 6]},
            {"amine": list(range(7, 14))},
        ),
        (
            "fragment_transfer[COOH,CHO]",
            {"alkane": ALL, "acid": ALL, "aldehyde": [2, 3, 4, 5, 6]},
            {"aldehyde": list(range(7, 14))},
        ),
    ],
)
def test_molecules_of_the_task(registry_graphs, name, train, ood):
    chosen = get_task(name).molecules(registry_graphs)
    assert content(registry_graphs, chosen.train) == train
    assert content(registry_graphs, chosen.ood) == ood
    assert list(chosen.train) == sorted(chosen.train)


pairs = st.lists(st.sampled_from(FRAGMENTS), min_size=2, max_size=2, unique=True).map(",".join)
bare = st.one_of(
    st.sampled_from(["chain_extension", "chain_interpolation"]).flatmap(
        lambda kind: st.sampled_from(list(FAMILIES)).map(lambda family: f"{kind}[{family}]")
    ),
    st.sampled_from(FRAGMENTS).map(lambda key: f"fragment_duplication[{key}]"),
    st.sampled_from(["fragment_combination", "proximity", "fragment_transfer"]).flatmap(
        lambda kind: pairs.map(lambda pair: f"{kind}[{pair}]")
    ),
)
names = st.one_of(bare, st.builds(lambda task, seed: f"control_random({task},seed={seed})", bare, st.integers(0, 99)))


@given(names)
def test_no_task_shares_a_molecule_between_its_sides(registry_graphs, name):
    chosen = get_task(name).molecules(registry_graphs)
    trained = {registry_graphs[i].molecule.inchikey for i in chosen.train}
    held_out = {registry_graphs[i].molecule.inchikey for i in chosen.ood}
    assert trained
    assert held_out
    assert not trained & held_out
    assert len(trained) == len(chosen.train)
    assert len(held_out) == len(chosen.ood)


@pytest.mark.parametrize("kind", [*TASKS, *SUBTASKS])
def test_frames_of_the_default_task_in_the_core_store(core_store, kind):
    task = get_task(kind)
    chosen, split = task.molecules(core_store.graphs), task.split(core_store)
    assert split.task == task.name
    for part, molecules, count, set in (
        ("train", chosen.train, 3, 0),
        ("validation", chosen.train, 1, 1),
        ("id_test", chosen.train, 3, 1),
        ("ood_test", chosen.ood, 3, 0),
    ):
        frames = split.parts()[part]
        assert Counter(core_store.molecule[frames].tolist()) == dict.fromkeys(molecules, count)
        assert (core_store.set[frames] == set).all()


def test_ends_are_read_in_either_order_and_family_names_are_not_read(registry_graphs):
    expected = get_task("fragment_combination").molecules(registry_graphs)
    saved = [(graph.molecule, graph.molecule.ends, graph.molecule.family) for graph in registry_graphs]
    try:
        for molecule, ends, _ in saved:
            object.__setattr__(molecule, "ends", ends[::-1])
            object.__setattr__(molecule, "family", None)
        assert get_task("fragment_combination").molecules(registry_graphs) == expected
    finally:
        for molecule, ends, family in saved:
            object.__setattr__(molecule, "ends", ends)
            object.__setattr__(molecule, "family", family)


def test_a_part_of_the_registry_will_do(registry_graphs, make_registry_store):
    wanted = {"ethane", "butane", "heptane", "octane", "heptan-1-ol"}
    store = make_registry_store([graph for graph in registry_graphs if graph.molecule.name in wanted])
    split = get_task("chain_extension").split(store)
    trained = {store.graphs[m].molecule.name for m in store.molecule[split.train]}
    held_out = {store.graphs[m].molecule.name for m in store.molecule[split.ood_test]}
    assert (trained, held_out) == ({"ethane", "butane"}, {"heptane", "octane"})
    with pytest.raises(TaskError, match=r"no training molecule \(amino acid at n = 2–6\): "):
        get_task("chain_extension[amino_acid]").split(store)
    with pytest.raises(TaskError, match=r"no OOD molecule \(COOH…COOH, all n\): "):
        get_task("fragment_duplication").split(store)


def test_the_core_store_lacks_the_extension_pairs(core_store):
    with pytest.raises(TaskError, match=r"fragment_combination\[OH,NH2\]: the store has no OOD molecule"):
        get_task("fragment_combination[OH,NH2]").split(core_store)


def test_proximity_is_grouped_by_methylenes_between_the_ends(registry_graphs):
    groups = get_task("proximity").groups(registry_graphs)
    by_name = {registry_graphs[i].molecule.name: label for i, label in groups.items()}
    assert by_name["2-aminoethanoic acid"] == "1 CH2"
    assert by_name["3-aminopropanoic acid"] == "2 CH2"
    assert list(groups.values()) == [f"{k} CH2" for k in range(1, 13)]
    assert set(groups) == set(get_task("fragment_combination").molecules(registry_graphs).ood)
    # Both ends bring a carbon here: n = 3 … 13 has 1 … 11 CH2.
    assert list(get_task("proximity[CHO,COOH]").groups(registry_graphs).values()) == [f"{k} CH2" for k in range(1, 12)]
    assert get_task("oracle(proximity)").groups(registry_graphs) == groups
    assert get_task("fragment_combination").groups(registry_graphs) == {}
