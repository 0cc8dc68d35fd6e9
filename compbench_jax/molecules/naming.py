"""Systematic IUPAC names of linear chains with two end fragments, and common names understood as well.

Rules (IUPAC Recommendations 2013, P-31 and P-41): the senior fragment is the suffix and takes locant 1, the
other end is a prefix with the locant of its carbon; the parent's final ``e`` goes before a vowel; locants go
where they can be nothing else (``ethanol``, ``ethanamine``, ``butanoic acid``). Names are systematic
throughout (``ethanoic acid``, not the retained ``acetic acid``), so that one rule covers every chain length.
"""

from compbench_jax.errors import CompBenchError
from compbench_jax.molecules.fragments import FRAGMENTS, Fragment

_STEMS = (
    *("meth", "eth", "prop", "but", "pent", "hex", "hept", "oct", "non", "dec"),
    *("undec", "dodec", "tridec", "tetradec", "pentadec", "hexadec"),
)

COMMON_NAMES: dict[str, str] = {
    "ethyl alcohol": "ethanol",
    "n-propanol": "propan-1-ol",
    "n-butanol": "butan-1-ol",
    "ethylamine": "ethanamine",
    "propylamine": "propan-1-amine",
    "butylamine": "butan-1-amine",
    "acetaldehyde": "ethanal",
    "propionaldehyde": "propanal",
    "butyraldehyde": "butanal",
    "valeraldehyde": "pentanal",
    "acetic acid": "ethanoic acid",
    "propionic acid": "propanoic acid",
    "butyric acid": "butanoic acid",
    "valeric acid": "pentanoic acid",
    "caproic acid": "hexanoic acid",
    "enanthic acid": "heptanoic acid",
    "caprylic acid": "octanoic acid",
    "pelargonic acid": "nonanoic acid",
    "capric acid": "decanoic acid",
    "lauric acid": "dodecanoic acid",
    "acetamide": "ethanamide",
    "propionamide": "propanamide",
    "butyramide": "butanamide",
    "valeramide": "pentanamide",
    "glyoxal": "ethanedial",
    "glyoxylic acid": "2-oxoethanoic acid",
    "oxamide": "ethanediamide",
    "glycinamide": "2-aminoethanamide",
    "myristic acid": "tetradecanoic acid",
    "ethylene glycol": "ethane-1,2-diol",
    "ethylenediamine": "ethane-1,2-diamine",
    "putrescine": "butane-1,4-diamine",
    "cadaverine": "pentane-1,5-diamine",
    "hexamethylenediamine": "hexane-1,6-diamine",
    "malondialdehyde": "propanedial",
    "malonaldehyde": "propanedial",
    "succinaldehyde": "butanedial",
    "glutaraldehyde": "pentanedial",
    "adipaldehyde": "hexanedial",
    "oxalic acid": "ethanedioic acid",
    "malonic acid": "propanedioic acid",
    "succinic acid": "butanedioic acid",
    "glutaric acid": "pentanedioic acid",
    "adipic acid": "hexanedioic acid",
    "pimelic acid": "heptanedioic acid",
    "suberic acid": "octanedioic acid",
    "azelaic acid": "nonanedioic acid",
    "sebacic acid": "decanedioic acid",
    "brassylic acid": "tridecanedioic acid",
    "glycine": "2-aminoethanoic acid",
    "aminoacetic acid": "2-aminoethanoic acid",
    "beta-alanine": "3-aminopropanoic acid",
    "gaba": "4-aminobutanoic acid",
    "gamma-aminobutyric acid": "4-aminobutanoic acid",
    "aminocaproic acid": "6-aminohexanoic acid",
    "ethanolamine": "2-aminoethan-1-ol",
    "2-aminoethanol": "2-aminoethan-1-ol",
    "glycolaldehyde": "2-hydroxyethanal",
    "glycolic acid": "2-hydroxyethanoic acid",
    "aminoacetaldehyde": "2-aminoethanal",
}
"""Retained and everyday names to systematic names."""


def systematic_name(ends: tuple[str, str], n: int) -> str:
    """Return the IUPAC name of the chain of ``n`` carbons (fragment carbons counted) between two fragments.

    Args:
        ends: fragment keys, in either order.
        n: number of carbon atoms.

    Raises:
        CompBenchError: the chain is longer than the table of stems.
    """
    junior, senior = sorted((FRAGMENTS[end] for end in ends), key=lambda fragment: fragment.seniority)
    return chain_name(junior, senior, n)


def chain_name(junior: Fragment, senior: Fragment, n: int) -> str:
    """Return the name from two fragments in order of seniority (``n`` as in :func:`systematic_name`)."""
    two_suffixes = bool(senior.suffix) and junior.key == senior.key
    prefixed = [] if two_suffixes else [junior]
    if not senior.suffix:
        prefixed = [junior, senior]
    length = n - sum(fragment.prefix_carbons for fragment in prefixed)
    if not 1 <= length <= len(_STEMS):
        raise CompBenchError(f"no name for a chain of {n} carbons: names are known up to {len(_STEMS)} carbons")
    substituents = [fragment.prefix for fragment in prefixed if fragment.prefix]
    stem = _prefixes(substituents, length, senior) + _STEMS[length - 1] + "an"
    if not senior.suffix:
        return stem + "e"
    ending = "di" + senior.suffix if two_suffixes else senior.suffix
    parent = stem if ending[0] in "aeiouy" else stem + "e"
    return parent + _suffix_locants(senior, two_suffixes, bool(substituents), length) + ending


def _prefixes(substituents: list[str], length: int, senior: Fragment) -> str:
    """Return the substituent prefixes with their locants, e.g. ``"3-amino"`` or ``"1,2-difluoro"``."""
    if not substituents:
        return ""
    if senior.suffix:
        return f"{length}-{substituents[0].format(n=length)}"
    if len(substituents) == 1:
        return substituents[0] if length <= 2 else f"1-{substituents[0]}"
    first, second = sorted(substituents)
    return f"1,{length}-di{first}" if first == second else f"1-{first}-{length}-{second}"


def _suffix_locants(senior: Fragment, two_suffixes: bool, substituted: bool, length: int) -> str:
    """Return the suffix's locants with their hyphens, or nothing where the suffix can sit nowhere else."""
    if senior.carbons or length == 1:
        return ""  # a fragment that brings its own carbon ends the chain
    if two_suffixes:
        return f"-1,{length}-"
    return "" if length == 2 and not substituted else "-1-"
