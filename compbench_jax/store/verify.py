"""Verifying a store: everything that can be checked without trusting it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.labelling.bonds import changed_bond
from compbench_jax.labelling.levels import Level, level_described_by
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.store import SETS, FrameStore, not_finite

ENERGY_TOLERANCE = 1e-5
FORCE_TOLERANCE = 1e-4
"""eV and eV/Å: room for another build of tblite and for float32, a thousandth of a good potential's error."""


@dataclass(frozen=True)
class Check:
    """One check of a store: its name, whether it passed, and the figures."""

    name: str
    passed: bool
    detail: str


def verify(store: FrameStore, sample: int, seed: int, on_label: Callable[[], None] = lambda: None) -> Iterator[Check]:
    """Check a store that was opened with ``checksums=True`` (sums and shapes are then already known to be right).

    Args:
        store: the store.
        sample: frames whose labels are computed again; 0 for none.
        seed: which ones.
        on_label: called after each.
    """
    yield check_finite(store)
    yield check_order(store)
    yield check_molecules(store)
    yield check_bonds(store)
    yield check_temperature(store)
    if sample:
        yield check_labels(store, sample, seed, on_label)


def check_finite(store: FrameStore) -> Check:
    """No NaN, infinity or impossibly large value in positions, forces or energies."""
    wrong = not_finite(store)
    if wrong:
        return Check("finite values", False, wrong)
    return Check("finite values", True, f"{store.n_frames} frames, {store.offsets[-1]} atoms")


def check_order(store: FrameStore) -> Check:
    """Frames are ordered by molecule, set, segment and time, none twice."""
    keys = np.stack([store.molecule, store.set, store.segment, store.time]).astype(np.float64)
    step = np.diff(keys, axis=1)
    first = np.argmax(step != 0, axis=0)
    good = (step != 0).any(axis=0) & (np.take_along_axis(step, first[None], 0)[0] > 0)
    if not good.all():
        frame = int(np.argmin(good)) + 1
        return Check("order of frames", False, f"frame {frame} is out of order or there twice")
    return Check("order of frames", True, f"{len(np.unique(keys[:3], axis=1).T)} segments")


def check_molecules(store: FrameStore) -> Check:
    """SMILES, InChIKeys, atoms and environments agree; the bonds perceived in a frame make the same molecule."""
    from compbench_jax.molecules.graph import molecular_graph
    from compbench_jax.molecules.identify import identify_many
    from compbench_jax.molecules.registry import describe_smiles

    if len({g.molecule.inchikey for g in store.graphs}) < len(store.graphs):
        return Check("molecules", False, "an InChIKey occurs twice")
    for graph in store.graphs:
        molecule, again = graph.molecule, molecular_graph(graph.molecule)
        same = (
            describe_smiles(molecule.smiles) == (molecule.smiles, molecule.inchikey, molecule.formula)
            and np.array_equal(np.sort(again.numbers), np.sort(graph.numbers))
            and np.array_equal(_sorted_rows(again.environments), _sorted_rows(graph.environments))
            and len(again.bonds) == len(graph.bonds)
        )
        if not same:
            return Check(
                "molecules",
                False,
                f"{molecule.name}: atoms, bonds or keys do not belong to {molecule.smiles}",
            )
    present, first = np.unique(store.molecule, return_index=True)
    geometries, owners = [], []
    for m, frame in zip(present, first, strict=True):
        graph, positions = store.graphs[m], store.positions[store.offsets[frame] : store.offsets[frame + 1]]
        for atoms in atoms_of_parts(graph):
            geometries.append((graph.numbers[atoms], np.asarray(positions[atoms], np.float64)))
            owners.append(m)
    perceived: dict[int, list[str]] = {}
    for m, found in zip(owners, identify_many(geometries), strict=True):
        molecule = store.graphs[m].molecule
        if isinstance(found, DataError):
            return Check("molecules", False, f"{molecule.name}: its first frame is no such molecule ({found})")
        if len(molecule.parts) == 1 and found.molecule.inchikey != molecule.inchikey:
            return Check("molecules", False, f"{molecule.name}: its first frame is {found.molecule.name}")
        perceived.setdefault(m, []).append(found.molecule.smiles)
    for m, parts in perceived.items():
        molecule = store.graphs[m].molecule
        if len(molecule.parts) > 1 and sorted(parts) != sorted(molecule.parts):
            return Check("molecules", False, f"{molecule.name}: its first frame is {' + '.join(parts)}")
    return Check("molecules", True, f"{len(store.graphs)} molecules, {len(present)} perceived from a frame")


def atoms_of_parts(graph: MolecularGraph) -> list[np.ndarray]:
    """Atoms of each molecule of a graph: all of them, or two groups for a pair."""
    i, j = graph.bonds.T
    bonded = coo_array((np.ones(len(i)), (i, j)), shape=(graph.n_atoms, graph.n_atoms))
    count, part = connected_components(bonded, directed=False)
    return [np.flatnonzero(part == k) for k in range(count)]


def _sorted_rows(array: np.ndarray) -> np.ndarray:
    return array[np.lexsort(array.T)]


def check_bonds(store: FrameStore) -> Check:
    """Every frame has the bonds of its molecule."""
    for k in range(store.n_frames):
        graph = store.graphs[store.molecule[k]]
        reason = changed_bond(graph, np.asarray(store.positions[store.offsets[k] : store.offsets[k + 1]], np.float64))
        if reason:
            return Check("bonds", False, f"frame {k} ({graph.molecule.name}): {reason}")
    return Check("bonds", True, "whole in every frame")


def check_temperature(store: FrameStore) -> Check:
    """The mean kinetic temperature of the primary and of the secondary frames is what was asked for, within 3%."""
    asked = store.manifest.settings.get("temperature")
    known = np.isfinite(store.temperature)
    if not isinstance(asked, int | float) or not known.any():
        return Check("kinetic temperature", True, "not recorded")
    # Each frame counts by its degrees of freedom, since small molecules scatter most.
    weight = np.where(known, 3.0 * np.diff(store.offsets) - 6.0, 0.0)
    found, passed = [], True
    for code, name in enumerate(SETS):
        own = (store.set == code) & known
        if not own.any():
            continue
        mean = float(np.average(store.temperature[own], weights=weight[own]))
        # Successive frames are correlated; the number of independent ones is taken as one a segment at the least.
        segments = len(np.unique(np.stack([store.molecule[own], store.segment[own]]), axis=1).T)
        deviation = asked * np.sqrt(2.0 / (segments * np.average(weight[own])))
        passed &= abs(mean - asked) < max(0.03 * asked, 4.0 * deviation)
        found.append(f"{name} {mean:.1f} K")
    return Check("kinetic temperature", bool(passed), f"{', '.join(found)}; asked for {asked:g} K")


def level_of(store: FrameStore) -> Level:
    """The level of theory of the store's labels, ready to compute.

    Raises:
        CompBenchError: this program cannot compute it.
    """
    level = level_described_by(store.manifest.level)
    if level is None:
        method = store.manifest.level.get("method")
        raise CompBenchError(f"labels of {method} cannot be recomputed here: verify with --sample 0")
    return level


def check_labels(store: FrameStore, sample: int, seed: int, on_label: Callable[[], None]) -> Check:
    """Energies and forces of a random sample of frames, computed again."""
    from ase.calculators.calculator import CalculationFailed

    level = level_of(store)
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(store.n_frames, min(sample, store.n_frames), replace=False))
    worst_energy = worst_force = 0.0
    for k in chosen:
        graph = store.graphs[store.molecule[k]]
        rows = slice(store.offsets[k], store.offsets[k + 1])
        try:
            energy, forces = level.label(graph.numbers, np.asarray(store.positions[rows], np.float64))
        except CalculationFailed as error:
            return Check("labels", False, f"frame {k} ({graph.molecule.name}): {str(error).splitlines()[0]}")
        worst_energy = max(worst_energy, abs(energy - float(store.energy[k])))
        worst_force = max(worst_force, float(np.abs(forces - store.forces[rows]).max()))
        if worst_energy > ENERGY_TOLERANCE or worst_force > FORCE_TOLERANCE:
            detail = f"frame {k} ({graph.molecule.name}) differs by {worst_energy:.2g} eV and {worst_force:.2g} eV/Å"
            return Check("labels", False, detail)
        on_label()
    return Check("labels", True, f"{len(chosen)} recomputed, within {worst_energy:.1g} eV and {worst_force:.1g} eV/Å")
