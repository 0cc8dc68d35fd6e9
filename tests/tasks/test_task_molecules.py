"""The molecules of every task, against the table of benchmark.md written out by hand."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.errors import TaskError
from compbench_jax.molecules.fragments import FAMILIES
from compbench_jax.tasks import ALL_TASKS, get_task

FRAGMENTS = ["OH", "NH2", "CHO", "CONH2", "COOH"]
FOUR_TO_NINE = [4, 5, 6, 7, 8, 9]
TWO_TO_NINE = [2, 3, 4, 5, 6, 7, 8, 9]
FOUR_TO_TEN = [4, 5, 6, 7, 8, 9, 10]


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
        ("chain_extension[diol]", {"diol": [2, 3, 4, 5, 6]}, {"diol": list(range(7, 14))}),
        ("chain_interpolation", {"alkane": [2, 3, 4, 5, 10, 11, 12, 13]}, {"alkane": [6, 7, 8, 9]}),
        (
            "fragment_fusion",
            {"alcohol": FOUR_TO_TEN, "aldehyde": FOUR_TO_TEN, "hydroxy aldehyde": FOUR_TO_TEN},
            {"acid": FOUR_TO_TEN},
        ),
        (
            "fragment_fusion[NH2]",
            {"amine": FOUR_TO_TEN, "aldehyde": FOUR_TO_TEN, "amino aldehyde": FOUR_TO_TEN},
            {"amide": FOUR_TO_TEN},
        ),
        ("fragment_duplication", {"acid": FOUR_TO_NINE}, {"diacid": FOUR_TO_NINE}),
        ("fragment_duplication[amine]", {"amine": FOUR_TO_NINE}, {"diamine": FOUR_TO_NINE}),
        ("fragment_combination", {"diamine": TWO_TO_NINE, "diacid": TWO_TO_NINE}, {"amino acid": TWO_TO_NINE}),
        (
            "fragment_combination[CHO,OH]",
            {"diol": TWO_TO_NINE, "dialdehyde": TWO_TO_NINE},
            {"hydroxy aldehyde": TWO_TO_NINE},
        ),
        ("fragment_fission", {"acid": FOUR_TO_NINE}, {"alcohol": FOUR_TO_NINE, "aldehyde": FOUR_TO_NINE}),
        ("fragment_fission[amide]", {"amide": FOUR_TO_NINE}, {"amine": FOUR_TO_NINE, "aldehyde": FOUR_TO_NINE}),
        (
            "chain_extension_hints",
            {"alcohol": [2, 3, 9, 10, 11, 12, 13, 14, 15], "acid": [4, 5, 6, 7, 8]},
            {"alcohol": [4, 5, 6, 7, 8], "acid": [2, 3, 9, 10, 11, 12, 13, 14, 15]},
        ),
        (
            "fragment_fusion_hints",
            {
                **dict.fromkeys(("alcohol", "aldehyde", "hydroxy aldehyde", "amine", "amide"), FOUR_TO_TEN),
            },
            {"acid": FOUR_TO_TEN},
        ),
        (
            "fragment_transfer",
            {"alkane": list(range(2, 14)), "alcohol": list(range(2, 16)), "amine": [2, 3, 4, 5, 6]},
            {"amine": list(range(7, 14))},
        ),
        (
            "fragment_transfer[COOH,CHO]",
            {"alkane": list(range(2, 14)), "acid": list(range(2, 16)), "aldehyde": [2, 3, 4, 5, 6]},
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
    st.sampled_from(
        [
            "fragment_fusion[OH]",
            "fragment_fusion[NH2]",
            "fragment_fusion_hints[OH,NH2]",
            "fragment_fusion_hints[NH2,OH]",
            "fragment_fission[COOH]",
            "fragment_fission[CONH2]",
        ]
    ),
    st.sampled_from(["fragment_combination", "fragment_transfer", "chain_extension_hints"]).flatmap(
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


@pytest.mark.parametrize("kind", list(ALL_TASKS))
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
    wanted = {"ethane", "butane", "heptane", "octane", "heptan-1-ol", "butanoic acid"}
    store = make_registry_store([graph for graph in registry_graphs if graph.molecule.name in wanted])
    split = get_task("chain_extension").split(store)
    trained = {store.graphs[m].molecule.name for m in store.molecule[split.train]}
    held_out = {store.graphs[m].molecule.name for m in store.molecule[split.ood_test]}
    assert (trained, held_out) == ({"ethane", "butane"}, {"heptane", "octane"})
    with pytest.raises(TaskError, match=r"no training molecule \(amino acid at n = 2–6\): "):
        get_task("chain_extension[amino_acid]").split(store)
    with pytest.raises(TaskError, match=r"no OOD molecule \(COOH…COOH at n = 4–9\): "):
        get_task("fragment_duplication").split(store)


def test_the_core_store_lacks_the_extension_pairs(core_store):
    with pytest.raises(TaskError, match=r"fragment_combination\[OH,NH2\]: the data set has no OOD molecule"):
        get_task("fragment_combination[OH,NH2]").split(core_store)


TRAINED_AND_HELD_OUT = {
    "chain_extension": (
        "ethane propane butane pentane hexane",
        "heptane octane nonane decane undecane dodecane tridecane",
    ),
    "fragment_duplication": (
        "butanoic_acid pentanoic_acid hexanoic_acid heptanoic_acid octanoic_acid nonanoic_acid",
        "butanedioic_acid pentanedioic_acid hexanedioic_acid heptanedioic_acid octanedioic_acid nonanedioic_acid",
    ),
    "fragment_combination": (
        "ethane-1,2-diamine propane-1,3-diamine butane-1,4-diamine pentane-1,5-diamine hexane-1,6-diamine "
        "heptane-1,7-diamine octane-1,8-diamine nonane-1,9-diamine ethanedioic_acid propanedioic_acid "
        "butanedioic_acid pentanedioic_acid hexanedioic_acid heptanedioic_acid octanedioic_acid nonanedioic_acid",
        "2-aminoethanoic_acid 3-aminopropanoic_acid 4-aminobutanoic_acid 5-aminopentanoic_acid 6-aminohexanoic_acid "
        "7-aminoheptanoic_acid 8-aminooctanoic_acid 9-aminononanoic_acid",
    ),
    "fragment_fusion": (
        "butan-1-ol pentan-1-ol hexan-1-ol heptan-1-ol octan-1-ol nonan-1-ol decan-1-ol "
        "butanal pentanal hexanal heptanal octanal nonanal decanal "
        "4-hydroxybutanal 5-hydroxypentanal 6-hydroxyhexanal 7-hydroxyheptanal 8-hydroxyoctanal 9-hydroxynonanal "
        "10-hydroxydecanal",
        "butanoic_acid pentanoic_acid hexanoic_acid heptanoic_acid octanoic_acid nonanoic_acid decanoic_acid",
    ),
    "fragment_fission": (
        "butanoic_acid pentanoic_acid hexanoic_acid heptanoic_acid octanoic_acid nonanoic_acid",
        "butan-1-ol pentan-1-ol hexan-1-ol heptan-1-ol octan-1-ol nonan-1-ol "
        "butanal pentanal hexanal heptanal octanal nonanal",
    ),
}
"""Written by hand, spaces in names as underscores."""


@pytest.mark.parametrize("kind", TRAINED_AND_HELD_OUT)
def test_names_of_the_molecules(core_store, kind):
    chosen = get_task(kind).molecules(core_store.graphs)
    for indices, names in zip((chosen.train, chosen.ood), TRAINED_AND_HELD_OUT[kind], strict=True):
        found = {core_store.graphs[index].molecule.name for index in indices}
        assert found == {name.replace("_", " ") for name in names.split()}


def test_fission_has_the_training_molecules_of_duplication(core_store):
    for fragment in ("COOH", "CONH2"):
        fission = get_task(f"fragment_fission[{fragment}]")
        assert fission.trained_as == "fragment_duplication"
        trained = get_task(f"{fission.trained_as}[{fragment}]").select(core_store.graphs).train
        assert fission.molecules(core_store.graphs).train == trained


def test_only_what_fuses_with_a_carbonyl_is_fused_or_taken_apart():
    for name in ("fragment_fusion[COOH]", "fragment_fusion_hints[OH,CHO]"):
        with pytest.raises(TaskError, match="form no fragment of the table: use one of OH, NH2"):
            get_task(name)
    with pytest.raises(TaskError, match="use COOH or CONH2"):
        get_task("fragment_fission[OH]")


def test_new_fragments_are_declared():
    assert get_task("fragment_fusion").new_fragments == (("COOH", ("OH", "CHO")),)
    assert get_task("fragment_fusion[NH2]").new_fragments == (("CONH2", ("NH2", "CHO")),)
    assert get_task("fragment_fission").new_fragments == (("OH", ("COOH",)), ("CHO", ("COOH",)))
    assert get_task("fragment_duplication").new_fragments == ()
