"""What an import found, in words and a table."""

from compbench_jax.interchange.assign import PRIMARY, SECONDARY
from compbench_jax.interchange.collect import Dropped
from compbench_jax.interchange.importer import UNKNOWN_METHOD, Imported

COLUMNS = ("file", "molecule", "family", "set", "trajectories", "frames", "dropped")
MAX_EXAMPLES = 10


def summary_table(imported: Imported) -> str:
    """One line for each file, molecule and set: family, trajectories, frames, and the frames dropped beside them."""
    collection = imported.collection
    groups: dict[tuple[str, str, str, str], list[int]] = {}
    for piece, (name, _) in zip(collection.pieces, imported.sets, strict=True):
        molecule = collection.graphs[piece.inchikey].molecule
        key = (piece.source.name, molecule.name, molecule.family or "-", name)
        groups.setdefault(key, []).append(len(piece.energy))
    left = list(collection.dropped)
    rows: list[tuple[str, ...]] = []
    for key, lengths in groups.items():
        own = [d for d in left if (d.source.name, d.molecule) == key[:2]]
        left = [d for d in left if d not in own]
        rows.append((*key, str(len(lengths)), str(sum(lengths)), _counts(own)))
    rows.extend((d.source.name, d.molecule, "-", "-", "0", "0", _counts([d])) for d in left)
    widths = [max(len(row[i]) for row in [COLUMNS, *rows]) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [COLUMNS, *rows]
    )


def _counts(dropped: list[Dropped]) -> str:
    return ", ".join(f"{d.count} {d.reason}" for d in dropped) or "0"


def summary_lines(imported: Imported) -> list[str]:
    """Totals, what was dropped and why, and what a user should know before training on it."""
    collection, manifest = imported.collection, imported.manifest
    lines = []
    for name in (PRIMARY, SECONDARY):
        own = [p for p, (set, _) in zip(collection.pieces, imported.sets, strict=True) if set == name]
        frames, molecules = sum(len(p.energy) for p in own), len({p.inchikey for p in own})
        lines.append(f"{name}: {frames} frames of {molecules} molecules")
    examples = [
        f"  {d.source.name} frame {index} ({d.molecule}): {d.reason}, {detail}"
        for d in collection.dropped
        for index, detail in d.examples
    ]
    if collection.dropped:
        lines.append(f"dropped: {sum(d.count for d in collection.dropped)} frames, for example")
        lines.extend(examples[:MAX_EXAMPLES])
    both = [
        {p.inchikey for p, (set, _) in zip(collection.pieces, imported.sets, strict=True) if set == name}
        for name in (PRIMARY, SECONDARY)
    ]
    for name, missing in ((SECONDARY, both[0] - both[1]), (PRIMARY, both[1] - both[0])):
        if missing:
            first = collection.graphs[min(missing)].molecule.name
            lines.append(
                f"note: {len(missing)} molecules have no {name} set ({first}, say): tasks cannot use them fully"
            )
    if manifest.level["method"] == UNKNOWN_METHOD:
        lines.append("note: the level of theory is recorded as 'unknown': state it with --level-method")
    if imported.found.outside:
        count, first = len(imported.found.outside), imported.found.outside[0]
        lines.append(f"note: {count} links lead out of their folder and were not followed ({first}, say)")
    if imported.found.others:
        lines.append(f"note: {imported.found.others} files of other kinds were passed over")
    lines.append(f"tuning frames: the first {manifest.tuning_frames} of each secondary set")
    return lines
