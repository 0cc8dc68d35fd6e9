"""Trained potentials as an ASE calculator, for one molecule at a time: dynamics, relaxation, whatever ASE does."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from compbench_jax.batching.dataset import GraphDataset, symbol
from compbench_jax.batching.geometry import centred, refuse_overlapping, refuse_unresolved
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.batching.topology import Topology, topology_of
from compbench_jax.batching.triplets import most_incoming
from compbench_jax.deploy.forked import refuse_fork
from compbench_jax.deploy.skin import SkinList
from compbench_jax.errors import CompBenchError
from compbench_jax.evaluation.last_layer import make_features, read_rigidity, variances
from compbench_jax.models.potential import Potential
from compbench_jax.models.precision import dtype_of
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames, unlabelled
from compbench_jax.training.loaded_run import LoadedRun, load_run, with_precision

Run = str | Path | LoadedRun
FREE = 1.1
"""Room for more edges than the present geometry has, so that a molecule that folds does not compile at every step."""


class CompBenchCalculator(Calculator):
    """Energy and forces of a trained run, or the mean of several, with their standard deviation.

    ``results`` holds ``energy`` (total, eV: the reference energies of the atoms are added in float64), ``forces``
    (eV/Å ``[n_atoms, 3]``) and, of an ensemble, ``energy_std`` (eV) and ``forces_std`` (eV/Å ``[n_atoms, 3]``): the
    sample standard deviations (n − 1) over its members. With ``uncertainty``, ``energy_std`` of a single run is that of
    its last layer (:mod:`compbench_jax.evaluation.last_layer`).

    A pickled calculator is its arguments: whoever unpickles it loads the runs again from their folders. Threads may
    share one: they take turns (``atoms.get_forces()`` is whole; ``results`` is that of the last turn). In a process
    that was forked after JAX had started it says so.

    Args:
        run: folder of a run (or a run from ``load_run``).
        ensemble: further runs, for mean and standard deviation; usually the same potential with other seeds. Equal
            potentials are evaluated in one program.
        which: parameters of each run, ``"best"`` or ``"latest"``.
        skin: Å, of the neighbour list; it is searched again when an atom has moved half of this.
        graph: the molecule with its bonds in the order of the atoms, for potentials that are told bonds. Without it:
            perceived from the first geometry, which needs RDKit.
        uncertainty: give ``energy_std`` of a single run, which ``compbench evaluate --uncertainty`` has prepared.

    Attributes:
        compilations: programs compiled so far: one for each potential, and one more whenever a molecule needs larger
            arrays than any before it.

    Raises:
        RunError: a run is missing or damaged, or not prepared for ``uncertainty``.
        CompBenchError: an element that a run was not trained on, a periodic cell, no atoms, positions that are not
            finite or not resolved, atoms nearer than 0.2 Å to each other, a forked process, or a negative skin.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(
        self,
        run: Run,
        *,
        ensemble: Sequence[Run] = (),
        which: str = "best",
        skin: float = 0.5,
        graph: MolecularGraph | None = None,
        uncertainty: bool = False,
    ):
        super().__init__()
        refuse_fork()
        given = [item if isinstance(item, LoadedRun) else Path(item).absolute() for item in (run, *ensemble)]
        self._remade = (
            partial(type(self), ensemble=given[1:], which=which, skin=skin, graph=graph, uncertainty=uncertainty),
            (given[0],),
        )
        self._lock = threading.RLock()
        runs = [item if isinstance(item, LoadedRun) else with_precision(load_run(item, which)) for item in given]
        self._members = group_members(runs, skin, graph)
        self._n = len(runs)
        if uncertainty:
            if ensemble or isinstance(run, LoadedRun):
                raise CompBenchError("uncertainty is that of one run: give its folder, without an ensemble")
            self._members[0].rigidity = read_rigidity(Path(run))

    @property
    def compilations(self) -> int:
        """Programs compiled so far."""
        return sum(member.compilations for member in self._members)

    def __reduce__(self) -> tuple[Any, ...]:
        """The runs and settings that it was made of."""
        return self._remade

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True) -> Any:
        """As ASE does, one thread at a time: atoms and results of two must not mix."""
        refuse_fork()
        with self._lock:
            return super().get_property(name, atoms, allow_calculation)

    def calculate(
        self, atoms: Atoms | None = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        """Compute energy and forces (both always, since they come together)."""
        refuse_fork()
        with self._lock:
            self._calculate(atoms, properties, system_changes)

    def _calculate(self, atoms: Atoms | None, properties: Any, system_changes: Any) -> None:
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if not len(self.atoms):
            raise CompBenchError("the geometry has no atoms: give at least one")
        if self.atoms.pbc.any():
            raise CompBenchError("the potential is for isolated molecules: set atoms.pbc = False")
        answers = [member(self.atoms.numbers, self.atoms.positions) for member in self._members]
        energies = np.concatenate([energy for energy, _, _ in answers])
        forces = np.concatenate([force for _, force, _ in answers])
        energy = float(energies.mean())
        self.results = {"energy": energy, "free_energy": energy, "forces": forces.mean(axis=0)}
        if answers[0][2] is not None:
            self.results["energy_std"] = answers[0][2]
        if self._n > 1:
            self.results |= {"energy_std": float(energies.std(ddof=1)), "forces_std": forces.std(axis=0, ddof=1)}


class Members:
    """Runs of one and the same potential, evaluated together.

    Args:
        potential: of all of them, but for the reference energies.
        runs: the runs.
        skin: Å.
        graph: the molecule, or None to perceive it where the potential asks for bonds.

    Attributes:
        rigidity: matrix of :mod:`compbench_jax.evaluation.last_layer`, or None.
    """

    rigidity: np.ndarray | None = None

    def __init__(self, potential: Potential, runs: Sequence[LoadedRun], skin: float, graph: MolecularGraph | None):
        self.potential = potential
        self.compilations = 0
        self.references = np.array([run.potential.normalisation.reference_energies for run in runs], np.float64)
        self._params = jax.device_put(
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *[run.fast_params for run in runs])
        )
        self._list = SkinList(potential.cutoff, skin)
        self._graph, self._perceived = graph, (np.zeros(0, np.int32), graph)
        self._shape = BatchShape(0, 0, 2, 0)

        def step(params: Any, graph: Any) -> Any:
            self.compilations += 1  # runs when JAX traces, not when the program does
            energy, forces = jax.vmap(potential.energy_and_forces, in_axes=(0, None))(params, graph)
            if self.rigidity is None:
                return energy, forces, None
            return energy, forces, make_features(potential)(jax.tree.map(lambda x: x[0], params), graph)[:1]

        self._step = jax.jit(step)

    def __call__(self, numbers: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, float | None]:
        """Total energies, eV float64 ``[n_members]``, forces, eV/Å float64 ``[n_members, n_atoms, 3]``, and standard
        deviation of the energy of a single one, eV.
        """
        elements = np.array(self.potential.normalisation.elements)
        unknown = sorted(set(numbers.tolist()) - set(elements.tolist()))
        if unknown:
            raise CompBenchError(
                f"the potential knows {', '.join(map(symbol, elements))}, not {', '.join(map(symbol, unknown))}: "
                "take a run that was trained on a set with this element"
            )
        n_atoms, dtype = len(numbers), dtype_of(self.potential.precision)
        frames = unlabelled(numbers, np.asarray(positions, np.float64), [n_atoms])
        refuse_unresolved(frames)
        edges = self._list.edges(frames)
        refuse_overlapping(frames, edges)
        topology = self._topology(frames) if self.potential.needs_bonds else None
        bonds = None if topology is None else topology.neighbours
        frames = centred(frames, edges, dtype, whole=self.potential.long_range, bonds=bonds)
        incoming = most_incoming(edges.receivers) if self.potential.triplets else 0
        self._shape = grown(self._shape, n_atoms + 1, len(edges.senders), 2, incoming)
        species = np.searchsorted(elements, numbers)
        dataset = GraphDataset(
            frames=frames,
            edges=edges,
            elements=self.potential.normalisation.elements,
            species=species.astype(np.int32),
            reference=np.zeros(1),
            targets=np.zeros(1, dtype),
            cutoff=self.potential.cutoff,
            batch_size=1,
            shape=self._shape,
            topology=topology,
        )
        answer = self._step(self._params, dataset.batch(Packed(self._shape, np.array([0]))))
        energy, forces, features = jax.device_get(answer)
        spread = None
        if features is not None and self.rigidity is not None:
            spread = float(variances(features.astype(np.float64), self.rigidity)[0] ** 0.5)
        totals = energy[:, 0].astype(np.float64) + self.references[:, species].sum(axis=1)
        return totals, forces[:, :n_atoms].astype(np.float64), spread

    def _topology(self, frames: Frames) -> Topology:
        """Bonds of the molecule: given, or perceived once."""
        graph = self._graph
        if graph is None:
            known, graph = self._perceived
            if graph is None or not np.array_equal(known, frames.numbers):
                from compbench_jax.molecules.identify import identify

                graph = identify(frames.numbers, frames.positions).graph
                self._perceived = np.array(frames.numbers), graph
        elif not np.array_equal(graph.numbers, frames.numbers):
            raise CompBenchError(
                f"the graph given is {graph.molecule.name}'s, with other atoms or another order than the geometry: "
                "make a calculator for each molecule"
            )
        return topology_of(frames, [graph])


def grown(shape: BatchShape, n_node: int, n_edge: int, n_graph: int, n_incoming: int) -> BatchShape:
    """A shape with room for these sizes, never less than there was: each new shape is a compilation."""

    def room(now: int, needed: int, free: float, step: int) -> int:
        return now if needed <= now else -(-round(free * needed) // step) * step

    return BatchShape(
        room(shape.n_node, n_node, 1.0, 8),
        room(shape.n_edge, max(1, n_edge), FREE, 64),
        max(shape.n_graph, n_graph),
        room(shape.n_incoming, n_incoming, FREE, 4),
    )


def group_members(runs: Sequence[LoadedRun], skin: float, graph: MolecularGraph | None) -> list[Members]:
    """Runs whose potentials are equal but for the reference energies together, in the order of first occurrence."""
    groups: list[tuple[Potential, list[LoadedRun]]] = []
    for run in runs:
        for potential, members in groups:
            if same_program(potential, run.potential) and shapes_of(members[0]) == shapes_of(run):
                members.append(run)
                break
        else:
            groups.append((run.potential, [run]))
    return [Members(potential, members, skin, graph) for potential, members in groups]


def same_program(a: Potential, b: Potential) -> bool:
    """Whether two potentials differ in nothing that a compiled program depends on.

    Scale and average neighbours are constants of the program: a run trained on other frames needs its own.
    """
    return without_references(a) == without_references(b)


def shapes_of(run: LoadedRun) -> list[tuple[int, ...]]:
    """Shapes of a run's parameters: priors that were fitted to other molecules have other tables."""
    return [np.shape(leaf) for leaf in jax.tree.leaves(run.params)]


def without_references(potential: Potential) -> Potential:
    """The potential with its reference energies, which are added outside the program, taken out."""
    return replace(potential, normalisation=replace(potential.normalisation, reference_energies=()))
