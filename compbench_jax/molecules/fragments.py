"""The fragment table: everything the registry, the names and the tasks know of an end fragment, one row each.

A registry molecule is a linear chain of n carbons, fragment carbons counted, with a fragment at each end.
Families follow from the table, so a new fragment is one new row: it brings its own mono family (``X … H``),
its double family (``X … X``) and a mixed family with every other fragment. The core registry has ten families, each
with its own range of n, named below. Every other family, and the other lengths of those, belong to the extension.
"""

from dataclasses import dataclass
from itertools import combinations

from compbench_jax.errors import CompBenchError

EXTENSION_LENGTHS = range(2, 14)
"""Numbers of carbons n of every family of the extension: 2 … 13."""


@dataclass(frozen=True)
class Fragment:
    """What sits at one end of the chain.

    Attributes:
        key: short name used for ``Molecule.ends`` and task parameters, e.g. ``"COOH"``.
        left: SMILES of the fragment written before the chain it is bound to.
        right: SMILES of the fragment written after the chain it is bound to.
        carbons: carbon atoms of the fragment, counted in n.
        seniority: rank as principal characteristic group (IUPAC 2013, P-41); the larger takes the suffix.
        suffix: name ending as principal group, e.g. ``"ol"``; empty if the group is only ever a prefix.
        prefix: name as substituent, e.g. ``"hydroxy"``; ``{n}`` stands for the locant where it is needed again.
        prefix_carbons: fragment carbons that leave the parent chain when it is named as a prefix (0 for
            ``oxo``, whose carbon stays; 1 for ``cyano``).
        family: family of the molecules with this fragment at one end and H at the other.
        double_family: family of the molecules with this fragment at both ends.
        adjective: word for the fragment in the names of mixed families; the prefix where none is given.
    """

    key: str
    left: str
    right: str
    carbons: int
    seniority: int
    suffix: str
    prefix: str
    prefix_carbons: int
    family: str
    double_family: str
    adjective: str = ""


_ROWS = (
    # key     left     right    C  rank suffix      prefix    C  family       both ends
    Fragment("OH", "O", "O", 0, 2, "ol", "hydroxy", 0, "alcohol", "diol"),
    Fragment("NH2", "N", "N", 0, 1, "amine", "amino", 0, "amine", "diamine"),
    Fragment("CHO", "O=C", "C=O", 1, 3, "al", "oxo", 0, "aldehyde", "dialdehyde"),
    Fragment("CONH2", "NC(=O)", "C(=O)N", 1, 4, "amide", "amino-{n}-oxo", 0, "amide", "diamide", "carbamoyl"),
    Fragment("COOH", "OC(=O)", "C(=O)O", 1, 5, "oic acid", "carboxy", 1, "acid", "diacid"),
)

BARE = Fragment("H", "", "", 0, 0, "", "", 0, "alkane", "alkane")
"""The end without a fragment: the chain just stops at its CH3."""


def families_of(rows: tuple[Fragment, ...]) -> dict[str, tuple[str, str]]:
    """Return ``{family: (end, end)}`` of every pair of ends that the fragment rows allow.

    Mixed families are called after the junior fragment's adjective and the senior's family (``"amino acid"``).
    """
    families = {BARE.family: (BARE.key, BARE.key)}
    families |= {row.family: (row.key, BARE.key) for row in rows}
    families |= {row.double_family: (row.key, row.key) for row in rows}
    for first, second in combinations(rows, 2):
        junior, senior = sorted((first, second), key=lambda row: row.seniority)
        families[f"{junior.adjective or junior.prefix} {senior.family}"] = (first.key, second.key)
    return families


FRAGMENTS: dict[str, Fragment] = {row.key: row for row in (BARE, *_ROWS)}
"""Key to fragment, the bare end ``"H"`` included."""

FAMILIES: dict[str, tuple[str, str]] = families_of(_ROWS)
"""Family to its two ends, core and extension."""

CORE_FAMILIES: dict[str, range] = {
    "alkane": range(2, 14),
    "alcohol": range(2, 16),
    "amine": range(2, 16),
    "aldehyde": range(2, 16),
    "acid": range(2, 16),
    "amide": range(2, 16),
    "hydroxy aldehyde": range(2, 14),
    "diamine": range(2, 10),
    "diacid": range(2, 10),
    "amino acid": range(2, 10),
}
"""The ten families of the core registry with their numbers of carbons n, in the order of the registry.

Our reconstruction of the paper's 118 molecules: the paper's count and the lengths that its tasks and public code use
fit these ranges exactly, but no public list names them."""


def find_fragment(text: str) -> Fragment:
    """Return the fragment with this key or mono family (``"NH2"``, ``"amine"``), whatever its case.

    Raises:
        CompBenchError: there is no such fragment.
    """
    wanted = text.strip().casefold()
    for fragment in FRAGMENTS.values():
        if wanted in (fragment.key.casefold(), fragment.family.casefold()):
            return fragment
    known = ", ".join(f"{fragment.key} ({fragment.family})" for fragment in FRAGMENTS.values())
    raise CompBenchError(f"unknown fragment {text!r}: use one of {known}")


def family_of(first: str, second: str) -> str:
    """Return the family whose ends are these two fragment keys, in either order.

    Raises:
        CompBenchError: a key is not in the fragment table.
    """
    ends = sorted((find_fragment(first).key, find_fragment(second).key))
    return next(family for family, pair in FAMILIES.items() if sorted(pair) == ends)
