"""One training run, from its folder to its last checkpoint."""

import platform
import signal
from dataclasses import replace
from pathlib import Path

import jax

from compbench_jax import __version__
from compbench_jax.models.potential import Params, Potential
from compbench_jax.models.precision import cast_params, dtype_of, refuse_unprepared
from compbench_jax.models.registry import n_parameters
from compbench_jax.splits.audit import audit_split, write_audit
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training import potential_file, run_folder
from compbench_jax.training.checkpoint import NO_BEST, Checkpoint, Checkpoints
from compbench_jax.training.configuration import Configuration, check
from compbench_jax.training.data import RunData, build_data, normalisation_of
from compbench_jax.training.fit import fit_run
from compbench_jax.training.log import FILE as LOG_FILE
from compbench_jax.training.log import open_log
from compbench_jax.training.loop import Parts, Progress, frame_names, train
from compbench_jax.training.loss import Graphs
from compbench_jax.training.optimiser import make_optimiser
from compbench_jax.training.progress import Display
from compbench_jax.training.state import Cursor, initial_state, state_template
from compbench_jax.training.step import make_train_step
from compbench_jax.training.validation import make_evaluator


def train_run(
    configuration: Configuration,
    store: FrameStore,
    split: Split,
    run: Path,
    *,
    resume: bool = True,
    display: Display | None = None,
) -> int | None:
    """Train a potential, or go on where a run in the same folder with the same configuration stopped.

    A potential with a closed form is fitted (:mod:`compbench_jax.training.fit`).

    Args:
        configuration: of the run.
        store: where the frames are.
        split: the task's split of them.
        run: folder of the run, made if need be.
        resume: go on with a run that the folder holds already; otherwise that is an error.
        display: what the terminal shows.

    Returns:
        None, or the signal (SIGINT, SIGTERM) that stopped the run early, with a checkpoint written.

    Raises:
        RunError: a setting that cannot work, a folder that holds another run or is being written to, or a loss that is
            not finite (see :func:`compbench_jax.training.loop.train`).
        DataError: frames that the potential cannot be trained on.
        OSError: the disk is full (errno ENOSPC); the last checkpoint is intact.
    """
    check(configuration)
    refuse_unprepared(configuration.precision)
    display = display or Display()
    with run_folder.locked(run):
        run_folder.claim(run, configuration, resume)
        run_folder.write_split(run, store, split)
        potential = prepare_potential(run, configuration, store, split, display)
        data = build_data(
            store,
            split,
            potential.normalisation,
            potential.cutoff,
            configuration.batch_size,
            configuration.watch.monitor_frames,
            potential.triplets,
            potential.bonded,
            dtype_of(configuration.precision),
        )
        if getattr(configuration.model, "fitted", False):
            fit_run(configuration, run, potential, data, display)
            return None
        return _train_prepared(configuration, store, split, run, potential, data, display)


def prepare_potential(
    run: Path, configuration: Configuration, store: FrameStore, split: Split, display: Display
) -> Potential:
    """Audit the split and fit the normalisation, or read what an earlier stretch of the run wrote."""
    model = configuration.model
    if not (run / run_folder.AUDIT_FILE).exists():
        layers = max(1, round(model.receptive_field / model.cutoff))
        audit = audit_split(store, split, cutoff=model.cutoff, layers=layers)
        write_audit(run / run_folder.AUDIT_FILE, audit)
        for failure in audit.failures:
            display.say(f"warning: the split is not sound: {failure}")
    if not (run / potential_file.FILE).exists():
        normalisation = normalisation_of(store.gather(split.train), model.cutoff)
        potential_file.write(run, model, normalisation)
    return replace(potential_file.read(run), precision=configuration.precision)


def _train_prepared(
    configuration: Configuration,
    store: FrameStore,
    split: Split,
    run: Path,
    potential: Potential,
    data: RunData,
    display: Display,
) -> int | None:
    """Set up state and compiled functions, restore a checkpoint if there is one, and train."""
    optimiser = make_optimiser(configuration.optimiser, configuration.steps)
    example = data.train.batch(data.train.epoch(configuration.seed, 0)[0])

    def initial(key: jax.Array, graph: Graphs) -> Params:
        return cast_params(potential.init(key, graph), configuration.precision)

    template = state_template(jax.eval_shape(initial, jax.random.key(0), example), optimiser)
    checkpoints = Checkpoints(run)
    start = checkpoints.restore(template)
    if start is None:
        params = jax.jit(initial)(jax.random.key(configuration.seed), example)
        start = Checkpoint(initial_state(params, optimiser), Cursor(0, 0), NO_BEST)
    step = int(start.state.step)
    announce(display, configuration, split, potential, data, n_parameters(template.params), step, run)
    log, seconds = open_log(run / LOG_FILE, step)
    if step >= configuration.steps:
        log.close()
        return None
    log.write("start", step, seconds=round(seconds, 3), **environment())
    names = frame_names(split.train, store.molecule, [graph.molecule.name for graph in store.graphs])
    parts = Parts(
        configuration,
        data,
        names,
        make_train_step(potential, optimiser, configuration),
        make_evaluator(potential),
        checkpoints,
        log,
        display,
    )
    progress = Progress(jax.device_put(start.state), step, start.cursor, start.best, seconds)
    try:
        with display:
            stopped = train(parts, progress)
    finally:
        log.close()
    conclude(display, progress, run, stopped)
    return stopped


def announce(
    display: Display,
    configuration: Configuration,
    split: Split,
    potential: Potential,
    data: RunData,
    parameters: int,
    step: int,
    run: Path,
) -> None:
    """Say what is about to happen."""
    device = jax.devices()[0]
    counts = ", ".join(f"{part} {len(frames)}" for part, frames in split.parts().items())
    plan = data.train.epoch(configuration.seed, 0)
    nodes, edges = data.train.padding(plan)
    shape = data.train.shape
    reach = configuration.model.receptive_field
    display.say(f"task      {split.task}: frames {counts}")
    display.say(
        f"potential {configuration.preset}: {parameters:,} parameters, receptive field {reach:g} Å "
        f"({round(reach / potential.cutoff)} layers × {potential.cutoff:g} Å)"
    )
    display.say(
        f"batches   {len(plan)} an epoch, {configuration.batch_size} structures each, padded to {shape.n_node} nodes "
        f"and {shape.n_edge} edges ({100 * nodes:.1f}% and {100 * edges:.1f}% padding)"
    )
    where = device.device_kind if device.platform != "cpu" else f"CPU, {device.device_kind}"
    display.say(f"device    {where}; run folder {run}")
    if step >= configuration.steps:
        display.say(f"the run is complete at step {step}: evaluate it with `python evaluate.py --run {run}`")
    elif step:
        display.say(f"resuming at step {step} of {configuration.steps}")


def conclude(display: Display, progress: Progress, run: Path, stopped: int | None) -> None:
    """Say how it ended."""
    if stopped is not None:
        display.say(
            f"stopped by {signal.Signals(stopped).name} after step {progress.step}, saved in {run}: "
            "run the same command to go on"
        )
    else:
        display.say(
            f"trained {progress.step} steps in {progress.elapsed():.0f} s; best validation loss "
            f"{progress.best.loss:.4g} at step {progress.best.step}: evaluate with `python evaluate.py --run {run}`"
        )


def environment() -> dict[str, str]:
    """Versions and device, for the log."""
    return {
        "compbench_jax": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
    }
