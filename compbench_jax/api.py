"""The library in Python: data, tasks, training, evaluation and use of potentials in a few lines.

Everything here is a name of :mod:`compbench_jax` itself, imported when it is first used::

    import compbench_jax as cb

    data = cb.load_data("data/mini")
    run = cb.train("schnet", data, "chain_extension", out="runs/first", steps=500)
    result = cb.evaluate(run, data, "chain_extension")
    print(result)                                     # the ID/OOD table
    result["ood"]["force_mae"]["value"]               # eV/Å
    atoms.calc = cb.Calculator(run)                   # ASE
    energies, forces = cb.load_potential(run).predict([atoms])
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator as AseCalculator
from rich.console import Console

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.geometry import centred, refuse_overlapping, refuse_unresolved
from compbench_jax.batching.neighbours import neighbour_lists
from compbench_jax.batching.topology import given_graphs, topology_of
from compbench_jax.calculators.evaluate import levels
from compbench_jax.deploy import weights
from compbench_jax.deploy.ase_calculator import CompBenchCalculator as Calculator
from compbench_jax.dynamics.energy_function import energy_function
from compbench_jax.errors import CompBenchError, RunError, suggestion
from compbench_jax.evaluation.derived import Derived
from compbench_jax.evaluation.evaluate import Evaluation, chosen_frames, evaluation_of
from compbench_jax.evaluation.evaluate import evaluate as evaluate_loaded
from compbench_jax.evaluation.inputs import ensure_audit
from compbench_jax.evaluation.model_under_test import ModelUnderTest
from compbench_jax.evaluation.predict import Predictions, predict
from compbench_jax.evaluation.result_file import read_result
from compbench_jax.evaluation.score import score
from compbench_jax.evaluation.sets import step_of
from compbench_jax.evaluation.settings import Settings
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.models.precision import dtype_of
from compbench_jax.models.registry import MODELS, check_own, own_preset
from compbench_jax.models.registry import presets as known_presets
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.report.table import metric_table
from compbench_jax.splits.contacts import DEFAULT_CUTOFF
from compbench_jax.splits.split import Split
from compbench_jax.splits.task import Task
from compbench_jax.store.frames import unlabelled
from compbench_jax.store.store import FrameStore as Data
from compbench_jax.store.store import open_store
from compbench_jax.tasks import ALL_TASKS as TASKS
from compbench_jax.tasks import get_task, task_of_run
from compbench_jax.training.boards import board_names
from compbench_jax.training.configuration import RunConfig
from compbench_jax.training.loaded_run import LoadedRun, load_run
from compbench_jax.training.run import train_run
from compbench_jax.training.run_folder import default_folder
from compbench_jax.training.settings import OptimiserSettings

__all__ = [
    "MODELS",
    "TASKS",
    "Calculator",
    "Data",
    "Evaluation",
    "Potential",
    "Result",
    "evaluate",
    "get_task",
    "load_data",
    "load_potential",
    "load_result",
    "split",
    "train",
]


class Result(Derived):
    """The result of an evaluation: a mapping of metrics, intervals and breakdowns; printed, it is the ID/OOD table.

    ``result["ood"]["force_mae"]`` has ``value``, ``low`` and ``high`` in eV/Å, ``result["by_element"]["ood"]["C"]`` the
    same for one group; docs/results.md lists all entries.
    """

    def __str__(self) -> str:
        text = io.StringIO()
        Console(file=text, width=104, highlight=False, force_jupyter=False, force_terminal=False).print(
            metric_table(self)
        )
        return text.getvalue().rstrip()

    def records(self) -> list[dict[str, Any]]:
        """Every metric of every set and group as a flat dictionary, ready for a data frame; units as in ``METRICS``."""
        rows = []
        for part in ("id", "ood", "ratio"):
            blocks = {"all": {"all": self[part]}}
            blocks |= {key: self[key][part] for key in self if key.startswith("by_") and part in self[key]}
            for by, groups in blocks.items():
                for group, block in groups.items():
                    for metric in METRICS:
                        if metric in block:
                            item = {key: block[metric][key] for key in ("value", "low", "high")}
                            rows.append({"set": part, "by": by, "group": group, "metric": metric, **item})
        return rows


def load_result(path: str | Path) -> Result:
    """The result in a ``results.json``, given the file or its folder.

    Raises:
        RunError: there is none, or it is damaged.
    """
    return Result(read_result(path))


def load_data(path: str | Path) -> Data:
    """The data set in a folder, its checksums compared.

    Raises:
        DataError: there is none, or it is damaged.
    """
    return open_store(path, checksums=True)


def split(data: Data, task: str | Task) -> Split:
    """Indices of the frames that a task trains and tests on.

    Raises:
        TaskError: no such task, or the data set lacks its molecules.
    """
    return as_task(task).split(data)


def as_task(task: str | Task) -> Task:
    """A task, given it or its name."""
    return get_task(task) if isinstance(task, str) else task


def train(
    model: str | Any,
    data: Data,
    task: str | Task,
    *,
    out: str | Path | None = None,
    steps: int = 2000,
    batch_size: int = 8,
    seed: int = 0,
    learning_rate: float | None = None,
    resume: bool = True,
    log: str = "",
    **settings: Any,
) -> Path:
    """Train a potential on a task, or go on where a run in the same folder stopped.

    Args:
        model: a name of ``MODELS`` (``"mace"``), a configuration (``replace(MODELS["mace"], channels=64)``), or a
            potential of one's own: ``"my_model.py:MyConfig"``, or a configuration of a class in a file.
        data: the data set.
        task: the task, or its name.
        out: folder of the run; by default ``runs/TASK-MODEL-seedN``.
        steps: optimiser steps.
        batch_size: mean number of structures a batch.
        seed: of initial parameters and batch order.
        learning_rate: peak; by default the preset's.
        resume: go on with a run that the folder holds already; otherwise that is an error.
        log: boards that are told the records of the run's log: ``"tensorboard"``, ``"wandb"`` or both with a comma.
        settings: further fields of :class:`compbench_jax.training.configuration.RunConfig`, such as
            ``loss=LossSettings(energy_weight=2.0)``.

    Returns:
        the folder of the run.

    Raises:
        RunError: a setting that cannot work, a folder that holds another run, or training that was interrupted.
        DataError: frames that the potential cannot be trained on.
    """
    presets = known_presets()
    if isinstance(model, str) and ".py" in model:
        model = own_preset(model)
    if isinstance(model, str):
        if model not in presets:
            raise RunError(f"there is no model {model!r}: {suggestion(model, presets)}")
        preset, model = model, presets[model]
    else:
        check_own(model)
        preset = model.kind
    chosen = as_task(task)
    if learning_rate is not None:
        settings["optimiser"] = replace(settings.get("optimiser", OptimiserSettings()), learning_rate=learning_rate)
    configuration = RunConfig(
        chosen.name, str(data.path), data.hash, preset, model, seed, steps, batch_size, **settings
    )
    run = Path(out) if out is not None else default_folder(chosen.name, preset, seed, configuration.prior)
    stopped = train_run(configuration, data, chosen.split(data), run, resume=resume, boards=board_names(log))
    if stopped is not None:
        raise RunError(f"training was interrupted (signal {stopped}): call again with the same arguments to go on")
    return run


def evaluate(
    potential: str | Path | LoadedRun | AseCalculator,
    data: Data,
    task: str | Task | None = None,
    *,
    out: str | Path | None = None,
    name: str | None = None,
    level: str | None = None,
    max_frames: int | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Result:
    """Evaluate a potential on the ID and the OOD test set of a task.

    Args:
        potential: folder of a run, a loaded run, or any ASE calculator, which is called frame by frame in this process
            (``compbench evaluate --calculator`` runs it in processes of its own and survives its crashes).
        data: the data set.
        task: the task, or its name; by default the run's own.
        out: folder to write ``results.json``, predictions and the audit to, as ``compbench evaluate`` does; by default
            nothing is written.
        name: of a calculator, in tables; by default the name of its class.
        level: of theory of a calculator, such as ``"PBE0/def2-TZVP"``.
        max_frames: most frames of each test set, evenly over its molecules.
        progress: called with the number of frames done, and of frames in all.

    Raises:
        RunError: no run, no task, or no finite prediction.
        DataError: an element that the potential does not know.
    """
    settings = Settings(max_frames=max_frames)
    if isinstance(potential, AseCalculator) and not isinstance(potential, Calculator):
        if task is None:
            raise RunError("a calculator has no task of its own: give one")
        parts = as_task(task).split(data)
        found = evaluate_ase(potential, data, parts, settings, name or type(potential).__name__, level, progress)
        cutoff = DEFAULT_CUTOFF
    else:
        if isinstance(potential, Calculator):
            raise RunError("give the folder of the run itself, not its calculator: that is a hundred times faster")
        run = potential if isinstance(potential, LoadedRun) else load_run(potential)
        trained_on = run.config["task"]
        if isinstance(potential, str | Path) and (task is None or isinstance(task, str)):
            task = task_of_run(task or trained_on, Path(potential), trained_on)
        parts = as_task(task or trained_on).split(data)
        found = evaluate_loaded(run, data, parts, settings, progress)
        cutoff = run.potential.cutoff
    if out is not None:
        ensure_audit(Path(out), data, parts, cutoff)
        found.write(Path(out))
    return Result(found.results.result)


def evaluate_ase(
    calculator: AseCalculator,
    data: Data,
    parts: Split,
    settings: Settings,
    name: str,
    level: str | None,
    progress: Callable[[int, int], Any] | None,
) -> Evaluation:
    """The evaluation of an ASE calculator, frame by frame. A frame that it refuses is left out, and counted."""
    indices = chosen_frames(data, parts, settings)
    reasons: dict[int, str] = {}
    total, done = sum(map(len, indices.values())), 0
    predictions = {}
    for part, frames in indices.items():
        labels = data.gather(frames)
        energy, forces = np.full(len(frames), np.nan), np.full(labels.forces.shape, np.nan, np.float32)
        for k, frame in enumerate(frames):
            rows = slice(int(labels.offsets[k]), int(labels.offsets[k + 1]))
            atoms = Atoms(labels.numbers[rows], np.array(labels.positions[rows], np.float64), calculator=calculator)
            try:
                energy[k], forces[rows] = atoms.get_potential_energy(), atoms.get_forces()
            except Exception as error:  # calculators raise whatever they like
                reasons[int(frame)] = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            done += 1
            if progress is not None:
                progress(done, total)
        predictions[part] = Predictions(energy, forces)
    if len(reasons) == total:
        raise RunError(f"the calculator computed no frame: {next(iter(reasons.values()))}")
    config = {
        "task": parts.task,
        "data_hash": data.hash,
        "preset": name,
        "seed": 0,
        "model": {"kind": "calculator", "name": name},
        "max_frames": settings.max_frames,
    }
    tested = ModelUnderTest(name, 0, config, more={"levels": levels(data, level)})
    return evaluation_of(
        score(data, indices, predictions), tested, data, parts, indices, predictions, settings.seed, reasons
    )


@dataclass(frozen=True, eq=False)
class Potential:
    """A trained potential, ready to predict.

    Attributes:
        run: the loaded run.
    """

    run: LoadedRun

    def predict(
        self, structures: Sequence[Atoms], graphs: Sequence[MolecularGraph] | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Energies and forces of molecules, in padded batches through one compiled program.

        Args:
            structures: of the elements that the potential was trained on, without periodic cells.
            graphs: of each the molecule with its bonds in the order of its atoms, for potentials that are told bonds.
                Without them: perceived from each geometry, which needs RDKit.

        Returns:
            total energies, eV, float64 ``[n]``, and for each structure its forces, eV/Å, float32 ``[n_atoms, 3]``.

        Raises:
            CompBenchError: an unknown element, a periodic cell, overlapping atoms, or bonds that are needed but not
                known.
        """
        if not len(structures):
            return np.zeros(0), []
        for k, atoms in enumerate(structures):
            if atoms.pbc.any() or not len(atoms):
                raise CompBenchError(f"structure {k} has a periodic cell or no atoms: only molecules are supported")
        sizes = [len(atoms) for atoms in structures]
        potential, normalisation = self.run.potential, self.run.potential.normalisation
        dtype = dtype_of(potential.precision)
        positions = np.concatenate([atoms.positions for atoms in structures])
        frames = unlabelled(np.concatenate([atoms.numbers for atoms in structures]), positions, sizes)
        refuse_unresolved(frames)
        edges = neighbour_lists(frames, potential.cutoff)
        refuse_overlapping(frames, edges)
        known = given_graphs(frames, graphs) if potential.needs_bonds else None
        bonds = None if known is None else topology_of(frames, known).neighbours
        dataset = GraphDataset.build(
            centred(frames, edges, dtype, whole=potential.long_range, bonds=bonds),
            elements=normalisation.elements,
            reference_energies=normalisation.reference_energies,
            cutoff=potential.cutoff,
            batch_size=min(64, len(sizes)),
            triplets=potential.triplets,
            graphs=known,
            dtype=dtype,
        )
        found = predict(step_of(potential), self.run.fast_params, dataset)
        return found.energy, np.split(found.forces, frames.offsets[1:-1])

    def energy_function(self, atoms: Atoms, graph: MolecularGraph | None = None) -> Callable[..., jax.Array]:
        """``energy(positions)`` in JAX, see :func:`compbench_jax.dynamics.energy_function.energy_function`."""
        return energy_function(self.run, atoms, graph)

    def calculator(self) -> Calculator:
        """The same as an ASE calculator, for one molecule at a time."""
        return Calculator(self.run)


def load_potential(run: str | Path, which: str = "best", member: int | None = None) -> Potential:
    """The potential that a run trained.

    Args:
        run: folder of the run, or a name of ``compbench weights list``.
        which: ``"best"`` or ``"latest"`` parameters.
        member: which of the run's members, from 0; None: the one with the lowest validation loss.

    Raises:
        RunError: no such run or member, or no checkpoint that can be read.
    """
    if isinstance(run, str) and run in weights.names():
        return Potential(weights.load(run))
    return Potential(load_run(run, which, member))
