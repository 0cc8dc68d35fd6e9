"""Per-frame sums against loops over frames, atoms and components."""

import jax
import jax.numpy as jnp
import jraph
import numpy as np
import pytest

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.metrics.sums import ATOM_COLUMNS, COLUMNS, accumulate, atom_terms, empty_table, frame_sums
from compbench_jax.store.frames import Frames, offsets_of

GARBAGE = 1e30
SUMS = jax.jit(frame_sums)
SIZES = (3, 1, 7, 2, 5, 4, 6, 1, 8)


def ragged_set(seed: int = 0) -> GraphDataset:
    """Random frames; frame 2 has an atom without force and frame 4 one with next to none."""
    rng = np.random.default_rng(seed)
    total = sum(SIZES)
    offsets = offsets_of(SIZES)
    forces = rng.normal(0, 1, (total, 3)).astype(np.float32)
    forces[offsets[2] + 1] = 0.0
    forces[offsets[4]] = 5e-9
    forces[offsets[5]] = 1e-6  # small, yet it has a direction
    frames = Frames(
        numbers=np.full(total, 6, np.int32),
        positions=rng.uniform(0, 6, (total, 3)).astype(np.float32),
        forces=forces,
        energy=rng.normal(0, 2, len(SIZES)),
        molecule=np.arange(len(SIZES), dtype=np.int32),
        offsets=offsets,
    )
    return GraphDataset.build(frames, elements=(6,), reference_energies=(0.0,), cutoff=3.0, batch_size=3)


def predictions(dataset: GraphDataset, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Predicted energies ``[n_frames]`` and forces ``[n_atoms, 3]``; one force is zero, frame 3 is nearly exact."""
    rng = np.random.default_rng(seed)
    forces = dataset.frames.forces + rng.normal(0, 0.2, dataset.frames.forces.shape)
    energy = dataset.targets + rng.normal(0, 0.5, dataset.n_frames)
    forces[dataset.frames.offsets[6] + 2] = 0.0
    rows = slice(*dataset.frames.offsets[[3, 4]])
    forces[rows] = dataset.frames.forces[rows] + 0.025
    energy[3] = dataset.targets[3] - 0.015
    return energy.astype(np.float32), forces.astype(np.float32)


def by_loops(dataset: GraphDataset, energy: np.ndarray, forces: np.ndarray) -> np.ndarray:
    """The table of all frames, in float64, one number after the other."""
    frames = dataset.frames
    table = np.zeros((dataset.n_frames, len(COLUMNS)))
    for i in range(dataset.n_frames):
        row = dict.fromkeys(COLUMNS, 0.0)
        row["frames"] = 1.0
        row["energy_error"] = float(energy[i]) - float(dataset.targets[i])
        largest = 0.0
        for atom in range(frames.offsets[i], frames.offsets[i + 1]):
            predicted = [float(x) for x in forces[atom]]
            reference = [float(x) for x in frames.forces[atom]]
            errors = [p - r for p, r in zip(predicted, reference, strict=True)]
            norm = sum(r * r for r in reference) ** 0.5
            predicted_norm = sum(p * p for p in predicted) ** 0.5
            row["atoms"] += 1
            row["abs_force"] += sum(abs(e) for e in errors)
            row["squared_force"] += sum(e * e for e in errors)
            row["l2_force"] += sum(e * e for e in errors) ** 0.5
            row["abs_magnitude"] += abs(predicted_norm - norm)
            largest = max(largest, *(abs(e) for e in errors))
            if norm >= 1e-8:
                product = sum(p * r for p, r in zip(predicted, reference, strict=True))
                cosine = product / (predicted_norm * norm) if predicted_norm > 0 else 0.0
                row["cosine"] += cosine
                row["cosine_atoms"] += 1
                row["weighted_cosine"] += cosine * norm
                row["force_norm"] += norm
        row["within_threshold"] = float(largest < 0.03)
        table[i] = [row[name] for name in COLUMNS]
    return table


def padded(
    dataset: GraphDataset, item, energy, forces, garbage: float
) -> tuple[jraph.GraphsTuple, np.ndarray, np.ndarray]:
    """A batch with its predictions laid out in it, and garbage wherever nothing real is."""
    graph = dataset.batch(item)
    rows = [np.arange(*dataset.frames.offsets[[i, i + 1]]) for i in item.indices]
    rows = np.concatenate(rows)
    batch_energy = np.full(len(graph.n_node), garbage, np.float32)
    batch_energy[: len(item.indices)] = energy[item.indices]
    batch_forces = np.full(graph.nodes["forces"].shape, -garbage, np.float32)
    batch_forces[: len(rows)] = forces[rows]
    graph.nodes["forces"][len(rows) :] = garbage / 7
    graph.globals["energy"][len(item.indices) :] = -garbage
    return graph, batch_energy, batch_forces


@pytest.mark.parametrize("garbage", [GARBAGE, np.nan, np.inf])
def test_the_table_equals_loops_over_atoms_whatever_is_at_padding(garbage):
    dataset = ragged_set()
    energy, forces = predictions(dataset)
    table = empty_table(dataset.n_frames)
    plan = dataset.epoch(0, 0)
    assert len(plan) == 3
    for item in plan:
        graph, batch_energy, batch_forces = padded(dataset, item, energy, forces, garbage)
        table = accumulate(table, SUMS(batch_energy, batch_forces, graph), graph.globals["frame"])
    expected = by_loops(dataset, energy, forces)
    np.testing.assert_allclose(np.asarray(table), expected, rtol=2e-6, atol=2e-6)
    column = dict(zip(COLUMNS, expected.T, strict=True))
    assert column["atoms"].tolist() == list(SIZES)
    assert (column["atoms"] - column["cosine_atoms"]).tolist() == [0, 0, 1, 0, 1, 0, 0, 0, 0]
    assert column["within_threshold"].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0]


def test_rows_of_padding_graphs_are_zero():
    dataset = ragged_set()
    energy, forces = predictions(dataset)
    item = dataset.epoch(0, 0)[0]
    graph, batch_energy, batch_forces = padded(dataset, item, energy, forces, GARBAGE)
    sums = np.asarray(SUMS(batch_energy, batch_forces, graph))
    assert sums.shape == (dataset.shape.n_graph, len(COLUMNS))
    assert not sums[len(item.indices) :].any()
    assert sums[: len(item.indices), COLUMNS.index("frames")].all()


def test_padding_leaves_the_last_row_of_the_table_alone():
    """Frame −1 must not be taken as counted from the end."""
    table = accumulate(jnp.full((3, 2), 5.0), jnp.ones((4, 2)), jnp.array([1, -1, -1, -1]))
    np.testing.assert_array_equal(table, [[5, 5], [1, 1], [5, 5]])


def test_a_frame_evaluated_twice_counts_once():
    table = jnp.zeros((2, 1))
    for _ in range(2):
        table = accumulate(table, jnp.array([[3.0], [0.0]]), jnp.array([1, -1]))
    np.testing.assert_array_equal(table, [[0], [3]])


def test_cosines_of_known_directions():
    reference = jnp.array([[2.0, 0, 0], [0, 3.0, 0], [0, 0, 1.0], [1.0, 0, 0], [0, 0, 0], [0, 4e-9, 0]])
    predicted = jnp.array([[5.0, 0, 0], [0, -1.0, 0], [7.0, 0, 0], [0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]])
    terms = dict(zip(ATOM_COLUMNS, np.asarray(jax.jit(atom_terms)(predicted, reference)).T, strict=True))
    np.testing.assert_allclose(terms["cosine"], [1, -1, 0, 0, 0, 0])
    np.testing.assert_allclose(terms["cosine_atoms"], [1, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(terms["weighted_cosine"], [2, -3, 0, 0, 0, 0])
    np.testing.assert_allclose(terms["force_norm"], [2, 3, 1, 1, 0, 0])
    np.testing.assert_allclose(terms["abs_magnitude"], [3, 2, 6, 1, 1, 1])


@pytest.mark.parametrize(
    ("energy", "force", "within"), [(0.0, 0.029, 1), (9.0, -0.029, 1), (0.0, 0.031, 0), (0.0, -0.031, 0)]
)
def test_threshold_on_each_component_of_the_forces(energy, force, within):
    dataset = ragged_set()
    item = dataset.epoch(0, 0)[0]
    predicted = dataset.frames.forces.copy()
    first = dataset.frames.offsets[item.indices[0]]
    predicted[first, 1] += np.float32(force)  # one component of one atom decides
    graph, batch_energy, batch_forces = padded(dataset, item, dataset.targets + energy, predicted, GARBAGE)
    sums = np.asarray(SUMS(batch_energy, batch_forces, graph))
    assert sums[0, COLUMNS.index("within_threshold")] == within


def test_a_prediction_that_is_not_finite_is_not_hidden():
    dataset = ragged_set()
    energy, forces = predictions(dataset)
    item = dataset.epoch(0, 0)[0]
    forces[dataset.frames.offsets[item.indices[0]]] = np.nan
    graph, batch_energy, batch_forces = padded(dataset, item, energy, forces, GARBAGE)
    sums = np.asarray(SUMS(batch_energy, batch_forces, graph))
    assert np.isnan(sums[0, COLUMNS.index("abs_force")])
    assert sums[0, COLUMNS.index("within_threshold")] == 0
    assert np.isfinite(sums[1:]).all()
