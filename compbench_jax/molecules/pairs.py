"""Pairs: two molecules in one frame, whose end fragments are in contact.

A pair is one record of a data set, with the SMILES of both molecules, a dot between them, and one graph of two parts.
It has no family, n and ends, so no rule of a task chooses it. Its atom environments are those of its molecules.
"""

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from compbench_jax.errors import CompBenchError, optional_import
from compbench_jax.molecules.conformers import MAX_SEED, conformer
from compbench_jax.molecules.graph import explicit_rdmol
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.registry import describe_smiles

CONTACT = (1.5, 4.0)
"""Å, between which the distance of the touching hydrogen and heavy atom is drawn: from a hydrogen bond on."""

HEAVY_APART = 2.4
"""Å that two heavy atoms are apart at least, as across a short hydrogen bond."""

MOST_PLACEMENTS = 5000
"""Random orientations tried until fragments touch."""


def pair_of(first: Molecule, second: Molecule) -> Molecule:
    """The pair of two molecules, which may be the same one; their order does not matter.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    smiles, inchikey, formula = describe_smiles(f"{first.smiles}.{second.smiles}")
    names = {molecule.smiles: molecule.name for molecule in (first, second)}
    return Molecule(" + ".join(names[part] for part in smiles.split(".")), smiles, inchikey, formula)


def start_geometry(molecule: Molecule, seed: int) -> np.ndarray:
    """A geometry to begin dynamics from: a conformer; of a pair two conformers, placed in contact.

    A heavy atom of one fragment and a hydrogen of the other are chosen. Both molecules have random orientations. One
    comes along the line between these two atoms, until they or others like them are at a distance drawn from
    :data:`CONTACT`. Where any other atoms touch first, orientations are drawn again.

    Args:
        molecule: a molecule or a pair.
        seed: 0 … 2³¹−1; equal seeds give equal geometries.

    Returns:
        positions float64 ``[n_atoms, 3]`` in Å, in the order of ``molecular_graph(molecule)``, mean at the origin.

    Raises:
        CompBenchError: as :func:`compbench_jax.molecules.conformers.conformer`, or no fragments could be made to touch.
    """
    parts = molecule.parts
    if len(parts) == 1:
        return conformer(molecule, seed)
    if len(parts) > 2:
        raise CompBenchError(f"{molecule.name}: {len(parts)} molecules in one frame: give pairs")
    chem = optional_import("rdkit.Chem", "generate", "placing a pair")
    mol = explicit_rdmol(molecule)
    atoms = [np.array(indices) for indices in chem.GetMolFrags(mol)]
    numbers, touching = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), fragment_atoms(mol)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(MAX_SEED, size=2)
    shapes = [conformer(Molecule(s, s, "", ""), int(k)) for s, k in zip(parts, seeds, strict=True)]
    heavy = [(numbers[indices] > 1).astype(int) for indices in atoms]
    n_heavy = heavy[0][:, None] + heavy[1]
    wanted = (n_heavy == 1) & touching[atoms[0]][:, None] & touching[atoms[1]]
    contact_distance = rng.uniform(*CONTACT)
    distances = np.where(n_heavy == 2, max(contact_distance, HEAVY_APART), contact_distance)
    candidates = np.argwhere(wanted)
    for _ in range(MOST_PLACEMENTS):
        aim = rng.choice(candidates)
        fixed, coming = (
            (shape - shape[atom]) @ Rotation.from_quat(rng.normal(size=4)).as_matrix().T
            for shape, atom in zip(shapes, aim, strict=True)
        )
        shift, contact = shift_to_contact(fixed, coming, distances)
        if wanted[contact]:
            positions = np.empty((len(numbers), 3))
            positions[atoms[0]], positions[atoms[1]] = fixed, coming + np.array([shift, 0.0, 0.0])
            return positions - positions.mean(axis=0)
    raise CompBenchError(f"the fragments of {molecule.name} could not be made to touch: leave this pair out")


def fragment_atoms(mol: Any) -> np.ndarray:
    """Which atoms are of an end fragment, bool ``[n_atoms]``: heteroatoms and what is bonded to them; all without any.

    Args:
        mol: RDKit molecule of one part or more, hydrogens explicit.
    """
    fragment = np.zeros(mol.GetNumAtoms(), bool)
    for part in optional_import("rdkit.Chem", "generate", "placing a pair").GetMolFrags(mol):
        atoms = [mol.GetAtomWithIdx(index) for index in part]
        polar = [atom for atom in atoms if atom.GetAtomicNum() not in (1, 6)]
        bonded = [other for atom in polar for other in atom.GetNeighbors()]
        fragment[[atom.GetIdx() for atom in (*polar, *bonded)] or list(part)] = True
    return fragment


def shift_to_contact(fixed: np.ndarray, coming: np.ndarray, distances: np.ndarray) -> tuple[float, tuple[int, int]]:
    """How far along x one molecule is from the other when, coming from +x, it first touches it.

    Args:
        fixed: Å, ``[n, 3]``.
        coming: Å, ``[m, 3]``; its x are shifted.
        distances: Å, at which two atoms touch, ``[n, m]``.

    Returns:
        the shift in Å, and the atoms that touch; minus infinity where it passes by.
    """
    x, y, z = np.moveaxis(coming[None] - fixed[:, None], -1, 0)
    left = distances**2 - y**2 - z**2
    shifts = np.where(left > 0, np.sqrt(np.maximum(left, 0.0)) - x, -np.inf)
    i, j = np.unravel_index(np.argmax(shifts), shifts.shape)
    return float(shifts[i, j]), (int(i), int(j))
