"""Potentials: energy is the only head, forces are its gradient."""

from compbench_jax.runtime import warn_of_jax

warn_of_jax()
