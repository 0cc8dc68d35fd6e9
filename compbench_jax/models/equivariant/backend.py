"""How equivariant products are computed, chosen by the potential while its program is traced."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import jax

from compbench_jax.errors import RunError

Backend = Literal["auto", "chunks", "plain", "e3j"]
"""``chunks``: a few edges at a time and component by component, see ``convolution.py``; ``plain``: all edges at once,
derivatives as JAX makes them, also in forward mode; ``e3j``: convolutions by the CUDA kernels of that package, see
``e3j_kernels.py``; ``auto``: ``chunks`` on CPUs, but for convolutions of few products, ``plain`` elsewhere."""

_CHOSEN: ContextVar[str] = ContextVar("backend", default="auto")


@contextmanager
def computed_by(backend: str) -> Iterator[None]:
    """Everything that is traced inside is computed by this backend.

    Raises:
        RunError: there is no such backend.
    """
    if backend not in get_args(Backend):
        raise RunError(f"there is no backend {backend!r}: choose one of {', '.join(get_args(Backend))}")
    token = _CHOSEN.set(backend)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen(few: bool = False) -> str:
    """What computes products here, ``few`` or many of them: chunks, plain or e3j."""
    asked = _CHOSEN.get()
    return ("chunks" if jax.default_backend() == "cpu" and not few else "plain") if asked == "auto" else asked


def in_chunks() -> bool:
    """Whether products are computed a few edges at a time here."""
    return chosen() == "chunks"
