"""One training run, from its folder to its last checkpoint."""

import contextlib
import os
import platform
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from compbench_jax._version import __version__
from compbench_jax.batching.streamed import frame_sizes
from compbench_jax.errors import RunError
from compbench_jax.models.potential import Params, Potential
from compbench_jax.models.precision import cast_params, dtype_of, refuse_unprepared
from compbench_jax.models.registry import n_parameters
from compbench_jax.runtime import process_settings
from compbench_jax.splits.audit import audit_split, read_audit, write_audit
from compbench_jax.splits.split import Split
from compbench_jax.store.store import FrameStore
from compbench_jax.training import configuration as config_file
from compbench_jax.training import potential_file, prior, processes, run_folder
from compbench_jax.training import profile as profiling
from compbench_jax.training.batches import BatchSource
from compbench_jax.training.boards import open_boards
from compbench_jax.training.checkpoint import Checkpoint, Checkpoints, no_best
from compbench_jax.training.configuration import RunConfig, check
from compbench_jax.training.data import RunData, build_data, normalisation_of, stay_on_disk, streamed_normalisation
from compbench_jax.training.dispatch import make_program
from compbench_jax.training.fit import fit_run
from compbench_jax.training.log import FILE as LOG_FILE
from compbench_jax.training.log import RunLog, open_log
from compbench_jax.training.loss import Graphs
from compbench_jax.training.mesh import make_layout
from compbench_jax.training.optimiser import frozen_parameters, make_optimiser
from compbench_jax.training.progress import Display
from compbench_jax.training.start_from import carry_over, load_start, normalisation_from, refit_references
from compbench_jax.training.state import Cursor, initial_state, state_template
from compbench_jax.training.trainer import Trainer, Watcher, frame_names
from compbench_jax.training.validation import make_evaluator


def train_run(
    configuration: RunConfig,
    store: FrameStore,
    split: Split,
    run: Path,
    *,
    resume: bool = True,
    display: Display | None = None,
    watcher: Watcher | None = None,
    profile: bool = False,
    boards: tuple[str, ...] = (),
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
        watcher: looks at every validation and may stop the run, see :data:`compbench_jax.training.trainer.Watcher`.
        profile: trace a few steps into ``RUN/profile``, see :mod:`compbench_jax.training.profile`.
        boards: that are told the records of the log, names of :data:`compbench_jax.training.boards.BOARDS`.

    Returns:
        None, or the signal (SIGINT, SIGTERM) that stopped the run early, with a checkpoint written.

    Raises:
        RunError: a setting that cannot work, a folder that holds another run or is being written to, or a loss that is
            not finite (see :meth:`compbench_jax.training.trainer.Trainer.run`).
        DataError: frames that the potential cannot be trained on.
        OSError: the disk is full (errno ENOSPC); the last checkpoint is intact.
    """
    check(configuration)
    refuse_unprepared(configuration.precision)
    display = display or Display(quiet=not processes.is_first())
    fitted = getattr(configuration.model, "fitted", False)
    where = "host" if fitted else configuration.device.data
    on_disk = stay_on_disk(store, split.train, configuration.model.cutoff, where)
    if on_disk and configuration.prior != "none":
        raise RunError("--prior needs the frames in memory, and these stay on the disk: give --device.data host")
    # One process writes; the others read what it wrote.
    with run_folder.locked(run) if processes.is_first() else contextlib.nullcontext():
        if processes.is_first():
            run_folder.claim(run, configuration, resume)
            run_folder.write_split(run, store, split)
            prepare_prior(run, configuration, store, split, display)
        if configuration.prior != "none":
            processes.wait_for_all("the prior is ready")
            store = prior.labels_without(run, configuration, store, split)
        if processes.is_first():
            prepare_potential(run, configuration, store, split, display, on_disk)
        processes.wait_for_all("the run folder is ready")
        potential = replace(
            potential_file.read(run), precision=configuration.precision, remat=configuration.device.remat
        )
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
            on_disk,
            run,
        )
        if fitted:
            fit_run(configuration, run, potential, data, display, boards)
            return None
        return _train_prepared(configuration, store, split, run, potential, data, display, watcher, profile, boards)


def prepare_prior(run: Path, configuration: RunConfig, store: FrameStore, split: Split, display: Display) -> None:
    """Fit the prior, or take that of the run to start from, unless an earlier stretch of the run did."""
    if configuration.prior == "none" or prior.exists(run):
        return
    if configuration.init_from:
        start = Path(configuration.init_from)
        load_start(start, configuration.model, store, split, configuration.prior)  # refuses runs that do not fit
        prior.copy(start, run, np.unique(store.gather(split.train).numbers).tolist())
        display.say(f"prior     {configuration.prior}: that of {start}")
        return
    words = prior.fit(run, configuration, store, split)
    display.say(f"prior     {configuration.prior}: fitted to {len(split.train)} frames, {words}")


def prepare_potential(
    run: Path, configuration: RunConfig, store: FrameStore, split: Split, display: Display, on_disk: bool = False
) -> None:
    """Audit the split and fit the normalisation, or read what an earlier stretch of the run wrote.

    Edges of frames that stay on the disk are counted here, for all processes.
    """
    model = configuration.model
    if read_audit(run / run_folder.AUDIT_FILE) is None:
        layers = max(1, round(model.receptive_field / model.cutoff))
        audit = audit_split(store, split, cutoff=model.cutoff, layers=layers)
        write_audit(run / run_folder.AUDIT_FILE, audit)
        for failure in audit.failures:
            display.say(f"warning: the split is not sound: {failure}")
    if on_disk:
        sizes, _ = (frame_sizes(store, part, model.cutoff, run) for part in (split.train, split.validation))
    if not (run / potential_file.FILE).exists():
        normalisation = (
            streamed_normalisation(store, split.train, sizes)
            if on_disk
            else normalisation_of(store.gather(split.train), model.cutoff)
        )
        if configuration.init_from:
            start = load_start(Path(configuration.init_from), model, store, split, configuration.prior)
            # Weights by element that are normalised for a fixed number of elements do without the others.
            fixed = getattr(model, "element_fan_in", 0)
            present = {int(number) for graph in store.graphs for number in graph.numbers} if fixed else ()
            normalisation = normalisation_from(start, normalisation, present)
            if not start.config["task"]:  # converted from elsewhere
                normalisation = refit_references(start, normalisation, store, split.train)
        potential_file.write(run, model, normalisation)


def _train_prepared(
    configuration: RunConfig,
    store: FrameStore,
    split: Split,
    run: Path,
    potential: Potential,
    data: RunData,
    display: Display,
    watcher: Watcher | None,
    profile: bool,
    boards: tuple[str, ...],
) -> int | None:
    """Set up state and compiled functions, restore a checkpoint if there is one, and train."""
    members = configuration.members()
    layout = make_layout(configuration.device.mesh, len(members))

    def first_batch(seed: int) -> Graphs:
        return data.train.batch(data.train.epoch(seed, 0)[0])

    def initial(key: jax.Array, graph: Graphs) -> Params:
        return cast_params(potential.init(key, graph), configuration.precision)

    init = jax.jit(initial, compiler_options=quick_compilation())
    shapes = init.eval_shape(jax.random.key(0), first_batch(configuration.seed))
    optimiser = make_optimiser(configuration.optimiser, frozen_parameters(configuration.freeze, shapes))
    template = state_template(shapes, optimiser, len(members))
    checkpoints = Checkpoints(run)
    start = checkpoints.restore(template)
    if start is None:
        # Some potentials look at the frames they are made for: each member at the first batch of its own.
        params = [init(jax.random.key(member.seed), first_batch(member.seed)) for member in members]
        if configuration.init_from:
            begin = Path(configuration.init_from)
            loaded = load_start(begin, configuration.model, store, split, configuration.prior)
            kept = cast_params(loaded.params, configuration.precision)
            elements = loaded.potential.normalisation.elements, potential.normalisation.elements
            params = [carry_over(kept, item, *elements) for item in params]
        # Hosts may round differently; replicas of one parameter must not differ.
        params = processes.from_first(params)
        start = Checkpoint(initial_state(params, optimiser), (Cursor(0, 0),) * len(members), no_best(len(members)))
    step = int(start.state.step)
    source = BatchSource(data.train, configuration, layout)
    size = n_parameters(template.members.params) // len(members)
    announce(display, configuration, split, potential, data, source, size, step, run)
    log, seconds = RunLog(Path(os.devnull)), 0.0
    if processes.is_first():
        told = open_boards(boards if step < configuration.steps else (), run, config_file.to_json(configuration), step)
        log, seconds = open_log(run / LOG_FILE, step, told)
    if step >= configuration.steps:
        log.close()
        return None
    log.write("start", step, seconds=round(seconds, 3), **environment(source))
    molecules = [graph.molecule.name for graph in store.graphs]
    trainer = Trainer(
        configuration,
        layout,
        data,
        lambda rows: frame_names(split.train[rows], store.molecule, molecules),
        source,
        make_program(potential, optimiser, configuration, layout, source.fetch),
        make_evaluator(potential, layout),
        checkpoints,
        log,
        display,
        start,
        seconds,
        watcher,
        run / profiling.FOLDER if profile and processes.is_first() else None,
    )
    try:
        with display:
            stopped = trainer.run()
    finally:
        log.close()
    conclude(trainer, run, stopped)
    if trainer.profile is not None:
        display.say(profiling.how_to_open(trainer.profile))
    return stopped


def quick_compilation() -> dict[str, Any] | None:
    """Compiler options for a program that runs once: on a CPU, half the time of the compiler for the same bits (but for
    the last ones of GemNet's scaling factors, which are sums over a batch).

    Level 0 would take less still, but multiplies and adds in two roundings: other parameters for the same seed.
    """
    return {"xla_backend_optimization_level": 1} if jax.default_backend() == "cpu" else None


def announce(
    display: Display,
    configuration: RunConfig,
    split: Split,
    potential: Potential,
    data: RunData,
    source: BatchSource,
    parameters: int,
    step: int,
    run: Path,
) -> None:
    """Say what is about to happen."""
    device = jax.devices()[0]
    counts = ", ".join(f"{part} {len(frames)}" for part, frames in split.parts().items())
    plan = data.train.epoch(configuration.seed, 0)
    nodes, edges = data.train.padding(plan)
    plans = data.train.plans_per_epoch
    about = "about " if plans > 1 else ""
    shape = data.train.shape
    field = configuration.model.receptive_field
    display.say(f"task      {split.task}: frames {counts}")
    display.say(
        f"potential {configuration.preset}: {parameters:,} parameters, receptive field {field:g} Å "
        f"({round(field / potential.cutoff)} layers × {potential.cutoff:g} Å)"
    )
    display.say(
        f"batches   {about}{len(plan) * plans} per epoch, {configuration.batch_size} structures each, "
        f"padded to {shape.n_node} nodes and {shape.n_edge} edges ({100 * nodes:.1f}% and {100 * edges:.1f}% padding)"
    )
    where = device.device_kind if device.platform != "cpu" else f"CPU, {device.device_kind}"
    members, layout = configuration.members(), source.layout
    if len(members) > 1:
        rates = ", ".join(f"{rate:g}" for rate in dict.fromkeys(member.learning_rate for member in members))
        seeds = f"seeds {configuration.seed} to {configuration.seed + configuration.seeds - 1}"
        display.say(f"ensemble  {len(members)} trained together: {seeds}; learning rates {rates}")
    if layout.mesh is not None:
        where += f" × {layout.n_seed * layout.n_batch}: mesh seed {layout.n_seed} × batch {layout.n_batch}"
    steps = "1 step" if source.length == 1 else f"{source.length} steps"
    places = {"device": "kept there", "host": "sent batch by batch", "disk": "read from the disk batch by batch"}
    frames = places[source.where]
    display.say(f"device    {where}; frames {frames}, {steps} per dispatch; run folder {run}")
    if step >= configuration.steps:
        display.say(f"the run is complete at step {step}: evaluate it with `python evaluate.py --run {run}`")
    elif step:
        display.say(f"resuming at step {step} of {configuration.steps}")


def conclude(trainer: Trainer, run: Path, stopped: int | None) -> None:
    """Print the outcome."""
    display, best = trainer.display, trainer.best
    members = trainer.configuration.members()
    winner = int(np.argmin(best.loss))
    if stopped is not None:
        display.say(
            f"stopped by {signal.Signals(stopped).name} after step {trainer.step}, saved in {run}: "
            "run the same command to go on"
        )
        return
    if trainer.step < trainer.configuration.steps:
        why = "the watcher said so" if trainer.halted else f"no lower validation loss since {best.step.max()}"
        display.say(f"stopped early after step {trainer.step}: {why}")
    member = members[winner]
    which = (
        f" (ensemble member {winner}: seed {member.seed}, learning rate {member.learning_rate:g})"
        if len(members) > 1
        else ""
    )
    display.say(
        f"trained {trainer.step} steps in {trainer.clock.elapsed():.0f} s; best validation loss "
        f"{best.loss[winner]:.4g} at step {best.step[winner]}{which}: evaluate with "
        f"`python evaluate.py --run {run}`"
    )


def environment(source: BatchSource) -> dict[str, Any]:
    """Versions and devices, for the log."""
    return {
        "compbench_jax": __version__,
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": jax.devices()[0].device_kind,
        "mesh": [source.layout.n_seed, source.layout.n_batch],
        "processes": jax.process_count(),
        "steps_per_dispatch": source.length,
        "data": source.where,
        **process_settings(os.environ),
    }
