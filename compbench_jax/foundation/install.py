"""Virtual environments for foundation potentials."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compbench_jax.calculators.spec import CalculatorSpec, find_python
from compbench_jax.errors import CompBenchError, DataError
from compbench_jax.files import read_json, write_atomically
from compbench_jax.foundation.registry import Foundation, get_foundation

TORCH = "torch==2.13.0"
"""Installed first and alone: left to a dependency, pip may take a build with gigabytes of CUDA libraries."""

MARKER = "compbench-foundation.json"
"""Written into an environment when it is complete."""

FOLDER_VARIABLE = "COMPBENCH_FOUNDATION_DIR"


def foundation_folder(name: str, folder: Path | None = None, variables: Mapping[str, str] | None = None) -> Path:
    """Folder of a foundation potential's environment: as given, or in the user's data folder.

    The variable ``COMPBENCH_FOUNDATION_DIR`` names another place for all of them.
    """
    if folder is not None:
        return folder.absolute()
    variables = os.environ if variables is None else variables
    if variables.get(FOLDER_VARIABLE):
        return Path(variables[FOLDER_VARIABLE]).absolute() / name
    base = variables.get("XDG_DATA_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".local" / "share"
    return root / "compbench_jax" / "foundation" / name


def is_installed(folder: Path, item: Foundation) -> bool:
    """Whether this folder holds a complete environment of these very packages."""
    try:
        found = read_json(folder / MARKER)
        return bool(found["name"] == item.name and found["packages"] == [TORCH, *item.packages])
    except (DataError, KeyError, TypeError):
        return False


def install(
    item: Foundation,
    folder: Path,
    pip_options: tuple[str, ...] = (),
    say: Callable[[str], Any] = print,
    run: Callable[[list[str]], Any] | None = None,
) -> None:
    """Make the environment of a foundation potential; one that was interrupted is completed.

    Args:
        item: which.
        folder: of the virtual environment.
        pip_options: for the installation of torch (an index with builds for the CPU only, say).
        say: told each step.
        run: runs a command; a failing one raises.

    Raises:
        CompBenchError: the folder holds something else, or pip failed.
    """
    if is_installed(folder, item):
        say(f"{item.name} is installed in {folder}")
        return
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").is_file():
        raise CompBenchError(f"{folder} is not empty and no virtual environment: give another --dir")
    run = run or run_command
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    say(f"making {folder}")
    run([sys.executable, "-m", "venv", str(folder)])
    say(f"installing {TORCH}")
    run([*pip, *pip_options, TORCH])
    say(f"installing {', '.join(item.packages)}")
    # torch again as a requirement: no dependency may put another build in its place.
    run([*pip, TORCH, *item.packages])
    content = {"name": item.name, "packages": [TORCH, *item.packages]}
    write_atomically(folder / MARKER, (json.dumps(content) + "\n").encode())
    say(f"{item.name} is installed in {folder}")
    if item.fetches:
        say(f"the first use downloads {item.fetches}")


def run_command(command: list[str]) -> None:
    """Run a command to its end, its output going where ours does.

    Raises:
        CompBenchError: it failed.
    """
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CompBenchError(
            f"`{' '.join(command)}` failed ({error.__class__.__name__}): see its output above; the same command goes on"
        ) from error


def foundation_path(name: str, folder: Path | None = None) -> Path:
    """The interpreter of the environment that was installed for a foundation potential.

    Raises:
        CompBenchError: no such potential, or it is not installed.
    """
    where = foundation_folder(name, folder)
    if not is_installed(where, get_foundation(name)):
        place = f" --dir {folder}" if folder is not None else ""
        raise CompBenchError(f"{name} is not installed in {where}: run `compbench foundation install {name}{place}`")
    return find_python(where)


def foundation_spec(name: str, folder: Path | None = None) -> CalculatorSpec:
    """The calculator of a foundation potential, in the environment that was installed for it.

    Raises:
        CompBenchError: no such potential, it is not installed, or it has no weights of its own.
    """
    item, python = get_foundation(name), foundation_path(name, folder)
    where = foundation_folder(name, folder)
    if item.checkpoint:
        raise CompBenchError(
            f"{name} has no weights of its own: name a file with `--calculator {item.calculator} --python {where} "
            f'--calculator-kwargs \'{{"{item.checkpoint}": "FILE"}}\'`'
        )
    path = item.calculator
    if path.partition(":")[0].endswith(".py"):
        path = str(Path(__file__).with_name(path.partition(":")[0])) + ":" + path.partition(":")[2]
    return CalculatorSpec(
        name,
        path,
        item.keywords,
        str(python),
        item.level,
        item.numbers,
        item.distributions,
        item.info,
        remedy=f"install it again: remove {where}, then `compbench foundation install {name}`",
        about={
            "level": item.level,
            "trained_on": item.trained_on,
            "energies": item.energies,
            "licence": item.licence,
            "citation": item.citation,
        },
    )
