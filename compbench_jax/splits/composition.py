"""Which total energies can be known from a training set, by composition alone.

The total energy of a molecule is a sum of one energy per element and an interaction energy. A potential learns the
energies per element from the compositions that it is trained on. If these do not span the space of elements, some
combination of element energies is free, and so is the total energy of every molecule whose composition lies outside the
span: no potential with one additive reference energy per element can know it, however well it learns the chemistry.
Mono-carboxylic acids, C_nH_2nO_2, span two dimensions of three; di-acids, C_nH_(2n-2)O_4, lie outside.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.molecules.molecule import MolecularGraph

TOLERANCE = 1e-8
"""Norm (atoms) below which the part outside the span is exactly 0. Counts are whole numbers, so rounding stays far
below it, and what truly lies outside stays far above."""


@dataclass(frozen=True)
class Composition:
    """What the compositions of a split allow to be known.

    Attributes:
        rank: of the matrix of training compositions.
        elements: number of elements in both sides together; a rank below it leaves energies free.
        outside: for each OOD molecule by name the norm, in atoms, of the part of its composition outside the span of
            the training compositions; 0 where its total energy can be known.
    """

    rank: int
    elements: int
    outside: dict[str, float]

    @property
    def unidentifiable(self) -> tuple[str, ...]:
        """Names of the OOD molecules whose total energy cannot be known from the training set."""
        return tuple(name for name, norm in self.outside.items() if norm > 0)


def composition_matrix(graphs: Sequence[MolecularGraph], elements: np.ndarray) -> np.ndarray:
    """Number of atoms of each element in each molecule, float64 ``[n_molecules, n_elements]``."""
    return np.array([[np.count_nonzero(graph.numbers == z) for z in elements] for graph in graphs], np.float64)


def composition(train: Sequence[MolecularGraph], ood: Sequence[MolecularGraph]) -> Composition:
    """Rank of the training compositions, and what of each OOD composition they do not span.

    Args:
        train: training molecules; at least one.
        ood: OOD molecules.
    """
    elements = np.unique(np.concatenate([graph.numbers for graph in (*train, *ood)]))
    known, asked = composition_matrix(train, elements), composition_matrix(ood, elements)
    _, sizes, directions = np.linalg.svd(known, full_matrices=False)
    span = directions[sizes > sizes[0] * max(known.shape) * np.finfo(np.float64).eps]
    norms = np.linalg.norm(asked - asked @ span.T @ span, axis=1)
    outside = {
        graph.molecule.name: float(norm) if norm > TOLERANCE else 0.0 for graph, norm in zip(ood, norms, strict=True)
    }
    return Composition(len(span), len(elements), outside)


def identifiable(train: Sequence[MolecularGraph], graph: MolecularGraph) -> bool:
    """Whether the compositions of the training molecules determine the total energy of this molecule.

    That is, up to its interaction energy, which a potential has to learn from the structures.
    """
    return not composition(train, [graph]).unidentifiable
