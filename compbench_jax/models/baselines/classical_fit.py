"""Parameters of the classical force field: one linear least-squares problem with a ridge, in float64.

Energies and forces are linear in the coefficients, so that the sum of squares over all training frames is a quadratic
form: the normal equations are added up batch by batch and solved once for each strength of the ridge. The strength is
the one with the lowest sum of squares on the validation frames, as validation chooses the checkpoint of a network.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.errors import DataError
from compbench_jax.models.baselines.classical import FUNCTIONS, LEVELS, N_FUNCTIONS, N_LEVELS, Classical
from compbench_jax.models.potential import Params, bonds_of

RIDGES = tuple(10.0**power for power in range(-9, 1))
"""Strengths tried: of the elements' level, in units of what the training frames say of a coefficient by itself."""


FINER = 100.0
"""How much harder the ridge holds each finer level of typing. Levels overlap: all that a coarse type can explain a
finer one could as well, and would be lost on molecules whose finer types are new. At 1 the ridge shares it among the
levels; validation frames, of known molecules, prefer 100 by a little."""

QUICK = {"xla_backend_optimization_level": 0}
"""Compiling takes longer than running here."""


@dataclass
class Normal:
    """Normal equations AᵀA w = Aᵀy of a set of frames, and yᵀy.

    Attributes:
        matrix: ``[n, n]``.
        vector: ``[n]``.
        square: yᵀy.
    """

    matrix: np.ndarray
    vector: np.ndarray
    square: float

    def residual(self, coefficients: np.ndarray) -> float:
        """‖A w − y‖²."""
        return float(coefficients @ self.matrix @ coefficients - 2 * self.vector @ coefficients + self.square)


def fit_classical(
    module: Classical, train: GraphDataset, validation: GraphDataset, energy_weight: float
) -> tuple[Params, str]:
    """Coefficients that fit energies and forces of the training frames best.

    Args:
        module: the force field.
        train: frames to fit, with their topology.
        validation: frames that choose the strength of the ridge.
        energy_weight: weight of an energy (eV per molecule) relative to a force component (eV/Å).

    Returns:
        the parameters, float32, and a line about the fit.

    Raises:
        DataError: the frames come without bonds.
    """
    if train.topology is None:
        raise DataError("the classical force field needs the bonds of the molecules: build the data set with graphs")
    with jax.enable_x64(True):
        known = learn_types(module, train)
        blocks = column_blocks(known)
        derivatives = jax.jit(partial(_derivatives, module, known), compiler_options=QUICK)
        of_train = normal_equations(derivatives, blocks, train, energy_weight)
        of_validation = normal_equations(derivatives, blocks, validation, energy_weight)
    # In units of each function's own size, so that the ridge holds all of a level alike.
    size = np.sqrt(np.maximum(np.diag(of_train.matrix), 1e-12 * np.diag(of_train.matrix).max()))
    size *= np.sqrt(FINER) ** levels_of(blocks)
    values, basis = np.linalg.eigh(of_train.matrix / size[:, None] / size)
    projected = basis.T @ (of_train.vector / size)
    tried = {ridge: basis @ (projected / (np.maximum(values, 0) + ridge)) / size for ridge in RIDGES}
    losses = {ridge: of_validation.residual(coefficients) for ridge, coefficients in tried.items()}
    best = min(losses, key=losses.__getitem__)
    params: dict[str, np.ndarray] = {name: value.astype(np.int32) for name, value in known.items()}
    for name, (start, count) in blocks.items():
        width = N_FUNCTIONS[name.split("_")[0]]
        coefficients = tried[best][start : start + count * width].reshape(count, width)
        params[name] = (coefficients / module.scale).astype(np.float32)
    return {"params": params}, f"{len(size)} coefficients, ridge {best:g} chosen on the validation frames"


def learn_types(module: Classical, dataset: GraphDataset) -> dict[str, np.ndarray]:
    """The tables of types that occur in frames, see :class:`compbench_jax.models.baselines.classical.Classical`."""
    batches = list(_batches(dataset))
    known = {
        f"atom_{level}": np.unique(np.concatenate([b.nodes["keys"][: _real_nodes(b), level - 1] for b in batches]))
        for level in range(1, N_LEVELS)
    }
    counts = [len(module.elements), *(len(known[f"atom_{level}"]) for level in range(1, N_LEVELS))]
    ends: list[list[np.ndarray]] = [[] for _ in range(N_LEVELS)]
    for b in batches:
        bonds = bonds_of(b, b.nodes["positions"])
        present = np.asarray(bonds.present)
        for level, types in enumerate(module.atom_types(known, jnp.asarray(b.nodes["species"]), bonds)):
            outer, centre = np.asarray(types)[b.nodes["neighbours"]], np.asarray(types)[:, None]
            ends[level].append(np.stack(np.broadcast_arrays(outer, centre), axis=-1)[present])
    for level, found in enumerate(ends):
        known[f"into_{level}"] = number_types(np.concatenate(found), (counts[level] + 1,) * 2, either_order=False)
    directions = [n_types(known[f"into_{level}"]) for level in range(N_LEVELS)]
    terms = jax.jit(partial(_terms, module), compiler_options=QUICK)
    met: dict[tuple[str, int], list[np.ndarray]] = {}
    for b in batches:
        for kind, (item, _) in terms(known, b).items():
            real = np.asarray(item.weight) > 0
            for level, keys in zip(LEVELS[kind], item.keys, strict=True):
                parts = np.stack([np.asarray(key)[real] for key in keys], axis=-1)
                met.setdefault((kind, level), []).append(np.unique(parts, axis=0))
    for (kind, level), found in met.items():
        size = (counts if kind in ("bond", "pair") else directions)[level] + 1
        shape = (2, size, size) if kind == "pair" else (size, size)
        known[f"{kind}_{level}_types"] = number_types(np.concatenate(found), shape, either_order=True)
    return known


def number_types(found: np.ndarray, shape: tuple[int, ...], either_order: bool) -> np.ndarray:
    """Number the different rows of ``found [n, k]``: int32 table of k dimensions, their count where there is no type.

    Args:
        found: places in the table.
        shape: of the table.
        either_order: rows that differ in the order of their last two entries are the same type.
    """
    if either_order:
        found = np.concatenate([found[:, :-2], np.sort(found[:, -2:], axis=1)], axis=1)
    rows = np.unique(found, axis=0)
    table = np.full(shape, len(rows), np.int32)
    table[tuple(rows.T)] = np.arange(len(rows))
    if either_order:
        table[tuple(np.concatenate([rows[:, :-2], rows[:, :-3:-1]], axis=1).T)] = np.arange(len(rows))
    return table


def n_types(table: np.ndarray) -> int:
    """How many types a table numbers; the types that training never met, its last row among them, have that number."""
    return int(np.max(table))


def column_blocks(known: dict[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """First column and number of types of every kind and level, by ``KIND_LEVEL``."""
    blocks, start = {}, 0
    for kind, levels in LEVELS.items():
        for level in levels:
            count = n_types(known[f"{kind}_{level}_types"])
            blocks[f"{kind}_{level}"] = (start, count)
            start += count * N_FUNCTIONS[kind]
    return blocks


def levels_of(blocks: dict[str, tuple[int, int]]) -> np.ndarray:
    """Level of every column."""
    widths = {name: count * N_FUNCTIONS[name.split("_")[0]] for name, (_, count) in blocks.items()}
    return np.concatenate([np.full(width, int(name.split("_")[1])) for name, width in widths.items()])


def normal_equations(
    derivatives: Callable[[Any], Any], blocks: dict[str, tuple[int, int]], dataset: GraphDataset, energy_weight: float
) -> Normal:
    """Sum over all frames of a set; ``derivatives`` is :func:`_derivatives` of a batch."""
    n_columns = max((start + n * N_FUNCTIONS[name.split("_")[0]] for name, (start, n) in blocks.items()), default=0)
    total = Normal(np.zeros((n_columns, n_columns)), np.zeros(n_columns), 0.0)
    for batch in _batches(dataset):
        rows, targets = _rows(derivatives(batch), blocks, batch, n_columns, energy_weight)
        total.matrix += rows.T @ rows
        total.vector += rows.T @ targets
        total.square += float(targets @ targets)
    return total


def _batches(dataset: GraphDataset) -> Iterator[Any]:
    """Every frame once, positions in float64."""
    for item in dataset.sequential():
        graph = dataset.batch(item)
        yield graph._replace(nodes={**graph.nodes, "positions": graph.nodes["positions"].astype(np.float64)})


def _real_nodes(graph: Any) -> int:
    """Nodes of a batch before its padding."""
    return int(graph.n_node[graph.globals["frame"] >= 0].sum())


def _terms(module: Classical, known: Any, graph: Any) -> Any:
    positions = graph.nodes["positions"]
    vectors = positions[graph.receivers] - positions[graph.senders]
    bonds = bonds_of(graph, positions)
    return module.terms(known, vectors, graph.nodes["species"], graph.senders, graph.receivers, bonds)


def _derivatives(module: Classical, known: Any, graph: Any) -> Any:
    """Terms of each kind with their functions ``[n, k]``, the derivatives by their vectors, and their types."""
    found = {}
    for kind, (terms, constants) in _terms(module, known, graph).items():
        function = FUNCTIONS[kind]

        def single(vectors: jax.Array, constant: jax.Array, function: Any = function) -> jax.Array:
            return function(vectors[None], constant[None])[0]

        places = [
            jnp.asarray(known[f"{kind}_{level}_types"])[keys]
            for level, keys in zip(LEVELS[kind], terms.keys, strict=True)
        ]
        gradient = jax.vmap(jax.jacfwd(single))(terms.vectors, constants)
        found[kind] = (terms, function(terms.vectors, constants), gradient, places)
    return found


def _rows(
    found: Any, blocks: dict[str, tuple[int, int]], graph: Any, n_columns: int, energy_weight: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the least-squares problem of one batch, first energies, then force components, and their targets."""
    n_graph, n_node = int((graph.globals["frame"] >= 0).sum()), _real_nodes(graph)
    owner = np.repeat(np.arange(len(graph.n_node)), graph.n_node)
    root = np.sqrt(energy_weight)
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # values, rows, columns

    def add(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        shape = np.broadcast_shapes(values.shape, rows.shape, columns.shape)
        entries.append(tuple(np.broadcast_to(x, shape).ravel() for x in (values, rows, columns)))  # type: ignore

    for kind, (terms, values, gradient, places) in found.items():
        real = np.flatnonzero(np.asarray(terms.weight) > 0)
        weight = np.asarray(terms.weight)[real]
        values = np.asarray(values)[real] * weight[:, None]
        gradient = np.asarray(gradient)[real] * weight[:, None, None, None]  # [term, function, vector, 3]
        graphs = owner[np.asarray(terms.owner)[real]]
        # F = −∂E/∂r, and a vector is head − tail.
        ends = ((np.asarray(terms.heads)[real], -gradient), (np.asarray(terms.tails)[real], gradient))
        for level, place in zip(LEVELS[kind], places, strict=True):
            start, count = blocks[f"{kind}_{level}"]
            place = np.asarray(place)[real]
            kept = np.flatnonzero(place < count)
            columns = start + place[kept, None] * N_FUNCTIONS[kind] + np.arange(N_FUNCTIONS[kind])
            add(root * values[kept], graphs[kept, None], columns)
            for nodes, push in ends:
                rows = n_graph + 3 * nodes[kept][:, None, :, None] + np.arange(3)
                add(push[kept], rows, columns[:, :, None, None])
    data, rows, columns = (np.concatenate(parts) for parts in zip(*entries, strict=True))
    # Duplicates are summed, as they should be.
    matrix = scipy.sparse.coo_matrix((data, (rows, columns)), (n_graph + 3 * n_node, n_columns)).toarray()
    targets = np.concatenate([root * graph.globals["energy"][:n_graph], graph.nodes["forces"][:n_node].ravel()])
    return matrix, targets.astype(np.float64)
