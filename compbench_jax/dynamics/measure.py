"""All of it for one run: which molecules, what is known already, the reference, the potential, the file."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase.units import fs

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.dynamics import results
from compbench_jax.dynamics.engine import Engine
from compbench_jax.dynamics.invariants import extensivity, force_field_figures, locality
from compbench_jax.dynamics.modes import modes
from compbench_jax.dynamics.nve import compare_trajectories
from compbench_jax.dynamics.reference_work import Reference, Report
from compbench_jax.dynamics.scans import scan_figures
from compbench_jax.dynamics.settings import NEED_REFERENCE, PROPERTIES, SCANS, Settings
from compbench_jax.dynamics.start import Start, choose
from compbench_jax.dynamics.system import System, species_of
from compbench_jax.dynamics.trajectory import Trajectory
from compbench_jax.dynamics.verlet import integrate
from compbench_jax.evaluation import provenance
from compbench_jax.evaluation.inputs import receptive_field
from compbench_jax.evaluation.model_under_test import model_under_test
from compbench_jax.evaluation.predict import make_step, predict
from compbench_jax.labelling.executors import Executor
from compbench_jax.labelling.levels import Level
from compbench_jax.models.precision import dtype_of
from compbench_jax.splits.split import Split
from compbench_jax.store.frames import unlabelled
from compbench_jax.store.store import FrameStore
from compbench_jax.training.loaded_run import LoadedRun

FOLDER = "dynamics"
"""Next to ``dynamics.json``: the trajectories of the potential."""

BATCH = 16
"""Points of scans that are predicted at once."""

Values = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Item:
    """A molecule that something has to be measured of."""

    part: str
    start: Start


def _starts(items: Sequence[Item]) -> list[Start]:
    return [item.start for item in items]


class Measurement:
    """What is known of one run's dynamics, and how to learn the rest.

    Args:
        run: the run, JAX prepared for its precision.
        store: where the frames are.
        split: their sets.
        settings: what to measure.
        level: of the reference, which must be that of the labels for errors to be the potential's alone; None without.
        out: folder of ``dynamics.json``; what it holds of the same run, data and settings is kept.
        cache: folder of the reference's results.
        executor: who computes the reference.
        report: of progress.

    Raises:
        DataError: a molecule with an element that the potential does not know.
    """

    def __init__(
        self,
        run: LoadedRun,
        store: FrameStore,
        split: Split,
        settings: Settings,
        level: Level | None,
        out: Path,
        cache: Path,
        executor: Executor,
        report: Report,
    ):
        self.run, self.settings, self.level, self.out, self.report = run, settings, level, out, report
        self.reference = Reference(level, cache, executor, report, hessian="modes" in settings.properties)
        self.engine = Engine(run.potential, run.params)
        layers = receptive_field(run)
        self.receptive_field = layers[0] * layers[1]
        self.fingerprint = fingerprint(run)
        self.items: list[Item] = []
        for part, frames in (("id", split.id_test), ("ood", split.ood_test)):
            starts = choose(store, frames, settings.molecules, settings.seed, settings.temperature)
            self.items += [Item(part, start) for start in starts]
        species_of(run.potential, [item.start.graph for item in self.items])  # refuses unknown elements at once
        self.results = self._known(store, split)

    def measure(self) -> dict[str, Any]:
        """Measure what is asked for and not known yet, writing the file after each property; returns its contents."""
        wanted = [
            name
            for name in PROPERTIES
            if name in self.settings.properties and (name not in NEED_REFERENCE or self.level is not None)
        ]
        prepared = False
        for name in wanted:
            block, missing = self._block(name), self._missing(name)
            if missing:
                if name in NEED_REFERENCE and not prepared:
                    needing = [other for other in wanted if other in NEED_REFERENCE]
                    self.reference.prepare({other: _starts(self._missing(other)) for other in needing})
                    prepared = True
                self.report(name, 0, len(missing))
                for item, values in zip(missing, self._of(name)(missing), strict=True):
                    block[item.part][item.start.key] = values
            results.write(self.out / results.FILE, self.results)
        return results.read(self.out)

    def _missing(self, name: str) -> list[Item]:
        """Molecules of which a property is not known, or whose reference failed."""
        block, failed = self._block(name), {"reference_failed": ""}
        return [item for item in self.items if "reference_failed" in block[item.part].get(item.start.key, failed)]

    def _of(self, name: str) -> Callable[[Sequence[Item]], list[Values]]:
        if name in SCANS:
            return lambda items: self._scan(name, items)
        return {
            "nve": self._nve,
            "modes": self._modes,
            "curl": self._curl,
            "extensivity": lambda items: extensivity(self.engine, self._molecules(items), self.receptive_field),
            "locality": lambda items: locality(self.engine, self._molecules(items), self.receptive_field),
        }[name]

    def _known(self, store: FrameStore, split: Split) -> dict[str, Any]:
        """The file as it will be, with what an earlier one holds of the same potential, task and data."""
        tested, config = model_under_test(self.run), dict(self.run.config)
        fresh: dict[str, Any] = {
            "schema_version": results.SCHEMA_VERSION,
            "task": split.task,
            "model": tested.name,
            "seed": tested.seed,
            "data": store.hash,
            "parameters": self.fingerprint,
            "checkpoint_step": tested.step,
            "config": config,
            "level": None if self.level is None else self.level.describe(),
            "labels": dict(store.manifest.level),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
            "date": provenance.now(),
            "molecules": {
                part: {item.start.key: item.start.describe() for item in self.items if item.part == part}
                for part in results.PARTS
            },
            "properties": {},
        }
        if (self.out / results.FILE).exists():
            old = results.read(self.out)
            if all(old.get(key) == fresh[key] for key in ("task", "data", "parameters")):
                fresh["properties"] = old["properties"]
                for part in results.PARTS:
                    fresh["molecules"][part] = {**old["molecules"][part], **fresh["molecules"][part]}
        return fresh

    def _block(self, name: str) -> dict[str, Any]:
        """Values of a property by test set and InChIKey: those known, if they were measured with the same settings."""
        settings = self.settings.of(name)
        if name == "nve":
            settings["degrees_of_freedom"] = "3N - 6"  # earlier versions took 3N for temperatures
        if name == "nve" or name in NEED_REFERENCE:
            settings["level"] = None if self.level is None else self.level.describe()
        settings = json.loads(json.dumps(settings))
        block = self.results["properties"].get(name)
        if block is None or block.get("settings") != settings:
            block = {"settings": settings, "id": {}, "ood": {}}
            self.results["properties"][name] = block
        return block

    def _molecules(self, items: Sequence[Item]) -> list[tuple[Any, np.ndarray]]:
        return [(item.start.graph, item.start.positions) for item in items]

    def _curl(self, items: Sequence[Item]) -> list[Values]:
        system = System(self.run.potential, [item.start.graph for item in items])
        forces, jacobians = self.engine.jacobians(system, system.centred([item.start.positions for item in items]))
        return [dict(force_field_figures(f, j)) for f, j in zip(forces, jacobians, strict=True)]

    def _nve(self, items: Sequence[Item]) -> list[Values]:
        settings = self.settings
        references: list[Any] = [None] * len(items)
        if self.level is not None:
            references = self.reference.trajectories(
                _starts(items), settings.time_step * fs, settings.stride, settings.records
            )
        system = System(self.run.potential, [item.start.graph for item in items])
        name = hashlib.sha256(
            json.dumps([self.fingerprint, settings.of("nve"), [item.start.key for item in items]]).encode()
        )
        trajectory = integrate(
            self.engine,
            system,
            system.centred([item.start.positions for item in items]),
            np.concatenate([item.start.velocities for item in items]),
            np.concatenate([item.start.masses for item in items]),
            time_step=settings.time_step * fs,
            stride=settings.stride,
            records=settings.records,
            path=self.out / FOLDER / f"trajectory-{name.hexdigest()[:16]}.npz",
            progress=lambda done, total: self.report("trajectories, records", done, total),
        )
        times = settings.spacing / 1000.0 * np.arange(settings.records + 1)
        found = []
        for k, (item, reference) in enumerate(zip(items, references, strict=True)):
            atoms = slice(int(system.offsets[k]), int(system.offsets[k + 1]))
            truth = Trajectory(**reference) if isinstance(reference, dict) else None
            values = compare_trajectories(item.start.graph, times, trajectory, k, atoms, truth)
            if isinstance(reference, str):
                values["reference_failed"] = reference
            found.append(values)
        return found

    def _modes(self, items: Sequence[Item]) -> list[Values]:
        minima = self.reference.minima(_starts(items))
        found: list[Values] = [{"reference_failed": minimum} for minimum in minima]
        good = [(k, minimum) for k, minimum in enumerate(minima) if isinstance(minimum, dict)]
        if good:
            graphs = [items[k].start.graph for k, _ in good]
            at, hessians = ([minimum[name] for _, minimum in good] for name in ("positions", "hessian"))
            for (k, _), values in zip(good, modes(self.engine, graphs, at, hessians), strict=True):
                found[k] = values
        return found

    def _scan(self, name: str, items: Sequence[Item]) -> list[Values]:
        scans, found = self.reference.scans(name, _starts(items))
        if not scans:
            return found
        references = self.reference.points(_starts(items), scans, name)
        predictions = self._predict([(items[k].start.graph, path.positions) for k, path in scans.items()])
        for (k, path), truth, (energy, forces) in zip(scans.items(), references, predictions, strict=True):
            if isinstance(truth, str):
                found[k] = {"reference_failed": truth}
            else:
                graph = items[k].start.graph
                found[k] = scan_figures(graph, path, energy, forces, truth["energy"], truth["forces"])
        return found

    def _predict(self, scans: Sequence[tuple[Any, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
        """Energies, eV ``[n_points]``, and forces, eV/Å ``[n_points, n_atoms, 3]``, of the points of each scan."""
        potential = self.run.potential
        counts = np.array([graph.n_atoms for graph, points in scans for _ in points])
        positions = [(at - at.mean(axis=0)).astype(dtype_of(potential.precision)) for _, ats in scans for at in ats]
        numbers = np.concatenate([graph.numbers for graph, points in scans for _ in points])
        owner = np.repeat(np.arange(len(scans), dtype=np.int32), [len(points) for _, points in scans])
        frames = unlabelled(numbers, np.concatenate(positions), counts, owner)
        dataset = GraphDataset.build(
            frames,
            elements=potential.normalisation.elements,
            reference_energies=potential.normalisation.reference_energies,
            cutoff=potential.cutoff,
            batch_size=BATCH,
            graphs=[graph for graph, _ in scans] if potential.needs_bonds else None,
            triplets=potential.triplets,
            dtype=dtype_of(potential.precision),
        )
        found = predict(make_step(potential), self.engine.params, dataset)
        energies = np.split(found.energy, np.cumsum([len(points) for _, points in scans])[:-1])
        forces = np.split(found.forces, np.cumsum([points.shape[0] * points.shape[1] for _, points in scans])[:-1])
        return [
            (energy, force.reshape(points.shape).astype(np.float64))
            for energy, force, (_, points) in zip(energies, forces, scans, strict=True)
        ]


def fingerprint(run: LoadedRun) -> str:
    """A hash of a run's parameters and of what they are parameters of."""
    key = hashlib.sha256(json.dumps([run.config["model"], run.step, run.potential.precision]).encode())
    key.update(repr(run.potential.normalisation).encode())
    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(run.params)):
        key.update(jax.tree_util.keystr(path).encode() + np.ascontiguousarray(leaf).tobytes())
    return key.hexdigest()
