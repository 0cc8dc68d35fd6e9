"""Which trajectory of a molecule is primary, which secondary?"""

from collections.abc import Sequence
from dataclasses import dataclass

from compbench_jax.errors import CompBenchError
from compbench_jax.interchange.collect import Piece
from compbench_jax.interchange.sources import Source, matches
from compbench_jax.store.store import SETS

PRIMARY, SECONDARY = SETS
SHARE = 0.2
"""Share of the shortest secondary set that tunes: the paper's 100 of 500."""

ENDINGS = {"_total.traj": PRIMARY, "_final.traj": SECONDARY}
"""How the authors' older public code ends the names of its files, ``<SMILES>_total.traj`` and ``<SMILES>_final.traj``.
Only the ending is read: the molecule is that of the geometry."""


def set_by_name(source: Source) -> str | None:
    """The set that the ending of a file's name states; None for other names."""
    return next((name for ending, name in ENDINGS.items() if source.path.name.endswith(ending)), None)


@dataclass(frozen=True)
class Patterns:
    """Patterns of file names whose trajectories are primary or secondary, instead of the rule of the longest."""

    primary: tuple[str, ...] = ()
    secondary: tuple[str, ...] = ()

    def check(self, sources: Sequence[Source]) -> None:
        """Refuse patterns that fit no file or leave a file's set open.

        Raises:
            CompBenchError: such a pattern or file.
        """
        for pattern in (*self.primary, *self.secondary):
            if not any(matches(source, pattern) for source in sources):
                raise CompBenchError(f"pattern {pattern!r} fits none of the {len(sources)} files: see --dry-run")
        for source in sources:
            self.set_of(source)

    def set_of(self, source: Source) -> str | None:
        """The set that the patterns give a file; None without patterns.

        Raises:
            CompBenchError: the file fits both kinds of pattern, or neither of two.
        """
        first = any(matches(source, pattern) for pattern in self.primary)
        second = any(matches(source, pattern) for pattern in self.secondary)
        if first and second:
            raise CompBenchError(
                f"{source.name} fits a --primary and a --secondary pattern: make them exclude each other"
            )
        if self.primary and self.secondary and not first and not second:
            raise CompBenchError(
                f"{source.name} fits neither --primary nor --secondary: leave one out to mean the rest"
            )
        if not self.primary and not self.secondary:
            return None
        return PRIMARY if first or (not self.primary and not second) else SECONDARY


def assign(pieces: Sequence[Piece], patterns: Patterns) -> list[tuple[str, int]]:
    """Set and segment of every trajectory.

    The set is what a pattern says, else what the file states, else what its name states (``ENDINGS``), else primary for
    the longest of a molecule's trajectories and secondary for its others. Segments keep the numbers that files state
    and are numbered in order where they state none or the same twice.

    Returns:
        for each piece its set and segment.
    """
    sets: list[str | None] = [
        patterns.set_of(piece.source) or (piece.tag[0] if piece.tag else set_by_name(piece.source)) for piece in pieces
    ]
    taken_primary = {piece.inchikey for piece, set in zip(pieces, sets, strict=True) if set == PRIMARY}
    longest: dict[str, int] = {}
    for k, piece in enumerate(pieces):
        if sets[k] is None and piece.inchikey not in taken_primary:
            best = longest.setdefault(piece.inchikey, k)
            if len(piece.energy) > len(pieces[best].energy):
                longest[piece.inchikey] = k
    for k in range(len(pieces)):
        sets[k] = sets[k] or (PRIMARY if k in longest.values() else SECONDARY)
    taken: set[tuple[str, str, int]] = set()
    segments: list[int] = [-1] * len(pieces)
    stated = [k for k, piece in enumerate(pieces) if piece.tag]
    for k in [*stated, *(k for k in range(len(pieces)) if k not in set(stated))]:
        piece, name = pieces[k], sets[k]
        assert name is not None
        segment = piece.tag[1] if piece.tag else 0
        while (piece.inchikey, name, segment) in taken:
            segment += 1
        taken.add((piece.inchikey, name, segment))
        segments[k] = segment
    return [(name or SECONDARY, segment) for name, segment in zip(sets, segments, strict=True)]


def tuning_frames(pieces: Sequence[Piece], sets: Sequence[str], asked: int | None) -> int:
    """Leading frames of each secondary set that tune: what was asked for, else a fifth of the shortest set.

    Raises:
        CompBenchError: more was asked for than leaves an ID test to every molecule.
    """
    lengths: dict[str, int] = {}
    for piece, name in zip(pieces, sets, strict=True):
        if name == SECONDARY:
            lengths[piece.inchikey] = lengths.get(piece.inchikey, 0) + len(piece.energy)
    shortest = min(lengths.values(), default=0)
    if asked is None:
        return max(1, int(SHARE * shortest)) if shortest > 1 else 0
    if asked < 0 or (asked and asked >= shortest):
        raise CompBenchError(
            f"--tuning-frames {asked}: give 0 to {max(0, shortest - 1)}, the shortest secondary set less one"
        )
    return asked
