"""Trained potentials in ASE: ``from compbench_jax.calculator import CompBenchCalculator``."""

from compbench_jax.deploy.ase_calculator import CompBenchCalculator

__all__ = ["CompBenchCalculator"]
