"""What the library knows of a molecule. No RDKit here: stores carry the records, so training needs no extras."""

from dataclasses import dataclass

import numpy as np

MAX_RADIUS = 4
"""Largest radius (bonds) of the atom environments kept with a molecule."""


@dataclass(frozen=True)
class Molecule:
    """Identity of a molecule. Two molecules are the same if and only if their InChIKeys are.

    Attributes:
        name: systematic IUPAC name, e.g. ``"propanedioic acid"`` (or the SMILES where none is known).
        smiles: canonical SMILES (RDKit), hydrogens implicit.
        inchikey: standard InChIKey.
        formula: Hill formula, e.g. ``"C3H4O4"``.
        family: registry family, e.g. ``"diacid"``; None outside the registry.
        n: number of carbon atoms, fragment carbons counted; None outside the registry.
        ends: keys of the two end fragments, e.g. ``("COOH", "COOH")``; None outside the registry.
    """

    name: str
    smiles: str
    inchikey: str
    formula: str
    family: str | None = None
    n: int | None = None
    ends: tuple[str, str] | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """SMILES of each molecule of the record: two for a pair (:mod:`compbench_jax.molecules.pairs`)."""
        return tuple(self.smiles.split("."))


@dataclass(frozen=True, eq=False)
class MolecularGraph:
    """A molecule with its atoms, in one fixed order shared by every frame of it in a store.

    Attributes:
        molecule: whose graph it is.
        numbers: atomic numbers Z, int32 ``[n_atoms]``.
        bonds: atom pairs i < j, int32 ``[n_bonds, 2]``, sorted.
        environments: identifiers of the atom environments of radius 0 … 4, uint32 ``[n_atoms, 5]``
            (Morgan, explicit hydrogens); equal numbers in one column are equal environments.
    """

    molecule: Molecule
    numbers: np.ndarray
    bonds: np.ndarray
    environments: np.ndarray

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.numbers)
