"""Errors of one padded batch as sums and counts, on the device: means are taken once, at the very end."""

import jax
import jax.numpy as jnp
import jraph

from compbench_jax.models.layers.safe import safe_norm, unit_vectors

ATOM_COLUMNS = (
    "atoms",
    "abs_force",
    "squared_force",
    "l2_force",
    "abs_magnitude",
    "cosine",
    "cosine_atoms",
    "weighted_cosine",
    "force_norm",
)
"""What is summed over atoms, with ΔF = F̂ − F (eV/Å):

- ``atoms``: 1;
- ``abs_force``: Σ_xyz |ΔF|; ``squared_force``: ‖ΔF‖²; ``l2_force``: ‖ΔF‖; ``abs_magnitude``: |‖F̂‖ − ‖F‖|;
- ``cosine``: F̂·F / (‖F̂‖‖F‖), zero where F̂ vanishes; ``cosine_atoms``: 1; ``force_norm``: ‖F‖;
  ``weighted_cosine``: cosine · ‖F‖; all four only where ‖F‖ ≥ ``SMALLEST_FORCE``.
"""

FRAME_COLUMNS = ("frames", "energy_error", "within_threshold")
"""Of a frame as a whole: 1, Ê − E (eV), and 1 if its forces are within the threshold (and its referenced energy, once
:func:`compbench_jax.metrics.aggregate.complete_table` knows that).
"""

COLUMNS = ATOM_COLUMNS + FRAME_COLUMNS
"""Columns of the table of per-frame sums."""

SMALLEST_FORCE = 1e-8
"""eV/Å; the direction of a smaller reference force means nothing."""

ENERGY_THRESHOLD = 0.02
"""eV, of the referenced energy; energy-and-forces-within-threshold of OC20 (ACS Catal. 11, 6059, 2021)."""

FORCE_THRESHOLD = 0.03
"""eV/Å on every component of the force, likewise."""


def atom_terms(predicted: jax.Array, reference: jax.Array) -> jax.Array:
    """The terms of ``ATOM_COLUMNS`` for each atom, ``[n_atoms, n_terms]``.

    Args:
        predicted: F̂, eV/Å ``[n_atoms, 3]``.
        reference: F, eV/Å ``[n_atoms, 3]``.
    """
    error = predicted - reference
    direction, norm = unit_vectors(reference)
    predicted_direction, predicted_norm = unit_vectors(predicted)
    directed = norm >= SMALLEST_FORCE
    cosine = jnp.where(directed, jnp.sum(predicted_direction * direction, axis=-1), 0.0)
    norm_of_directed = jnp.where(directed, norm, 0.0)
    terms = {
        "atoms": jnp.ones_like(norm),
        "abs_force": jnp.abs(error).sum(axis=-1),
        "squared_force": jnp.square(error).sum(axis=-1),
        "l2_force": safe_norm(error),
        "abs_magnitude": jnp.abs(predicted_norm - norm),
        "cosine": cosine,
        "cosine_atoms": directed.astype(norm.dtype),
        "weighted_cosine": cosine * norm_of_directed,
        "force_norm": norm_of_directed,
    }
    return jnp.stack([terms[name] for name in ATOM_COLUMNS], axis=-1)


def frame_sums(energy: jax.Array, forces: jax.Array, graph: jraph.GraphsTuple) -> jax.Array:
    """Sums over the real atoms of every graph, ``[n_graph, n_columns]`` in the order of ``COLUMNS``.

    Padding graphs have zeros everywhere, whatever was predicted for them. A prediction for a real atom that
    is not finite is not hidden: it makes the sums of its frame not finite.

    Args:
        energy: predicted energies, eV ``[n_graph]``, of the same kind as ``graph.globals["energy"]``.
        forces: predicted forces, eV/Å ``[n_node, 3]``.
        graph: padded batch (see :class:`compbench_jax.batching.dataset.GraphDataset`).
    """
    n_node, n_graph = forces.shape[0], energy.shape[0]
    real = graph.globals["frame"] >= 0
    owner = jnp.repeat(jnp.arange(n_graph), graph.n_node, total_repeat_length=n_node)
    # Selected, not multiplied by a mask: not even a NaN at padding can reach a sum.
    terms = jnp.where(real[owner][:, None], atom_terms(forces, graph.nodes["forces"]), 0.0)
    over_atoms = jax.ops.segment_sum(terms, owner, n_graph, indices_are_sorted=True)

    largest = jnp.abs(forces - graph.nodes["forces"]).max(axis=-1)
    largest = jax.ops.segment_max(largest, owner, n_graph, indices_are_sorted=True)
    error = jnp.where(real, energy - graph.globals["energy"], 0.0)
    within = real & (largest < FORCE_THRESHOLD)
    of_frames = {"frames": real, "energy_error": error, "within_threshold": within}
    columns = [of_frames[name].astype(terms.dtype)[:, None] for name in FRAME_COLUMNS]
    return jnp.concatenate([over_atoms, *columns], axis=-1)


def empty_table(n_frames: int) -> jax.Array:
    """A table of per-frame sums in which no frame has been counted yet, ``[n_frames, n_columns]``.

    Float32, or float64 where JAX is set to hold that.
    """
    return jnp.zeros((n_frames, len(COLUMNS)), float)


def accumulate(table: jax.Array, sums: jax.Array, frame: jax.Array) -> jax.Array:
    """Write the sums of one batch into the table of all frames.

    Args:
        table: ``[n_frames, n_columns]``.
        sums: ``[n_graph, n_columns]`` from :func:`frame_sums`.
        frame: ``graph.globals["frame"]``: the row of each graph, −1 for padding, which is dropped.
    """
    # A negative index would count from the end of the table: send it beyond the end instead.
    row = jnp.where(frame >= 0, frame, table.shape[0])
    return table.at[row].set(sums, mode="drop")
