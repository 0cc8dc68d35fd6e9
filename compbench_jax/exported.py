"""Exported potentials without the models' code: ``from compbench_jax.exported import load``."""

from compbench_jax.deploy.exported import ExportedPotential, load

__all__ = ["ExportedPotential", "load"]
