import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from compbench_jax.errors import TaskError
from compbench_jax.splits.audit import audit_json, audit_split, write_audit
from compbench_jax.splits.audit_table import audit_table
from compbench_jax.splits.checks import MoleculeSplit
from compbench_jax.splits.frames import molecule_disjoint_split, oracle_split

TRAIN = [[1, 1, 2, 2], [11, 11, 12, 12], [21, 22, 23, 24], [31, 32, 33, 34], [41, 42, 43, 44]]
NOVEL = [98, 97, 96, 95]


@pytest.fixture
def graphs(make_graph):
    """One training molecule and three OOD ones: known up to radius 1; touching; not covered."""
    known = [[2, 1, 1, 1], [12, 11, 11, 11], [99, 22, 23, 24], NOVEL, NOVEL]
    touching = [[1, 1, 1, 1], [11, 19, 11, 11], [21, 90, 21, 21], NOVEL, NOVEL]
    return [
        make_graph("trained", TRAIN, ends=("H", "OH"), numbers=[6, 6, 6, 8]),
        make_graph("known", known, ends=("OH", "OH"), numbers=[8, 6, 6, 6]),
        make_graph("touching", touching, ends=("H", "H"), numbers=[8, 6, 6, 8]),
        make_graph("alien", [[1, 7, 2, 2], *TRAIN[1:]], ends=("H", "SH"), numbers=[6, 16, 6, 8]),
    ]


@pytest.fixture
def store(graphs, make_store):
    # The one pair that is neither bonded nor on an angle is 0-3: 6 Å apart, or 3 Å in folded frames.
    spread = np.tile(np.arange(4)[:, None] * [2.0, 0, 0], (4, 1, 1))
    folded = spread / 2
    mixed = np.concatenate([folded[:3], spread[3:]])
    return make_store(graphs, positions={(0, "primary"): folded, (1, "primary"): folded, (2, "primary"): mixed})


def test_audit_of_a_sound_split(store):
    audit = audit_split(store, molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 2))))
    assert audit.task == "toy"
    assert audit.data == store.hash
    assert audit.frames_disjoint
    assert audit.molecule_disjoint
    assert audit.shared_molecules == ()
    assert audit.missing == audit.failures == ()
    assert audit.touching == ("touching",)
    assert audit.first_novelty == 1
    assert [row.novel_mass for row in audit.profile] == pytest.approx([0, 1 / 8, 1 / 4, 1, 1])
    assert audit.profile[4].compound_divergence == 1
    assert audit.sets["train"].molecules == ("trained",)
    assert audit.sets["ood_test"].molecules == ("known", "touching")
    assert [item.frames for item in audit.sets.values()] == [4, 1, 2, 8]
    # The ends of `known` are C(C) and O(C), as in train; those of `touching`, folded in three frames, are not.
    assert [(row.molecule, row.frames, row.novel) for row in audit.contacts] == [
        ("known", 4, 0),
        ("touching", 4, 3),
    ]
    assert audit.novel_contact_fraction == 3 / 8
    assert audit.novel_contact_types == ("O(C) O(C)",)
    assert audit.receptive_field is None
    # C3O trains, and so does the direction (3, 1) / √10. Across it C2O2 has (2·3 - 2·1) / √10.
    assert (audit.composition.rank, audit.composition.elements) == (1, 2)
    assert audit.composition.outside == pytest.approx({"known": 0, "touching": 4 / 10**0.5})


def test_coverage_failures_are_listed_with_their_molecules(store):
    audit = audit_split(store, molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 3))))
    assert [(item.kind, item.what, item.molecules) for item in audit.missing] == [
        ("element", "S", ("alien",)),
        ("end fragment", "SH", ("alien",)),
        ("radius-0 environment", "7", ("alien",)),
    ]
    assert audit.failures[0] == "element S of alien does not occur in train"
    assert "an atom of alien has an element with neighbours and hydrogens as no atom in train (7)" in audit.failures
    assert len(audit.failures) == 3
    assert audit.first_novelty == 0


def test_a_fragment_that_is_declared_new_is_no_failure(store):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 3)))
    audit = audit_split(store, replace(split, new_fragments=(("SH", ("OH", "H")),)))
    # The element is still a failure; the environment is one of the fragment's molecule only.
    assert [(item.kind, item.made_of) for item in audit.missing] == [
        ("element", ()),
        ("end fragment", ("OH", "H")),
        ("radius-0 environment", ("OH", "H")),
    ]
    assert audit.failures == ("element S of alien does not occur in train",)


def test_a_declared_fragment_of_untrained_parts_is_a_failure(store):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 3)))
    audit = audit_split(store, replace(split, new_fragments=(("SH", ("CHO", "H")),)))
    assert [item.made_of for item in audit.missing] == [(), (), ()]
    assert "end fragment SH of alien does not occur in train" in audit.failures


def test_contacts_have_one_cutoff_whatever_the_model(store):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 2)))
    near, far = (audit_split(store, split, layers=1, cutoff=cutoff) for cutoff in (2.0, 12.0))
    assert near.contacts == far.contacts and near.cutoff == far.cutoff == 5.0
    assert (near.receptive_field.cutoff, far.receptive_field.cutoff) == (2.0, 12.0)


def test_overlap_is_reported_not_raised(store):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1,)))
    audit = audit_split(store, replace(split, train=np.append(split.train, split.ood_test[0])))
    assert not audit.frames_disjoint
    assert audit.shared_molecules == ("known",)
    assert audit.failures == (
        "a frame is in two sets",
        "OOD molecule known is trained, tuned or ID-tested on",
    )
    # An OOD molecule that is only tuned on is shared as well.
    audit = audit_split(store, replace(split, validation=store.select(1, "secondary")))
    assert audit.failures == ("OOD molecule known is trained, tuned or ID-tested on",)


def test_an_oracle_is_not_disjoint_on_purpose(store):
    audit = audit_split(store, oracle_split(store, "oracle(toy)", MoleculeSplit((0,), (1, 2))))
    assert not audit.molecule_disjoint
    assert audit.shared_molecules == ("known", "touching")
    assert audit.failures == ()
    assert audit.draws == 0
    assert audit.first_novelty is None
    assert all(row.z_score is None and row.novel_mass == 0 for row in audit.profile)


def test_the_file_holds_the_audit_as_strict_json(store, tmp_path):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1, 2)))
    audit = audit_split(store, split, seed=3, draws=20, layers=2, cutoff=4)
    write_audit(tmp_path / "audit.json", audit)
    read = json.loads((tmp_path / "audit.json").read_text(), parse_constant=pytest.fail)
    assert read["receptive_field"] == {"layers": 2, "cutoff": 4.0, "reach": 8.0}
    assert (read["cutoff"], read["seed"], read["draws"]) == (5.0, 3, 20)
    assert read["profile"][1]["novel_mass"] == audit.profile[1].novel_mass
    assert read["composition"] == {"rank": 1, "elements": 2, "outside": audit.composition.outside}
    assert read["sets"]["ood_test"] == {"molecules": ["known", "touching"], "frames": 8}
    assert audit_json(audit_split(store, split, seed=3, draws=20, layers=2, cutoff=4)) == audit_json(audit)


def test_the_table_shows_verdict_profile_and_contacts(store):
    def shown(audit):
        console = Console(file=io.StringIO(), width=100)
        console.print(audit_table(audit))
        return console.file.getvalue()

    split = molecule_disjoint_split(store, "toy[A]", MoleculeSplit((0,), (1, 2)))
    text = shown(audit_split(store, split, layers=2))
    for part in (
        "Audit of toy[A]",
        "Sound",
        "radius 1 (bonds)",
        "radius 1): touching",
        "10 Å",
        "37.5%",
        "contact: O(C) O(C)",
        "Compositions: training spans 1 of 2 elements",
        "(atoms outside the span): touching 1.26",
    ):
        assert part in text, part
    assert "Declared new" not in text
    alien = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (3,)))
    text = shown(audit_split(store, replace(alien, new_fragments=(("SH", ("OH", "H")),))))
    assert "Declared new: SH (made of OH and H)" in text
    assert "FAILED: end fragment" not in text
    text = shown(audit_split(store, molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1,)))))
    assert "determines the total energies of all OOD molecules" in text
    text = shown(audit_split(store, alien))
    assert "FAILED: end fragment SH of alien" in text
    assert "FAILED: element S of alien" in text
    assert "Sound" not in text
    text = shown(audit_split(store, oracle_split(store, "oracle(toy)", MoleculeSplit((0,), (1,)))))
    assert "Not molecule-disjoint, on purpose: 1 OOD molecules are trained on" in text
    assert "none up to radius 4" in text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoff": 0.0}, "cutoff 0.0 Å: give a length above 0"),
        ({"cutoff": float("nan")}, "cutoff nan Å"),
        ({"draws": -1}, "-1 random splits"),
        ({"draws": 1}, "1 random splits"),
        ({"layers": 0}, "0 layers"),
    ],
)
def test_settings_without_sense_are_refused(store, settings, message):
    split = molecule_disjoint_split(store, "toy", MoleculeSplit((0,), (1,)))
    with pytest.raises(TaskError, match=message):
        audit_split(store, split, **settings)
