"""The potentials by name. A potential is one file that defines its configuration, and one line here."""

from dataclasses import asdict, fields
from typing import Any, ClassVar, Protocol, get_type_hints

import flax.linen as nn
import jax

from compbench_jax.errors import CompBenchError
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.potential import Normalisation, Params, Potential
from compbench_jax.models.schnet import SchNetConfig


class ModelConfig(Protocol):
    """What the configuration of every potential has: a frozen dataclass of numbers and tuples of numbers."""

    kind: ClassVar[str]
    """Name of the architecture in ``potential.json``."""
    citation: ClassVar[str]
    """Where the architecture was published."""

    @property
    def cutoff(self) -> float:
        """Å, radius of the neighbour list."""
        ...

    @property
    def receptive_field(self) -> float:
        """Å, the farthest an atom's energy can see: layers times cutoff."""
        ...

    def build(self, normalisation: Normalisation) -> nn.Module:
        """Network that :class:`Potential` calls."""
        ...


MODELS: dict[str, Any] = {
    "schnet": SchNetConfig(),
    "schnet-paper": SchNetConfig(cutoff=6.0, features=1024, interactions=5, n_basis=256),
    "mace": MACEConfig(),
    "mace-paper": MACEConfig(channels=128, l_max=3, hidden_l=1, correlation=3),
}
"""Presets by name: the plain name is a size for minutes on a CPU, ``-paper`` the size of the publications."""


def build_potential(config: ModelConfig, normalisation: Normalisation) -> Potential:
    """Potential of a configuration and the constants of its training data."""
    return Potential(config.build(normalisation), normalisation, config.cutoff)


def n_parameters(params: Params) -> int:
    """Number of trainable parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def config_to_json(config: Any) -> dict[str, Any]:
    """Configuration as JSON values: its fields, and ``model``, the kind of potential."""
    return {"model": config.kind, **asdict(config)}


def config_from_json(content: dict[str, Any]) -> Any:
    """Inverse of :func:`config_to_json`.

    Raises:
        CompBenchError: unknown kind of potential, or fields that it does not have.
    """
    kinds = {type(config).kind: type(config) for config in MODELS.values()}
    values = dict(content)
    kind = values.pop("model", None)
    if kind not in kinds:
        raise CompBenchError(
            f"the configuration names the potential {kind!r}, this version knows {', '.join(sorted(kinds))}: "
            "upgrade compbench_jax, or train the potential again"
        )
    known = {field.name for field in fields(kinds[kind])}
    if known != set(values):
        odd = ", ".join(sorted(known ^ set(values)))
        raise CompBenchError(
            f"the configuration of {kind!r} does not fit this version (fields that differ: {odd}): "
            "use the version of compbench_jax that wrote it, or train the potential again"
        )
    hints = get_type_hints(kinds[kind])
    return kinds[kind](**{k: tuple(v) if str(hints[k]).startswith("tuple") else v for k, v in values.items()})
