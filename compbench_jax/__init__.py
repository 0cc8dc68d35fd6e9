"""compbench_jax: compositional generalisation of machine-learned interatomic potentials, in JAX.

``import compbench_jax as cb`` gives the names of :mod:`compbench_jax.api`, each imported when it is first used.

Data flows one way, and a package imports only from the packages before it::

    molecules -> labelling -> store -> interchange -> splits -> batching -> models -> metrics -> training
              -> evaluation -> calculators -> foundation -> deploy -> dynamics -> report -> suites -> cli

The conventions every docstring leans on (shapes, units, signs, padding) stand in ``docs/conventions.md``.
"""

from typing import TYPE_CHECKING, Any

from compbench_jax._version import __version__

if TYPE_CHECKING:
    from compbench_jax.api import (
        MODELS,
        TASKS,
        Calculator,
        Data,
        Evaluation,
        Potential,
        Result,
        evaluate,
        get_task,
        load_data,
        load_potential,
        load_result,
        split,
        train,
    )

__all__ = [
    "MODELS",
    "TASKS",
    "Calculator",
    "Data",
    "Evaluation",
    "Potential",
    "Result",
    "__version__",
    "evaluate",
    "get_task",
    "load_data",
    "load_potential",
    "load_result",
    "split",
    "train",
]


def __getattr__(name: str) -> Any:
    """A name of the API, imported now: ``import compbench_jax`` alone takes no time."""
    if name in __all__:
        from compbench_jax import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
