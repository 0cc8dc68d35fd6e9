"""What an import found, in words and a table."""

from collections.abc import Sequence
from typing import Any

from compbench_jax.interchange.assign import PRIMARY, SECONDARY
from compbench_jax.interchange.collect import Dropped
from compbench_jax.interchange.importer import UNKNOWN_METHOD, Imported
from compbench_jax.interchange.isolation import VACUUM

COLUMNS = ("file", "molecule", "family", "set", "trajectories", "frames", "dropped")
MAX_EXAMPLES = 10


def summary_table(imported: Imported) -> str:
    """One line for each file, molecule and set: family, trajectories, frames, and the frames dropped."""
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
                f"note: {len(missing)} molecules have no {name} set ({first}, say): tasks of the benchmark cannot use "
                "them fully; `compbench split` and the task random_frames can"
            )
    lines.extend(_label_notes(collection.records))
    boxed = sum(record.get("frames_in_box", 0) for record in collection.records)
    if boxed:
        lines.append(
            f"note: {boxed} frames state a periodic cell with images {VACUUM:g} Å apart or more: taken as isolated"
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


def _label_notes(records: Sequence[dict[str, Any]]) -> list[str]:
    """Which label sets were read, where that is not plain."""
    files: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for record in records:
        if "energy_key" in record:
            key = (record["energy_key"], record["forces_key"], tuple(record["other_labels"]))
            files.setdefault(key, []).append(record["file"])
    plain = {(energy, forces) for energy, forces, _ in files}
    lines = []
    for (energy, forces, others), names in files.items():
        if others or len(plain) > 1:
            where = names[0] if len(names) == 1 else f"{len(names)} files ({names[0]}, say)"
            also = f"; also there: {', '.join(others)} (choose with --energy-key and --forces-key)" if others else ""
            lines.append(f"note: labels of {where} are {energy} and {forces}{also}")
    return lines
