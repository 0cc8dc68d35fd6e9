"""``compbench download``."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from compbench_jax.errors import CompBenchError


@dataclass(frozen=True)
class Arguments:
    """Fetch the official data set GMD-26, or a part of it, from the Hugging Face hub, and import it.

    The whole set is about 154 GB. Files are chosen by pattern (and by molecule, if their names contain it), shown with
    their size, and confirmed before the download. All come from one commit; checksums are compared. The same command
    resumes an interrupted download. Needs the extra `hub`. It has not been tested on the original set: see
    docs/importing.md.
    """

    set: tyro.conf.Positional[Literal["gmd26"]]
    """Which set."""

    out: Path
    """Folder of the data set."""

    molecules: tuple[str, ...] = ()
    """Only files whose names mention these molecules, each given by name, SMILES or InChIKey."""

    pattern: tuple[str, ...] = ()
    """Only files whose path fits one of these patterns (* and ?). Default: data/*"""

    revision: str | None = None
    """Commit, tag or branch. Default: the newest commit of the main branch; it is printed and recorded."""

    raw: Path | None = None
    """Folder of the fetched files, kept. Default: OUT/raw."""

    fetch_only: bool = False
    """Download without import; `compbench import` has options for units, sets and level of theory."""

    dry_run: bool = False
    """Show the files and their size, and fetch nothing."""

    yes: bool = False
    """Fetch without asking."""


SHOWN = 20


def run(arguments: Arguments) -> None:
    """Fetch and import."""
    from compbench_jax.cli.importing import import_and_report
    from compbench_jax.interchange import hub
    from compbench_jax.interchange.importer import ImportPlan, check_free
    from compbench_jax.molecules.registry import find_molecule

    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    molecules = [find_molecule(text) for text in arguments.molecules]
    raw = arguments.raw or arguments.out / "raw"
    check_free(arguments.out)
    listing = hub.list_files(arguments.revision)
    files = hub.choose(listing, arguments.pattern or hub.DEFAULT_PATTERNS, molecules)
    print(f"{hub.REPOSITORY} at commit {listing.commit}")
    for file in files[:SHOWN]:
        print(f"  {file.path}  {hub.size_text(file.size)}")
    if len(files) > SHOWN:
        print(f"  and {len(files) - SHOWN} more")
    print(f"{len(files)} files, {hub.size_text(sum(file.size for file in files))}, into {raw}")
    if arguments.dry_run:
        print("nothing was fetched (--dry-run)")
        return
    if not arguments.yes:
        confirm()
    done = 0

    def on_file(file: hub.RemoteFile) -> None:
        nonlocal done
        done += 1
        console.print(f"checked {done}/{len(files)} {file.path}")

    paths = hub.fetch(listing, files, raw, on_file)
    if arguments.fetch_only:
        print(f"next: compbench import {raw} --out {arguments.out}")
        return
    origin = {"repository": hub.REPOSITORY, "revision": listing.commit}
    import_and_report(
        ImportPlan(paths=tuple(paths), out=arguments.out, root=raw, level=dict(hub.PAPER_LEVEL), origin=origin)
    )
    print(f"level of theory recorded as the paper states it: {'/'.join(hub.PAPER_LEVEL.values())}")


def confirm() -> None:
    """Ask on the terminal whether to go on.

    Raises:
        CompBenchError: nobody is there to ask, or the answer is no.
    """
    if not sys.stdin.isatty():
        raise CompBenchError("nothing was fetched: confirm with --yes, or look first with --dry-run")
    if input("Fetch them? [y/N] ").strip().lower() not in ("y", "yes"):
        raise CompBenchError("nothing was fetched, as you wished")
