"""Families and fragments as the parameters of tasks: reading them, and asking a molecule for them."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from compbench_jax.errors import CompBenchError, TaskError
from compbench_jax.molecules.fragments import (
    BARE,
    FAMILIES,
    FRAGMENTS,
    family_of,
    find_fragment,
)
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.splits.checks import MoleculeSplit

SHORT = range(2, 7)
"""Numbers of carbons n of the training molecules where a task extends chains: 2 … 6."""

LONG = range(7, 14)
"""Numbers of carbons n that are held out then: 7 … 13."""


def parse_fragment(task: str, text: str) -> str:
    """Key of the fragment that a key or mono family stands for (``"NH2"``, ``"amine"``), ``"H"`` not allowed.

    Raises:
        TaskError: no such fragment, or no fragment at all (H).
    """
    try:
        key = find_fragment(text).key
    except CompBenchError as error:
        raise TaskError(f"{task}: {error}") from error
    if key == BARE.key:
        others = ", ".join(other for other in FRAGMENTS if other != BARE.key)
        raise TaskError(f"{task}: {text!r} is the bare end of a chain, not a fragment: use one of {others}")
    return key


def parse_different(task: str, first: str, second: str) -> tuple[str, str]:
    """Keys of two fragments, as by :func:`parse_fragment`, that must differ.

    Raises:
        TaskError: as there, or both are the same fragment.
    """
    keys = parse_fragment(task, first), parse_fragment(task, second)
    if keys[0] == keys[1]:
        raise TaskError(f"{task}: both fragments are {keys[0]}: give two different ones")
    return keys


def fused_with_carbonyl(task: str, fragment: str) -> str:
    """Key of the fragment that is this one bound to a carbonyl carbon: OH gives COOH, NH2 gives CONH2.

    Raises:
        TaskError: the table has none.
    """
    for key, row in FRAGMENTS.items():
        if row.right == f"C(=O){FRAGMENTS[fragment].right}":
            return key
    fusible = [key for key, row in FRAGMENTS.items() if any(r.right == f"C(=O){row.right}" for r in FRAGMENTS.values())]
    raise TaskError(f"{task}: {fragment} and a carbonyl form no fragment of the table: use one of {', '.join(fusible)}")


def parse_family(task: str, text: str) -> str:
    """Family that a family name, one fragment or two fragments stand for.

    ``"diacid"``, ``"amino acid"`` or ``"amino_acid"``; ``"OH"`` is the alcohols; ``"NH2,COOH"`` the amino
    acids.

    Raises:
        TaskError: no such family or fragment.
    """
    name = " ".join(text.replace("_", " ").split()).casefold()
    if name in FAMILIES:
        return name
    ends = text.split(",")
    if len(ends) <= 2:
        with suppress(CompBenchError):
            return family_of(ends[0], ends[1] if len(ends) == 2 else BARE.key)
    families = ", ".join(family.replace(" ", "_") for family in FAMILIES)
    raise TaskError(f"{task}: unknown family {text!r}: use one of {families}, or one or two of {', '.join(FRAGMENTS)}")


def has_ends(molecule: Molecule, first: str, second: str = BARE.key) -> bool:
    """Whether the molecule's ends are these two, in either order; False outside the registry."""
    return molecule.ends is not None and sorted(molecule.ends) == sorted((first, second))


def choose(
    graphs: Sequence[MolecularGraph], train: Callable[[Molecule], bool], ood: Callable[[Molecule], bool]
) -> MoleculeSplit:
    """The molecules that either rule accepts. Those outside the registry have no n and are left out."""
    known = [(index, graph.molecule) for index, graph in enumerate(graphs) if graph.molecule.n is not None]
    return MoleculeSplit(
        train=tuple(index for index, molecule in known if train(molecule)),
        ood=tuple(index for index, molecule in known if ood(molecule)),
    )


def of_length(molecule: Molecule, lengths: Collection[int]) -> bool:
    """Whether the molecule's number of carbons n is one of these."""
    return molecule.n in lengths
