"""What ``evaluate.py`` and ``compbench-evaluate`` run: parse, load the run, rebuild its split, evaluate, report."""

import sys

from compbench_jax.runtime import prepare_process


def wire() -> None:
    """Parse the command line, load the run, rebuild its split, evaluate, report."""
    from compbench_jax.evaluation.arguments import output_folder, parse, settings_of

    arguments = parse(sys.argv[1:])
    settings = settings_of(arguments)
    # After the command line is known to be good, since these take seconds.
    from compbench_jax.evaluation.evaluate import PREDICTIONS, evaluate
    from compbench_jax.evaluation.inputs import check_split, ensure_audit, open_data, write_split
    from compbench_jax.evaluation.members import MEMBERS, evaluate_members
    from compbench_jax.evaluation.results import FILE, write_results
    from compbench_jax.report.terminal import Progress, report
    from compbench_jax.tasks import get_task
    from compbench_jax.training.checkpoint import load_members, load_run

    members = load_members(arguments.run, arguments.which)
    run = load_run(arguments.run, arguments.which, arguments.member)
    store = open_data(run, arguments.data, arguments.other_data)
    task = get_task(arguments.task or run.config["task"])
    split = task.split(store)
    out = output_folder(arguments, run.config["task"], task.name)
    for line in check_split(arguments.run, run, store, split):
        print(line, file=sys.stderr)
    if arguments.split_out is not None:
        write_split(arguments.split_out, split)
    audit = ensure_audit(out, run, store, split)
    with Progress() as progress:
        if arguments.member is None and len(members) > 1:
            evaluation, others = evaluate_members(
                members, lambda item: evaluate(item, store, split, settings, task.groups(store.graphs), progress)
            )
            for name, other in others.items():
                other.save_predictions(out / MEMBERS / name / PREDICTIONS)
                write_results(out / MEMBERS / name / FILE, other.results)
        else:
            evaluation = evaluate(run, store, split, settings, task.groups(store.graphs), progress)
    evaluation.save_predictions(out / PREDICTIONS)
    write_results(out / FILE, evaluation.results)
    report(evaluation.results, out, {"predictions": out / PREDICTIONS, "audit": audit})


def main() -> None:
    """Entry point."""
    prepare_process()
    from compbench_jax.cli.guard import guarded

    sys.exit(guarded(wire))
