"""``compbench evaluate``, which ``evaluate.py`` is too: parse, load what is evaluated, rebuild the split, report."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from compbench_jax.runtime import prepare_process

if TYPE_CHECKING:
    from compbench_jax.evaluation.arguments import Arguments
    from compbench_jax.evaluation.evaluate import Evaluation
    from compbench_jax.evaluation.settings import Settings
    from compbench_jax.tasks import Task
    from compbench_jax.training.loaded_run import LoadedRun


def wire(words: Sequence[str] | None = None, prog: str = "python evaluate.py") -> None:
    """Parse the command line and evaluate what it names.

    Args:
        words: the command line without its program; None: that of this process.
        prog: what the help calls the program.
    """
    from compbench_jax.evaluation.arguments import parse, settings_of

    arguments = parse(sys.argv[1:] if words is None else words, prog)
    settings = settings_of(arguments)
    if arguments.run is None:
        evaluate_calculator(arguments, settings)
    elif arguments.benchmark:
        benchmark(arguments, settings)
    elif arguments.profile:
        profile(arguments, settings)
    elif arguments.with_controls:
        evaluate_with_controls(arguments, settings)
    else:
        evaluate_run(arguments, settings)


def evaluate_with_controls(arguments: "Arguments", settings: "Settings") -> None:
    """Evaluate a run and its controls, and print the gap between them."""
    from dataclasses import replace

    from rich.console import Console

    from compbench_jax.errors import RunError
    from compbench_jax.report.gap import controlled_runs, gap_of, gap_table
    from compbench_jax.report.runs import read_runs
    from compbench_jax.report.terminal import WIDTH
    from compbench_jax.tasks import CONTROLS
    from compbench_jax.training.run_folder import control_folder

    assert arguments.run is not None
    runs = [arguments.run, *(control_folder(arguments.run, kind) for kind in CONTROLS)]
    for run in runs:
        if not run.is_dir():
            raise RunError(f"{run} does not exist: train it with `python train.py --with-controls`")
    for run in runs:
        evaluate_run(replace(arguments, run=run, with_controls=False, split_out=None), settings)
        print()
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    for controlled in controlled_runs([results for _, results in read_runs(runs)]):
        console.print(gap_table(controlled, gap_of(controlled), console.width))


def evaluate_run(arguments: "Arguments", settings: "Settings") -> None:
    """Load the run, rebuild its split, evaluate, report."""
    # After the command line is known to be good, since these take seconds.
    from compbench_jax.evaluation.arguments import output_folder
    from compbench_jax.evaluation.ensemble import MEMBERS, evaluate_members
    from compbench_jax.evaluation.evaluate import PREDICTIONS, evaluate
    from compbench_jax.evaluation.inputs import check_split, ensure_audit, open_data, receptive_field, write_split
    from compbench_jax.evaluation.parallel import predictor_of
    from compbench_jax.report.terminal import Progress, report
    from compbench_jax.training.loaded_run import load_members, pick_member, with_precision

    assert arguments.run is not None
    members = [with_precision(item, arguments.precision) for item in load_members(arguments.run, arguments.which)]
    run = pick_member(members, arguments.run, arguments.member)
    for item in members:
        if item.stopped:
            print(
                f"note: ensemble member {item.member} stopped at step {item.stopped} of its training", file=sys.stderr
            )
    store = open_data(run, arguments.data, arguments.other_data)
    task = task_of(arguments, run)
    split = task.split(store)
    out = output_folder(arguments, run.config["task"], task.name)
    for line in check_split(arguments.run, run, store, split):
        print(line, file=sys.stderr)
    if arguments.split_out is not None:
        write_split(arguments.split_out, split)
    audit = ensure_audit(out, store, split, *receptive_field(run))
    with predictor_of(arguments.workers) as predictor, Progress() as progress:

        def evaluated(item: "LoadedRun") -> "Evaluation":
            return evaluate(item, store, split, settings, progress, predictor)

        if arguments.member is None and len(members) > 1:
            evaluation, others = evaluate_members(members, evaluated, store, settings)
            for name, other in others.items():
                other.write(out / MEMBERS / name)
        else:
            evaluation = evaluated(run)
    if arguments.uncertainty:
        from compbench_jax.evaluation.last_layer import with_last_layer

        evaluation = with_last_layer(evaluation, run, store, split, settings, arguments.run)
    evaluation.write(out)
    report(evaluation.results, out, {"predictions": out / PREDICTIONS, "audit": audit})


def task_of(arguments: "Arguments", run: "LoadedRun") -> "Task":
    """The task or split named on the command line, or the run's own; a converted run has none."""
    from compbench_jax.errors import RunError
    from compbench_jax.tasks import task_of_run

    assert arguments.run is not None
    name: str = arguments.task or (f"split({arguments.split})" if arguments.split else run.config["task"])
    if not name:
        raise RunError(f"{arguments.run} was converted, not trained on any task: give one with --task")
    return task_of_run(name, arguments.run, run.config["task"])


def evaluate_calculator(arguments: "Arguments", settings: "Settings") -> None:
    """Compute with the calculator in workers, evaluate, report."""
    from compbench_jax.calculators.pool import Timeouts
    from compbench_jax.calculators.spec import parse_spec
    from compbench_jax.evaluation.arguments import calculator_folder
    from compbench_jax.evaluation.parallel import processes
    from compbench_jax.foundation.install import foundation_spec

    if arguments.foundation is not None:
        spec = foundation_spec(arguments.foundation, arguments.foundation_dir)
    else:
        assert arguments.calculator is not None
        spec = parse_spec(
            arguments.calculator, arguments.calculator_kwargs, arguments.python, arguments.calculator_level
        )
    timeouts = Timeouts(arguments.timeout, arguments.start_timeout)
    workers = processes(arguments.workers)
    from compbench_jax.calculators.evaluate import Work, evaluate_calculator
    from compbench_jax.evaluation.evaluate import PREDICTIONS
    from compbench_jax.evaluation.inputs import ensure_audit, write_split
    from compbench_jax.report.calculators import print_calculator
    from compbench_jax.report.terminal import Progress, report
    from compbench_jax.splits.contacts import DEFAULT_CUTOFF
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import get_task
    from compbench_jax.training.run_folder import locked

    assert arguments.data is not None
    task = get_task(arguments.task or f"split({arguments.split})")
    store = open_store(arguments.data, checksums=True)
    split = task.split(store)
    out = calculator_folder(arguments, spec.name, task.name)
    work = Work(out / PREDICTIONS, workers, timeouts, arguments.retry_failed)
    with locked(out, "evaluating"):
        if arguments.split_out is not None:
            write_split(arguments.split_out, split)
        audit = ensure_audit(out, store, split, DEFAULT_CUTOFF)
        with Progress() as progress:
            try:
                evaluation = evaluate_calculator(spec, store, split, work, settings, progress)
            except KeyboardInterrupt:
                print("interrupted: run the same command to go on", file=sys.stderr)
                sys.exit(130)
        evaluation.write(out)
    print_calculator(evaluation.results, work.folder)
    report(evaluation.results, out, {"predictions": out / PREDICTIONS, "audit": audit})


def benchmark(arguments: "Arguments", settings: "Settings") -> None:
    """Time the batched evaluation of a run, and the loop over frames with its ASE calculator."""
    from compbench_jax.deploy.benchmark import benchmark, speed_lines
    from compbench_jax.evaluation.inputs import open_data
    from compbench_jax.evaluation.parallel import predictor_of, processes
    from compbench_jax.training.loaded_run import load_run, with_precision

    assert arguments.run is not None
    run = with_precision(load_run(arguments.run, arguments.which, arguments.member), arguments.precision)
    store = open_data(run, arguments.data, arguments.other_data)
    split = task_of(arguments, run).split(store)
    with predictor_of(arguments.workers) as predictor:
        speed = benchmark(run, store, split.ood_test, settings, predictor, processes(arguments.workers))
    for line in speed_lines(speed):
        print(line)


def profile(arguments: "Arguments", settings: "Settings") -> None:
    """Trace the evaluation of a few batches."""
    from compbench_jax.evaluation.inputs import open_data
    from compbench_jax.evaluation.profile import profile
    from compbench_jax.training.loaded_run import load_run, with_precision
    from compbench_jax.training.profile import FOLDER, how_to_open

    assert arguments.run is not None
    run = with_precision(load_run(arguments.run, arguments.which, arguments.member), arguments.precision)
    store = open_data(run, arguments.data, arguments.other_data)
    split = task_of(arguments, run).split(store)
    folder = arguments.run / FOLDER / "evaluation"
    batches = profile(run, store, split.ood_test, settings, folder)
    print(f"{batches} batches; {how_to_open(folder)}")


def main() -> None:
    """Entry point."""
    prepare_process()
    from compbench_jax.cli.exit_code import exit_code_of

    sys.exit(exit_code_of(wire))


if __name__ == "__main__":
    main()
