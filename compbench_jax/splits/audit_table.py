"""An audit as tables for the terminal."""

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from compbench_jax.splits.audit import Audit


def audit_table(audit: Audit) -> Group:
    """What ``compbench audit`` prints: the verdict, the four sets, the radius profile, the unseen contacts."""
    compared = f" (z: D_C against {audit.draws} random splits)" if audit.draws else ""
    return Group(
        Text(f"Audit of {audit.task}", style="bold"),
        _sets(audit),
        *(Text(line, style=style) for line, style in _verdict(audit)),
        *(Text(line) for line in _composition(audit)),
        Text(f"\nAtom environments, OOD against train{compared}"),
        _profile(audit),
        *(Text(line) for line in _unseen(audit)),
        Text(f"\nUnseen contacts within {audit.cutoff:g} Å: in {audit.novel_contact_fraction:.1%} of the OOD frames"),
        _contacts(audit),
        Text(f"New kinds of contact: {', '.join(audit.novel_contact_types) or 'none'}"),
    )


def _sets(audit: Audit) -> Table:
    table = Table("set", _right("molecules"), _right("frames"))
    return _filled(table, [(name, len(item.molecules), item.frames) for name, item in audit.sets.items()])


def _verdict(audit: Audit) -> list[tuple[str, str]]:
    lines = []
    if not audit.molecule_disjoint:
        shared = len(audit.shared_molecules)
        lines.append((f"Not molecule-disjoint, on purpose: {shared} OOD molecules are trained on.", "yellow"))
    lines += [(f"FAILED: {failure}", "red") for failure in audit.failures]
    for item in audit.missing:
        if item.made_of and item.kind == "end fragment":
            lines.append((f"Declared new: {item.what} (made of {' and '.join(item.made_of)})", "yellow"))
    if not audit.failures:
        disjoint = "disjoint by frame and by InChIKey" if audit.molecule_disjoint else "disjoint by frame"
        rest = "other " if audit.missing else ""
        covered = f"train covers every {rest}OOD element, end fragment and radius-0 environment."
        lines.append((f"Sound: {disjoint}; {covered}", "green"))
    return lines


def _composition(audit: Audit) -> list[str]:
    found = audit.composition
    lines = [f"Compositions: training spans {found.rank} of {found.elements} elements"]
    if found.unidentifiable:
        norms = ", ".join(f"{name} {found.outside[name]:.2f}" for name in found.unidentifiable)
        lines.append(f"Total energies that training does not determine (atoms outside the span): {norms}")
    else:
        lines.append("Training determines the total energies of all OOD molecules.")
    return lines


def _profile(audit: Audit) -> Table:
    table = Table("radius", _right("D_A"), _right("D_C"), _right("unseen mass"), _right("random D_C"), _right("z"))
    rows = []
    for row in audit.profile:
        random = "–" if row.random_mean is None else f"{row.random_mean:.3f} ± {row.random_std:.3f}"
        z_score = "–" if row.z_score is None else f"{row.z_score:+.1f}"
        rows.append(
            (
                row.radius,
                f"{row.atom_divergence:.3f}",
                f"{row.compound_divergence:.3f}",
                f"{row.novel_mass:.3f}",
                random,
                z_score,
            )
        )
    return _filled(table, rows)


def _unseen(audit: Audit) -> list[str]:
    first = "none up to radius 4" if audit.first_novelty is None else f"radius {audit.first_novelty} (bonds)"
    lines = [f"Unseen environments begin at: {first}"]
    lines.append(f"Touching fragments (unseen already at radius 1): {', '.join(audit.touching) or 'none'}")
    field = audit.receptive_field
    if field is not None:
        lines.append(f"Receptive field of the model: {field.layers} layers × {field.cutoff:g} Å = {field.reach:g} Å")
    return lines


def _contacts(audit: Audit) -> Table:
    table = Table("OOD molecule", _right("n"), _right("frames"), _right("with unseen contact"), _right("fraction"))
    rows = [
        (escape(row.molecule), "–" if row.n is None else row.n, row.frames, row.novel, f"{row.fraction:.2f}")
        for row in audit.contacts
    ]
    return _filled(table, rows)


def _right(header: str) -> Column:
    return Column(header, justify="right")


def _filled(table: Table, rows: Iterable[Sequence[object]]) -> Table:
    for row in rows:
        table.add_row(*map(str, row))
    return table
