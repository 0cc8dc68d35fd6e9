"""``compbench foundation``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro


@dataclass(frozen=True)
class Arguments:
    """Foundation potentials: list them, install their environments, convert their weights.

    list: the potentials, their licences, elements, levels of theory, and which are installed.

    install NAME: make a virtual environment for one. `list` says which download their weights when first used.

    path NAME: the interpreter of that environment, for --python.

    convert so3lr --out RUN: its weights as a run of this library, for evaluate.py --run, train.py --init-from
    and the ASE calculator. The original stays in its environment and must be installed.

    convert mace FILE.model --out RUN: the same for a checkpoint of mace-torch (MACE-OFF23, MACE-MP-0, your own).
    It is a pickle, loaded in the environment of `install mace`: convert only files that you trust.

    Then:  python evaluate.py --foundation NAME --task TASK --data DIR
    """

    action: tyro.conf.Positional[Literal["list", "install", "path", "convert"]]
    """Action."""

    name: tyro.conf.Positional[str] = ""
    """Name of the potential."""

    file: tyro.conf.Positional[Path | None] = None
    """Checkpoint to convert, for mace."""

    head: str | None = None
    """Head of a checkpoint that has several."""

    dir: Path | None = None
    """Folder of the environment. Without it: a folder of the user's data (or $COMPBENCH_FOUNDATION_DIR/NAME)."""

    out: Path | None = None
    """Run folder to convert to. Without it: runs/NAME."""

    torch_index: str | None = None
    """Package index for torch, if the default one has only builds for a GPU."""


def run(arguments: Arguments) -> None:
    """List, install, locate or convert."""
    from compbench_jax.errors import CompBenchError
    from compbench_jax.foundation.install import foundation_folder, foundation_path, install
    from compbench_jax.foundation.registry import FOUNDATIONS, get_foundation

    if arguments.action == "list":
        from compbench_jax.report.foundations import foundation_lines

        print("\n".join(foundation_lines(arguments.dir)))
        return
    if not arguments.name:
        raise CompBenchError(f"which potential? write compbench foundation {arguments.action} {'|'.join(FOUNDATIONS)}")
    item = get_foundation(arguments.name)
    folder = foundation_folder(item.name, arguments.dir)
    if arguments.action == "install":
        options = () if arguments.torch_index is None else ("--index-url", arguments.torch_index)
        install(item, folder, options)
        return
    if arguments.action == "convert":
        from compbench_jax.foundation.convert import LICENCE_FILE, convert

        name = item.name if arguments.file is None else arguments.file.stem
        out = arguments.out or Path("runs") / name
        run_folder = convert(item.name, out, arguments.dir, arguments.file, arguments.head)
        print(f"{name} converted to {run_folder} (licences of the weights: {run_folder / LICENCE_FILE})")
        print(f"evaluate it with `python evaluate.py --run {run_folder} --task TASK --data DIR`")
        return
    print(foundation_path(item.name, arguments.dir))
