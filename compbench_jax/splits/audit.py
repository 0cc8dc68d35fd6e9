"""The audit of a split: what exactly is new in its OOD molecules, and whether the split is sound."""

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase.data import chemical_symbols

from compbench_jax.errors import DataError, TaskError
from compbench_jax.files import from_json, read_json, write_atomically
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.splits.checks import shared_molecules
from compbench_jax.splits.composition import Composition, composition
from compbench_jax.splits.contacts import DEFAULT_CUTOFF, ContactType, contact_pairs, frames_with_others
from compbench_jax.splits.divergence import RadiusRow, radius_profile
from compbench_jax.splits.split import Split
from compbench_jax.splits.unseen import first_unseen_radius, known_environments, molecules_of
from compbench_jax.store.store import FrameStore


@dataclass(frozen=True)
class SetSummary:
    """One of the four sets: its molecules by name and its number of frames."""

    molecules: tuple[str, ...]
    frames: int


@dataclass(frozen=True)
class Missing:
    """Something that the OOD molecules have and no training molecule has.

    Attributes:
        kind: ``"element"`` (by symbol), ``"end fragment"`` (by key) or ``"radius-0 environment"`` (by
            identifier).
        what: which one.
        molecules: names of the OOD molecules that have it.
        made_of: keys of the trained fragments that it is made of, where the task says that it is new on purpose.
    """

    kind: str
    what: str
    molecules: tuple[str, ...]
    made_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class ContactRow:
    """Frames of one OOD molecule that have an unseen contact."""

    molecule: str
    n: int | None
    frames: int
    novel: int
    fraction: float


@dataclass(frozen=True)
class ReceptiveField:
    """How far a model sees: ``layers`` × ``cutoff`` (Å) is ``reach`` (Å)."""

    layers: int
    cutoff: float
    reach: float


@dataclass(frozen=True)
class Audit:
    """Everything the benchmark asks of a split before a result on it means anything.

    Attributes:
        task: canonical name of the task.
        data: hash of the store's manifest.
        cutoff: Å, of contacts; the same for every potential.
        seed: of the random splits.
        draws: random splits that D_C was compared with; 0 for an oracle.
        sets: the four sets by name.
        frames_disjoint: no frame is in two sets.
        molecule_disjoint: what the split promises; False for an oracle.
        shared_molecules: OOD molecules that occur in another set, by InChIKey.
        missing: what train does not cover; what of it a task declares new is no failure.
        composition: what total energies can be known from the training compositions.
        touching: OOD molecules with an environment that is new already at radius 1 (allowed, but scored
            apart).
        profile: divergences at radius 0 … 4.
        first_novelty: smallest radius (bonds) with an environment absent from train; None if there is none.
        contacts: unseen contacts by OOD molecule.
        novel_contact_types: the types of these contacts, e.g. ``"C(COO) C(COO)"`` where two carboxyl groups meet.
        novel_contact_fraction: fraction of the OOD frames with a novel contact.
        receptive_field: of the model, where one was given.
        failures: one line for everything that a sound split must not have; empty for a sound one.
    """

    task: str
    data: str
    cutoff: float
    seed: int
    draws: int
    sets: dict[str, SetSummary]
    frames_disjoint: bool
    molecule_disjoint: bool
    shared_molecules: tuple[str, ...]
    missing: tuple[Missing, ...]
    composition: Composition
    touching: tuple[str, ...]
    profile: tuple[RadiusRow, ...]
    first_novelty: int | None
    contacts: tuple[ContactRow, ...]
    novel_contact_types: tuple[str, ...]
    novel_contact_fraction: float
    receptive_field: ReceptiveField | None
    failures: tuple[str, ...]


def audit_split(
    store: FrameStore,
    split: Split,
    seed: int = 0,
    draws: int = 200,
    layers: int | None = None,
    cutoff: float = DEFAULT_CUTOFF,
) -> Audit:
    """Audit a split. Takes seconds: the contacts are looked for in every training and OOD frame.

    Pairs of training molecules count by their contacts, within and between the molecules. They have no environments and
    compositions that their molecules lack, so that the other rows are of the molecules alone.

    Args:
        store: where the frames are.
        split: its four sets; none may be empty.
        seed: of the random splits that D_C is compared with.
        draws: how many; 0 for none. An oracle has none, since no split of shared molecules is
            molecule-disjoint.
        layers: message-passing layers of the model, for its receptive field.
        cutoff: Å, of the model. Contacts have the same cutoff whatever the model.

    Raises:
        TaskError: a cutoff, number of draws or of layers that makes no sense.
    """
    if not (np.isfinite(cutoff) and cutoff > 0):
        raise TaskError(f"cutoff {cutoff} Å: give a length above 0")
    if draws < 0 or draws == 1:
        raise TaskError(
            f"{draws} random splits: give 0 for no comparison, or 2 and more (a z-score needs a standard deviation)"
        )
    if layers is not None and layers < 1:
        raise TaskError(f"{layers} layers: give 1 or more")
    trained = [store.graphs[m] for m in molecules_of(store, split.train)]
    train = [graph for graph in trained if len(graph.molecule.parts) == 1] or trained
    ood = [store.graphs[m] for m in molecules_of(store, split.ood_test)]
    in_sets = np.concatenate(list(split.parts().values()))
    frames_disjoint = len(np.unique(in_sets)) == len(in_sets)
    shared = shared_molecules(store, np.concatenate([split.train, split.validation, split.id_test]), split.ood_test)
    missing = uncovered(train, ood, dict(split.new_fragments))
    draws = 0 if shared else draws
    profile = radius_profile(train, ood, draws, seed)
    known = contact_pairs(store, split.train)
    new_types = contact_pairs(store, split.ood_test) - known
    contacts = contact_rows(store, split.ood_test, known)
    return Audit(
        task=split.task,
        data=store.hash,
        cutoff=DEFAULT_CUTOFF,
        seed=seed,
        draws=draws,
        sets={part: summary(store, frames) for part, frames in split.parts().items()},
        frames_disjoint=frames_disjoint,
        molecule_disjoint=split.molecule_disjoint,
        shared_molecules=shared,
        missing=missing,
        composition=composition(train, ood),
        touching=touching(train, ood),
        profile=profile,
        first_novelty=first_unseen_radius(train, ood),
        contacts=contacts,
        novel_contact_types=tuple(sorted(" ".join(pair) for pair in new_types)),
        novel_contact_fraction=sum(row.novel for row in contacts) / sum(row.frames for row in contacts),
        receptive_field=None if layers is None else ReceptiveField(layers, float(cutoff), layers * float(cutoff)),
        failures=(
            *(() if frames_disjoint else ("a frame is in two sets",)),
            *(f"OOD molecule {name} is trained, tuned or ID-tested on" for name in shared if split.molecule_disjoint),
            *(failure(item) for item in missing if not item.made_of),
        ),
    )


def failure(item: Missing) -> str:
    """What is missing, as a line. An identifier says nothing to a reader, but where to look."""
    names = ", ".join(item.molecules)
    if item.kind == "radius-0 environment":
        return f"an atom of {names} has an element with neighbours and hydrogens as no atom in train ({item.what})"
    return f"{item.kind} {item.what} of {names} does not occur in train"


def write_audit(path: str | Path, audit: Audit) -> None:
    """Write an audit as JSON, whole or not at all."""
    write_atomically(Path(path), audit_json(audit).encode())


def read_audit(path: Path) -> dict[str, Any] | None:
    """Contents of an ``audit.json``; None where there is none, or it is damaged, as a line on the terminal says."""
    if not path.exists():
        return None
    try:
        content = read_json(path)
        for key, kind in (("task", str), ("data", str), ("first_novelty", int | None), ("profile", list)):
            from_json(kind, content[key], key)
        for row in content["profile"]:
            from_json(RadiusRow, row, "profile")
    except (DataError, KeyError, TypeError, ValueError) as error:
        print(f"warning: {path} is damaged and left out ({error})", file=sys.stderr)
        return None
    return dict(content)


def audit_json(audit: Audit) -> str:
    """The audit as strict JSON (nothing in it is NaN or infinite; what is not defined is null)."""
    return json.dumps(asdict(audit), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def summary(store: FrameStore, frames: np.ndarray) -> SetSummary:
    """Molecules and number of frames of one set."""
    return SetSummary(
        molecules=tuple(store.graphs[m].molecule.name for m in np.unique(store.molecule[frames])),
        frames=len(frames),
    )


def uncovered(
    train: Sequence[MolecularGraph],
    ood: Sequence[MolecularGraph],
    new_fragments: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> tuple[Missing, ...]:
    """Elements, end fragments and radius-0 environments of ``ood`` that no training molecule has.

    Args:
        train: training molecules.
        ood: OOD molecules.
        new_fragments: fragments that are new on purpose, and what they are made of. An environment of which every
            molecule has such a fragment is new with it. A fragment whose parts are not trained is no exception.
    """

    def parts(graph: MolecularGraph) -> set[tuple[str, str]]:
        return {
            *(("element", chemical_symbols[z]) for z in np.unique(graph.numbers)),
            *(("end fragment", key) for key in graph.molecule.ends or ()),
            *(("radius-0 environment", str(identifier)) for identifier in np.unique(graph.environments[:, 0])),
        }

    known = set().union(*(parts(graph) for graph in train))
    having: dict[tuple[str, str], list[str]] = {}
    for graph in ood:
        for part in sorted(parts(graph) - known):
            having.setdefault(part, []).append(graph.molecule.name)
    ends = {graph.molecule.name: graph.molecule.ends or () for graph in ood}
    declared = {
        what: parts for what, parts in new_fragments.items() if all(("end fragment", part) in known for part in parts)
    }

    def made_of(kind: str, what: str, names: Sequence[str]) -> tuple[str, ...]:
        if kind == "end fragment":
            return declared.get(what, ())
        new = [[end for end in ends[name] if end in declared] for name in names]
        if kind == "element" or not all(new):
            return ()
        return tuple(dict.fromkeys(part for keys in new for key in keys for part in declared[key]))

    return tuple(
        Missing(kind, what, tuple(names), made_of(kind, what, names)) for (kind, what), names in sorted(having.items())
    )


def touching(train: Sequence[MolecularGraph], ood: Sequence[MolecularGraph]) -> tuple[str, ...]:
    """Names of the OOD molecules with a radius-1 environment that train lacks, e.g. glycine's CH2."""
    known = known_environments(train, 1)
    return tuple(graph.molecule.name for graph in ood if not np.isin(graph.environments[:, 1], known).all())


def contact_rows(store: FrameStore, frames: np.ndarray, known: Collection[ContactType]) -> tuple[ContactRow, ...]:
    """How many frames of each molecule have a contact that is not known, in the order of the store."""
    novel = frames_with_others(store, known, frames)
    owners = store.molecule[frames]
    rows = []
    for m in np.unique(owners):
        molecule, own = store.graphs[m].molecule, novel[owners == m]
        rows.append(ContactRow(molecule.name, molecule.n, len(own), int(own.sum()), float(own.mean())))
    return tuple(rows)
