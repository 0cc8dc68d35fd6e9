"""The audit of the tasks on the molecules of the core registry."""

import numpy as np
import pytest

from compbench_jax.splits.audit import audit_split
from compbench_jax.splits.unseen import unseen_distances
from compbench_jax.tasks import ALL_TASKS, TASKS, get_task

DEFAULTS = list(ALL_TASKS)


@pytest.fixture(scope="module")
def audits(core_store):
    """Audits of the default tasks and their oracles."""
    names = [*DEFAULTS, *(f"oracle({kind})" for kind in TASKS)]
    return {name: audit_split(core_store, get_task(name).split(core_store)) for name in names}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_every_default_task_is_disjoint_and_covered(audits, kind):
    audit = audits[kind]
    assert audit.failures == ()
    assert all(item.made_of for item in audit.missing)
    assert audit.frames_disjoint
    assert audit.molecule_disjoint
    assert audit.shared_molecules == ()


@pytest.mark.parametrize("kind", DEFAULTS)
def test_novelty_begins_beyond_single_atoms_and_grows_with_the_radius(audits, kind):
    audit = audits[kind]
    novel = [row.novel_mass for row in audit.profile]
    assert (novel[0] > 0) == any(item.kind == "radius-0 environment" for item in audit.missing)
    assert novel == sorted(novel)
    assert novel[4] > 0
    assert audit.first_novelty == next(row.radius for row in audit.profile if row.novel_mass > 0)
    assert (audit.first_novelty <= 1) == bool(audit.touching)


NEW = {
    "fragment_fusion": {"COOH": ("OH", "CHO")},
    "fragment_fusion_hints": {"COOH": ("OH", "CHO")},
    "fragment_fission": {"OH": ("COOH",), "CHO": ("COOH",)},
}


@pytest.mark.parametrize("kind", DEFAULTS)
def test_new_fragments_are_those_that_the_task_declares(audits, kind):
    found = {item.what: item.made_of for item in audits[kind].missing if item.kind == "end fragment"}
    assert found == NEW.get(kind, {})


@pytest.mark.parametrize("kind", DEFAULTS)
def test_total_energies_can_be_known_but_in_duplication_and_fission(audits, kind):
    found = audits[kind].composition
    if kind == "fragment_duplication":
        # (n, 2n, 2) spans two dimensions; across them is (C, H) = (2, -1) / √5. C_nH_(2n-2)O_4: (2n - (2n - 2)) / √5.
        assert (found.rank, found.elements) == (2, 3)
        assert list(found.outside.values()) == pytest.approx([2 / 5**0.5] * 6)
    elif kind == "fragment_fission":
        # Alcohols C_nH_(2n+2)O lie outside; aldehydes C_nH_2nO have two H per C, as acids do.
        assert set(found.unidentifiable) == {name for name in found.outside if name.endswith("ol")}
        assert [found.outside[name] for name in found.unidentifiable] == pytest.approx([2 / 5**0.5] * 6)
    else:
        assert found.unidentifiable == ()
    oracle = audits.get(f"oracle({kind})")
    assert oracle is None or oracle.composition.unidentifiable == ()


def test_longer_chains_are_farther_from_train_than_random_splits_and_lengths_between_are_nearer(audits):
    assert audits["chain_extension"].profile[4].z_score > 2
    assert audits["chain_interpolation"].profile[4].z_score < 0


def test_touching_molecules_are_those_whose_fragments_meet_on_one_carbon(audits):
    assert audits["fragment_combination"].touching == ("2-aminoethanoic acid",)
    assert audits["chain_extension"].touching == ()
    assert audits["fragment_transfer"].touching == ()


@pytest.mark.parametrize("kind", list(TASKS))
def test_an_oracle_shares_every_ood_molecule_and_has_nothing_novel(audits, kind):
    audit = audits[f"oracle({kind})"]
    assert audit.failures == ()
    assert not audit.molecule_disjoint
    assert audit.shared_molecules == audits[kind].sets["ood_test"].molecules
    assert audit.first_novelty is None
    assert audit.novel_contact_fraction < 1


def test_novelty_distances_of_heptane(core_store):
    # An environment of radius 2 knows how many hydrogens the carbons two bonds away have. The middle carbon of
    # heptane is the first with two CH2 there: in hexane one of the two is always a CH3, or missing.
    task = get_task("chain_extension")
    heptane = next(m for m, graph in enumerate(core_store.graphs) if graph.molecule.name == "heptane")
    graph = core_store.graphs[heptane]
    distances = unseen_distances(core_store, task.split(core_store))[heptane]
    carbons = np.flatnonzero(graph.numbers == 6)
    assert first_novelty(core_store, task) == 2
    assert sorted(distances[carbons].tolist()) == [0, 1, 1, 2, 2, 3, 3]
    for i, j in graph.bonds:
        if graph.numbers[j] == 1:
            assert distances[j] == distances[i] + 1


def first_novelty(store, task):
    """Radius of first novelty of a task in a store."""
    return audit_split(store, task.split(store), draws=0).first_novelty
