"""compbench_jax: compositional generalisation of machine-learned interatomic potentials, in JAX.

Data flows one way, and a package imports only from the packages before it::

    molecules -> labelling -> store -> interchange -> splits -> batching -> models -> metrics -> training
              -> evaluation -> calculators -> foundation -> deploy -> dynamics -> report -> suites -> cli

The conventions every docstring leans on (shapes, units, signs, padding) stand in ``docs/conventions.md``.
"""

from compbench_jax._version import __version__

__all__ = ["__version__"]
