"""Potentials in numbers: parameters, receptive field, arithmetic of one structure."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.packing import BatchShape
from compbench_jax.models.potential import Normalisation, Potential
from compbench_jax.models.registry import build_potential, n_parameters
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.store.frames import Frames, unlabelled

ELEMENTS = (1, 6, 7, 8)
"""Elements that parameters are counted for: those of the benchmark."""


@dataclass(frozen=True)
class Summary:
    """A potential in numbers.

    Attributes:
        parameters: trainable ones, for the elements H, C, N and O; None where the training data decide.
        cutoff: Å.
        layers: interactions, the receptive field in units of the cutoff.
        receptive_field: Å.
        flops: floating-point operations of energy and forces of hexane as traced, before XLA simplifies; None if not
            asked for, or where the training data decide.
        direct_forces: whether forces are, or can be, predicted instead of derived.
        fitted: in closed form instead of trained.
        citation: where it was published.
    """

    parameters: int | None
    cutoff: float
    layers: int
    receptive_field: float
    flops: float | None
    direct_forces: bool
    fitted: bool
    citation: str


def summarise(config: Any, flops: bool = False) -> Summary:
    """Count what a potential of this configuration is made of; nothing is compiled or computed.

    Args:
        config: of the potential, see :class:`compbench_jax.models.registry.ModelConfig`.
        flops: also trace energy and forces (seconds for a large network).
    """
    fitted = bool(getattr(config, "fitted", False))
    parameters, operations = None, None
    if not fitted:
        normalisation = Normalisation(ELEMENTS, (0.0,) * len(ELEMENTS), 1.0, 19.0)
        potential = build_potential(config, normalisation)
        graph = _graph(hexane(), potential)
        shapes = jax.eval_shape(potential.init, jax.random.key(0), graph)
        parameters = n_parameters(shapes)
        if flops:
            operations = _flops(potential, shapes, graph)
    return Summary(
        parameters=parameters,
        cutoff=config.cutoff,
        layers=round(config.receptive_field / config.cutoff),
        receptive_field=config.receptive_field,
        flops=operations,
        direct_forces=hasattr(config, "direct_forces"),
        fitted=fitted,
        citation=getattr(config, "citation", ""),
    )


def hexane() -> tuple[Frames, MolecularGraph]:
    """All-trans hexane with ideal bonds and angles (C–C 1.53 Å, C–H 1.09 Å, tetrahedral), 20 atoms; labels are zero."""
    half = np.arccos(-1 / 3) / 2
    along, across = 1.53 * np.sin(half), 1.53 * np.cos(half)
    carbons = np.array([[along * i, across * (i % 2), 0.0] for i in range(6)])
    positions, bonds = list(carbons), [(i, i + 1) for i in range(5)]
    for i, carbon in enumerate(carbons):
        side = 1.0 if i % 2 else -1.0
        directions = [np.array([0.0, side * np.cos(half), z * np.sin(half)]) for z in (1.0, -1.0)]
        if i in (0, 5):
            # Where the next carbon of the chain would be.
            directions.append(np.array([np.sin(half) * (1.0 if i else -1.0), -side * np.cos(half), 0.0]))
        for direction in directions:
            bonds.append((i, len(positions)))
            positions.append(carbon + 1.09 * direction)
    numbers = np.array([6] * 6 + [1] * 14, np.int32)
    frames = unlabelled(numbers, np.array(positions, np.float32), [20])
    record = Molecule("hexane", "CCCCCC", "VLKZOEOYAKHREP-UHFFFAOYSA-N", "C6H14")
    environments = np.repeat(numbers[:, None], 5, axis=1).astype(np.uint32)
    return frames, MolecularGraph(record, numbers, np.array(sorted(bonds), np.int32), environments)


def _graph(structure: tuple[Frames, MolecularGraph], potential: Potential) -> Any:
    """One structure as a batch, with a single padding node."""
    frames, molecule = structure
    settings: dict[str, Any] = {
        "elements": ELEMENTS,
        "reference_energies": potential.normalisation.reference_energies,
        "cutoff": potential.cutoff,
        "batch_size": 1,
        "graphs": [molecule] if potential.bonded else None,
        "triplets": potential.triplets,
    }
    dataset = GraphDataset.build(frames, **settings)
    exact = BatchShape(len(frames.numbers) + 1, int(dataset.edges.n_edges.sum()), 2)._replace(
        n_incoming=dataset.shape.n_incoming
    )
    dataset = GraphDataset.build(frames, **settings, shape=exact)
    return dataset.batch(dataset.sequential()[0])


def _flops(potential: Potential, shapes: Any, graph: Any) -> float | None:
    """Floating-point operations of energy and forces, by XLA's count of the program before it is optimised."""
    analysis: Any = jax.jit(potential.energy_and_forces).lower(shapes, graph).cost_analysis()
    return float(analysis["flops"]) if analysis and "flops" in analysis else None
