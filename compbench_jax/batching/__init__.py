"""Neighbour lists, packing and padded graph batches (NumPy up to the batch)."""

from compbench_jax.runtime import warn_of_jax

warn_of_jax()
