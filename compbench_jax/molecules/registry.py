"""The registries: every molecule of the benchmark, generated from the fragment table."""

import difflib
from functools import lru_cache

from compbench_jax.errors import CompBenchError, optional_import
from compbench_jax.molecules.fragments import (
    CORE_FAMILIES,
    EXTENSION_LENGTHS,
    FAMILIES,
    FRAGMENTS,
)
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.naming import COMMON_NAMES, systematic_name


def chain_smiles(ends: tuple[str, str], n: int) -> str:
    """Return a SMILES of the chain of ``n`` carbons, fragment carbons counted, between two ends."""
    left, right = (FRAGMENTS[end] for end in ends)
    return left.left + "C" * (n - left.carbons - right.carbons) + right.right


@lru_cache(maxsize=1)
def core_registry() -> tuple[Molecule, ...]:
    """Return the 118 molecules of the core registry, family by family, shortest chain first.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    return tuple(_molecule(family, n) for family, lengths in CORE_FAMILIES.items() for n in lengths)


@lru_cache(maxsize=1)
def extended_registry() -> tuple[Molecule, ...]:
    """Return the core registry, then the extension: all other families, and the core's at their other lengths.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    return core_registry() + tuple(
        _molecule(family, n) for family in FAMILIES for n in EXTENSION_LENGTHS if n not in CORE_FAMILIES.get(family, ())
    )


@lru_cache(maxsize=1)
def registry_by_inchikey() -> dict[str, Molecule]:
    """Return the extended registry keyed by InChIKey. Shared: do not change it."""
    return {molecule.inchikey: molecule for molecule in extended_registry()}


def find_molecule(text: str) -> Molecule:
    """Return the registry molecule that a systematic name, common name, InChIKey or SMILES stands for.

    Names are compared without regard to case and runs of spaces, molecules by InChIKey.

    Raises:
        CompBenchError: the text is none of these, or its molecule is in neither registry.
    """
    name = " ".join(text.split()).casefold()
    by_name = {molecule.name: molecule for molecule in extended_registry()}
    if COMMON_NAMES.get(name, name) in by_name:
        return by_name[COMMON_NAMES.get(name, name)]
    key = text.strip()
    found = registry_by_inchikey().get(key.upper()) or registry_by_inchikey().get(_inchikey(key))
    if found is not None:
        return found
    close = difflib.get_close_matches(name, [*by_name, *COMMON_NAMES], n=3)
    hint = f"closest names: {', '.join(close)}" if close else "`compbench molecules` lists them all"
    raise CompBenchError(f"no molecule {text!r} in the registry ({hint})")


def describe_smiles(smiles: str) -> tuple[str, str, str]:
    """Return the canonical SMILES, standard InChIKey and Hill formula of a valid SMILES."""
    chem = optional_import("rdkit.Chem", "generate", "the molecule registry")
    descriptors = optional_import("rdkit.Chem.rdMolDescriptors", "generate", "the molecule registry")
    mol = chem.MolFromSmiles(smiles)
    return chem.MolToSmiles(mol), chem.MolToInchiKey(mol), descriptors.CalcMolFormula(mol)


def _molecule(family: str, n: int) -> Molecule:
    """Return the family's molecule with ``n`` carbons."""
    ends = FAMILIES[family]
    smiles, inchikey, formula = describe_smiles(chain_smiles(ends, n))
    return Molecule(systematic_name(ends, n), smiles, inchikey, formula, family=family, n=n, ends=ends)


def _inchikey(smiles: str) -> str:
    """Return the InChIKey of a SMILES, or nothing where the text is not one."""
    chem = optional_import("rdkit.Chem", "generate", "the molecule registry")
    base = optional_import("rdkit.rdBase", "generate", "the molecule registry")
    with base.BlockLogs():  # most texts that come here are misspelt names; RDKit would complain of each
        mol = chem.MolFromSmiles(smiles) if smiles else None
        return chem.MolToInchiKey(mol) if mol is not None else ""
