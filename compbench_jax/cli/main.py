"""The console script ``compbench``: everything that is neither training nor evaluation."""

import difflib
import importlib
import sys
from typing import Any

import tyro

from compbench_jax._version import __version__
from compbench_jax.cli.guard import guarded
from compbench_jax.errors import CompBenchError
from compbench_jax.runtime import prepare_process

MAP = {
    "molecules and data": {
        "molecules": "list the molecules of the registry",
        "generate": "make a store of labelled frames (GFN2-xTB Langevin dynamics)",
        "import": "make a store of frames in ASE .traj, extended XYZ, ASE .db or .npz files",
        "download": "fetch the official data set and import it",
        "relabel": "label the geometries of a store at another level of theory (DFT, any ASE calculator)",
        "verify": "check a store: sums, shapes, molecules, labels recomputed on a sample",
        "describe": "a store in figures: forces, energies, torsions, autocorrelation, coverage",
        "floor": "how small an error can mean anything: labels computed again, tighter, looser, cheaper",
    },
    "tasks": {
        "tasks": "list the tasks, what each tests, and its molecules in a store",
        "audit": "audit a task's split: divergence, coverage, novel environments and contacts",
    },
    "potentials": {
        "models": "list the potentials: parameters, receptive field, cost, citation",
        "tune": "search learning rate, weights and size of a potential (optuna, tuning frames only)",
        "bench": "train and evaluate a whole grid of potentials, tasks and seeds, resumed as often as it takes",
        "foundation": "foundation potentials: what they are, environments for them",
        "export": "a run's energies and forces as a program without its code; a store's frames as extended XYZ",
    },
    "answers": {
        "table": "one table from several results.json",
        "figure": "one figure from several results.json",
        "explain": "where the error of evaluated runs lives, and how far they see",
        "compare": "paired comparison of two evaluated runs: which is better, and is it sure",
        "gap": "the compositional gap of a task, from its runs and its controls'",
        "findings": "tables and figures of a whole grid, written into pages such as docs/findings.md",
        "dynamics": "trajectories, scans, vibrations and invariants of a run, beside the labels' level",
        "report": "pages to look at: leaderboard, tasks, models, worst frames; they open offline in a browser",
        "submit": "make a submission to the leaderboard from results",
        "validate": "check submissions to the leaderboard",
    },
}
"""Commands by what they are about, in the order of the work."""

COMMANDS = {name: text for commands in MAP.values() for name, text in commands.items()}

MODULES = {"import": "importing"}
"""Modules whose name is not the command's: ``import`` is a keyword."""

COMPUTING = ("tune", "dynamics")
"""Commands that compute with JAX for long: allocator and compilation cache are settled before it is imported."""


def usage() -> str:
    """The text of ``compbench --help``."""
    width = max(map(len, (*COMMANDS, "evaluate.py")))
    parts = [
        f"{title}\n" + "\n".join(f"  {name:<{width}}  {text}" for name, text in commands.items())
        for title, commands in MAP.items()
    ]
    programs = f"training and evaluation\n  {'train.py':<{width}}  python train.py --task TASK --data DIR model:NAME\n"
    programs += f"  {'evaluate.py':<{width}}  python evaluate.py --run RUN, or --calculator any ASE calculator"
    body = "\n\n".join([*parts[:2], programs, *parts[2:]])
    return (
        f"compbench {__version__}: has an interatomic potential learned chemistry, or does it interpolate?\n\n"
        f"usage: compbench COMMAND [options]      (compbench COMMAND --help explains one)\n\n{body}\n\n"
        "docs/getting-started.md begins with one task in five minutes."
    )


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
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(COMMANDS)}"
        raise CompBenchError(f"no such command {name!r}: {hint}")
    module: Any = importlib.import_module(f"compbench_jax.cli.{MODULES.get(name, name)}")
    if hasattr(module, "parse"):  # a command line that depends on the potentials
        module.run(module.parse(rest))
    else:
        module.run(tyro.cli(module.Arguments, prog=f"compbench {name}", args=rest))


def main() -> None:
    """Entry point of the console script."""
    if sys.argv[1:2] and sys.argv[1] in COMPUTING:
        prepare_process()
    sys.exit(guarded(lambda: run_command(sys.argv[1:])))


if __name__ == "__main__":
    main()
