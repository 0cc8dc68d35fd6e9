"""The console script ``compbench``."""

import importlib
import sys
from typing import Any

import tyro

from compbench_jax._version import __version__
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.errors import CompBenchError, suggestion
from compbench_jax.runtime import prepare_process

MAP = {
    "molecules and data": {
        "molecules": "list the molecules of the registry",
        "generate": "make a data set of labelled frames (GFN2-xTB Langevin dynamics)",
        "import": "make a data set of frames in files of ASE, extended XYZ, .npz, HDF5 (SPICE) or LMDB (OMol25)",
        "download": "fetch the official data set and import it",
        "relabel": "label the geometries of a data set at another level of theory (DFT, any ASE calculator)",
        "verify": "check a data set: checksums, shapes, molecules, labels recomputed on a sample",
        "describe": "statistics of a data set: forces, energies, torsions, autocorrelation, coverage",
        "label-noise": "labels computed again, tighter, looser, cheaper",
    },
    "tasks": {
        "tasks": "list the tasks, what each tests, and its molecules in a data set",
        "split": "make a split of one's own: by molecules, families or frames",
        "audit": "audit a task's split: divergence, coverage, unseen environments and contacts",
    },
    "training and evaluation": {
        "train": "train a potential on a task (python train.py is the same)",
        "evaluate": "evaluate a run, any ASE calculator or a foundation potential (python evaluate.py is the same)",
    },
    "potentials": {
        "models": "list the potentials: parameters, receptive field, cost, citation",
        "tune": "search learning rate, weights and size of a potential (optuna, tuning frames only)",
        "bench": "train and evaluate a whole grid of potentials, tasks and seeds; resumable",
        "weights": "trained potentials that come with the package: list, unpack",
        "foundation": "foundation potentials: list, install, convert",
        "export": "a run's energies and forces as a program without its code; a data set as extended XYZ or LMDB",
    },
    "results": {
        "table": "one table from several results.json",
        "figure": "one figure from several results.json",
        "explain": "error breakdown of evaluated runs, and their receptive field",
        "compare": "paired comparison of two evaluated runs: is the difference significant",
        "gap": "the compositional gap of a task, from its runs and its controls'",
        "findings": "tables and figures of a whole grid, written into pages such as docs/findings.md",
        "dynamics": "trajectories, scans, vibrations and invariants of a run, compared with the labels' level",
        "report": "web pages that open offline: leaderboard, tasks, models, worst frames",
        "submit": "make a submission to the leaderboard from results",
        "validate": "check submissions to the leaderboard",
    },
}
"""Commands by what they are about, in the order of the work."""

COMMANDS = {name: text for commands in MAP.values() for name, text in commands.items()}

MODULES = {"import": "importing", "label-noise": "label_noise"}
"""Modules whose name is not the command's."""

COMPUTING = ("train", "evaluate", "tune", "dynamics")
"""Commands that compute with JAX for long: allocator and compilation cache are settled before it is imported."""


def usage() -> str:
    """The text of ``compbench --help``."""
    width = max(map(len, COMMANDS))
    parts = [
        f"{title}\n" + "\n".join(f"  {name:<{width}}  {text}" for name, text in commands.items())
        for title, commands in MAP.items()
    ]
    body = "\n\n".join(parts)
    return (
        f"compbench {__version__}: has an interatomic potential learned chemistry, or does it interpolate?\n\n"
        f"usage: compbench COMMAND [options]      (compbench COMMAND --help explains one)\n\n{body}\n\n"
        "docs/getting-started.md begins with one task in five minutes."
    )


def commands_in_markdown() -> str:
    """The commands as lists, for a page."""
    parts = [
        f"**{title[0].upper()}{title[1:]}**\n\n" + "\n".join(f"- `{name}`: {text}" for name, text in commands.items())
        for title, commands in MAP.items()
    ]
    return "\n\n".join(parts)


def run_command(arguments: list[str]) -> None:
    """Parse and run one command line (without the program's name).

    Raises:
        CompBenchError: no such command.
    """
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return
    if arguments[0] == "--version":
        print(__version__)
        return
    name, rest = arguments[0], arguments[1:]
    if name not in COMMANDS:
        raise CompBenchError(f"no such command {name!r}: {suggestion(name, COMMANDS)}")
    module: Any = importlib.import_module(f"compbench_jax.cli.{MODULES.get(name, name)}")
    if name in ("train", "evaluate"):
        module.wire(rest, f"compbench {name}")
    elif hasattr(module, "parse"):  # a command line that depends on the potentials
        module.run(module.parse(rest))
    else:
        module.run(tyro.cli(module.Arguments, prog=f"compbench {name}", args=rest))


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] and sys.argv[1] in COMPUTING:
        prepare_process()
    sys.exit(exit_code_of(lambda: run_command(sys.argv[1:])))


if __name__ == "__main__":
    main()
