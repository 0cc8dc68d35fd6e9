"""Three-dimensional conformers from a seed."""

import numpy as np

from compbench_jax.errors import CompBenchError, optional_import
from compbench_jax.molecules.graph import explicit_rdmol
from compbench_jax.molecules.molecule import Molecule

MAX_SEED = 2**31 - 1
"""Largest conformer seed: RDKit's are signed 32-bit integers (and its -1 means "not reproducible")."""

RELAXATION_STEPS = 50
"""MMFF94 minimiser steps: enough to part clashing atoms, few enough to stay in the embedded conformer."""


def conformer(molecule: Molecule, seed: int) -> np.ndarray:
    """Return one conformer, reproducible from its seed.

    Distance geometry with torsion knowledge, ETKDGv3 (Wang, Witek, Landrum and Riniker 2020, J. Chem. Inf.
    Model. 60, 2044), then a short MMFF94 relaxation where that force field knows the molecule.

    Args:
        molecule: what to embed.
        seed: 0 … 2³¹−1; equal seeds give equal conformers.

    Returns:
        positions float64 ``[n_atoms, 3]`` in Å, in the atom order of :func:`~.graph.molecular_graph`, mean at
        the origin.

    Raises:
        CompBenchError: the seed is out of range, RDKit is missing, or no conformer could be embedded.
    """
    embedder = optional_import("rdkit.Chem.rdDistGeom", "generate", "embedding a conformer")
    fields = optional_import("rdkit.Chem.rdForceFieldHelpers", "generate", "embedding a conformer")
    if not 0 <= seed <= MAX_SEED:
        raise CompBenchError(f"conformer seed {seed} of {molecule.name} is out of range: use 0 to {MAX_SEED}")
    mol = explicit_rdmol(molecule)
    parameters = embedder.ETKDGv3()
    parameters.randomSeed = int(seed)
    if embedder.EmbedMolecule(mol, parameters) != 0:
        parameters.useRandomCoords = True  # slower, but succeeds where the metric matrix does not embed
        if embedder.EmbedMolecule(mol, parameters) != 0:
            raise CompBenchError(
                f"no conformer of {molecule.name} ({molecule.smiles}) from seed {seed}: try another seed"
            )
    if fields.MMFFHasAllMoleculeParams(mol):
        fields.MMFFOptimizeMolecule(mol, maxIters=RELAXATION_STEPS)
    positions = np.array(mol.GetConformer().GetPositions(), np.float64)
    return positions - positions.mean(axis=0)
