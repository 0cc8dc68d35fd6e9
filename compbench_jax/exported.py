"""Exported potentials without the models' code: ``from compbench_jax.exported import load``."""

from compbench_jax.evaluation.exported_potential import ExportedPotential, load

__all__ = ["ExportedPotential", "load"]
