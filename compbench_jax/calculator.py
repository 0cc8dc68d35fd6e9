"""Trained potentials in ASE: ``from compbench_jax.calculator import CompBenchCalculator``."""

from compbench_jax.evaluation.ase_calculator import CompBenchCalculator

__all__ = ["CompBenchCalculator"]
