"""Weights of a MACE checkpoint from mace-torch's names, shapes and bases to those of our potential (NumPy alone)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import covalent_radii

from compbench_jax.errors import CompBenchError
from compbench_jax.models.equivariant.couplings import coupling_paths
from compbench_jax.models.equivariant.symmetric import product_basis
from compbench_jax.models.layers.linear import SILU_SECOND_MOMENT
from compbench_jax.models.layers.radial import AGNESI
from compbench_jax.models.long_range import SCREENING_POWER
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.potential import Normalisation, Params

Arrays = Mapping[str, np.ndarray]

MIXED, RESIDUAL = "RealAgnostic{}InteractionBlock", "RealAgnostic{}ResidualInteractionBlock"

FIXED: dict[str, tuple[Any, ...]] = {
    "model": ("MACE", "ScaleShiftMACE"),
    "extra": ([],),
    "apply_cutoff": (None, "True"),
    "edge_irreps": (None,),
    "use_so3": (None, "False"),
    "use_agnostic_product": (None, "False"),
    "use_last_readout_only": (None, "False"),
    "contraction": ("SymmetricContraction",),
    "radial": ("BesselBasis",),
    "cutoff": ("PolynomialCutoff",),
    "transform": (None, "AgnesiTransform"),
    "gate": ("silu",),
}
"""Settings of the original and the values that our potential has."""

CONSTANTS = {
    "radial_embedding.distance_transform.q": AGNESI[0],
    "radial_embedding.distance_transform.p": AGNESI[1],
    "radial_embedding.distance_transform.a": AGNESI[2],
    "radial_embedding.distance_transform.covalent_radii": covalent_radii,
    "pair_repulsion_fn.a_exp": SCREENING_POWER,
    "pair_repulsion_fn.a_prefactor": 0.4543,
    "pair_repulsion_fn.c": (0.1818, 0.5099, 0.2802, 0.02817),
    "pair_repulsion_fn.covalent_radii": covalent_radii,
}
"""Arrays of the original that are constants here."""


@dataclass(frozen=True)
class Original:
    """A checkpoint: its arrays, its settings, and which of its heads."""

    arrays: Arrays
    settings: Mapping[str, Any]
    head: int

    @property
    def order(self) -> np.ndarray:
        """Places of its elements by ascending atomic number."""
        return np.argsort(self.arrays["atomic_numbers"])

    def of_head(self, name: str, default: float) -> Any:
        """A constant of the head: a number, or one for each element."""
        values = np.atleast_1d(self.arrays.get(name, np.array(default)))
        several = len(self.settings["heads"]) > 1 or values.ndim > 1
        return values[self.head] if several else values if values.size > 1 else values[0]


def choose_head(settings: Mapping[str, Any], head: str | None) -> int:
    """Index of a head by name; without one: the only one, or that called default.

    Raises:
        CompBenchError: no such head, or several to choose from.
    """
    heads = settings["heads"]
    wanted = [name for name in heads if name == head or (head is None and name.lower() == "default")]
    if head is None and len(heads) == 1:
        wanted = heads
    if len(wanted) != 1:
        which = "several heads" if head is None else f"no head {head!r}"
        raise CompBenchError(f"the checkpoint has {which}: choose one of {', '.join(heads)} with --head")
    return int(heads.index(wanted[0]))


def mace_config(original: Original) -> MACEConfig:
    """Configuration with the sizes of the original.

    Raises:
        CompBenchError: a setting that our potential does not have.
    """
    settings = original.settings
    for name, allowed in FIXED.items():
        if settings[name] not in allowed:
            _refuse(f"{name} is {settings[name]!r}", str(allowed[-1]))
    blocks = settings["interactions"]
    density = "Density" in blocks[0]
    kinds = [text.format("Density" if density else "") for text in (MIXED, RESIDUAL)]
    if blocks[0] not in kinds or set(blocks[1:]) != {kinds[1]}:
        _refuse(f"interactions are {', '.join(blocks)}", f"{kinds[0]} or {kinds[1]}, then {kinds[1]}")
    readouts = ["LinearReadoutBlock"] * (len(blocks) - 1) + ["NonLinearReadoutBlock"]
    if settings["readouts"] != readouts:
        _refuse(f"readouts are {', '.join(settings['readouts'])}", ", ".join(readouts))
    channels, hidden_l = _channels(settings["hidden"])
    if any(_channels(irreps)[0] != channels for irreps in settings["upwards"]):
        _refuse(f"features between layers are {settings['upwards']}", "as many channels of every degree")
    for name in ("correlation", "average_neighbours"):
        if len(set(settings[name])) != 1:
            _refuse(f"{name} is {settings[name]}", "the same in every layer")
    basis = np.pi / settings["r_max"] * np.arange(1, settings["n_basis"] + 1)
    for name, value in {**CONSTANTS, "radial_embedding.bessel_fn.bessel_weights": basis}.items():
        there = original.arrays.get(name)
        if there is not None and not (np.shape(value) == there.shape and np.allclose(there, value, rtol=1e-5)):
            _refuse(f"{name} is {there.ravel()[:3]} …", f"{np.ravel(value)[:3]} …")
    scale = original.of_head("scale_shift.scale", 1.0)
    return MACEConfig(
        cutoff=settings["r_max"],
        layers=len(blocks),
        channels=channels,
        l_max=settings["l_max"],
        hidden_l=hidden_l,
        correlation=settings["correlation"][0],
        n_basis=settings["n_basis"],
        envelope=settings["envelope"],
        radial_mlp=tuple(settings["radial_mlp"]),
        readout=_hidden_width(original),
        residual_first=blocks[0] == kinds[1],
        density=density,
        agnesi=settings["transform"] is not None,
        # mace-torch scales the repulsion with the rest.
        repulsion=float(scale) if settings["repulsion"] else 0.0,
        element_fan_in=len(original.order),
    )


def mace_normalisation(original: Original) -> Normalisation:
    """Constants of the original; the shift of every atom's energy is part of our reference energies."""
    energies = np.float64(original.of_head("atomic_energies_fn.atomic_energies", 0.0)).ravel()
    shift = float(original.of_head("scale_shift.shift", 0.0))
    order = original.order
    return Normalisation(
        elements=tuple(original.arrays["atomic_numbers"][order].tolist()),
        reference_energies=tuple((energies[order] + shift).tolist()),
        scale=float(original.of_head("scale_shift.scale", 1.0)),
        average_neighbours=original.settings["average_neighbours"][0],
    )


def mace_params(original: Original, config: MACEConfig) -> Params:
    """Parameters of our potential, as precise as the original's.

    Raises:
        CompBenchError: an array is missing or has another size.
    """
    dtype = original.arrays["node_embedding.linear.weight"].dtype
    try:
        tree = _tree(original, config)
    except (KeyError, ValueError) as error:
        raise CompBenchError(
            f"the checkpoint's arrays do not fit its settings ({error}): save it whole again"
        ) from error
    return {"params": _cast(tree, dtype)}


def _tree(original: Original, config: MACEConfig) -> dict[str, Any]:
    arrays, channels, n = original.arrays, config.channels, len(original.order)
    embedding = arrays["node_embedding.linear.weight"].reshape(n, channels)[original.order]
    tree: dict[str, Any] = {"embedding": embedding}
    for i in range(config.layers):
        last = i == config.layers - 1
        l_in, l_out = 0 if i == 0 else config.hidden_l, 0 if last else config.hidden_l
        tree[f"interaction_{i}"] = _interaction(original, config, i, l_in, l_out)
        tree[f"product_{i}"] = _product(original, config, i, l_out)
        mixes = _by_degree(arrays[f"products.{i}.linear.weight"], [(channels, channels)] * (l_out + 1))
        tree[f"mix_{i}"] = _linear(mixes)
        if not last:
            weight = arrays[f"readouts.{i}.linear.weight"].reshape(channels, -1)
            tree[f"readout_{i}"] = {"kernel": weight[:, [original.head]]}
    first, second = (arrays[f"readouts.{config.layers - 1}.linear_{k}.weight"] for k in (1, 2))
    heads = len(original.settings["heads"])
    own = slice(original.head * config.readout, (original.head + 1) * config.readout)
    tree[f"readout_{config.layers - 1}_hidden"] = {"kernel": first.reshape(channels, -1)[:, own]}
    # Both programs divide by √fan-in, which is that of all heads there; SiLU's factor is an estimate there.
    factor = heads**-0.5 * original.settings["gate_factor"] / SILU_SECOND_MOMENT
    tree[f"readout_{config.layers - 1}"] = {"kernel": second.reshape(-1, heads)[own, [original.head]] * factor}
    return tree


def _interaction(original: Original, config: MACEConfig, i: int, l_in: int, l_out: int) -> dict[str, Any]:
    name, channels, n = f"interactions.{i}", config.channels, len(original.order)
    arrays, square = original.arrays, (channels, channels)
    factor = original.settings["radial_factor"] / SILU_SECOND_MOMENT
    radial = [arrays[f"{name}.conv_tp_weights.layer{k}.weight"] for k in range(len(config.radial_mlp) + 1)]
    n_path = radial[-1].shape[1] // channels
    # Paths of the messages by degree, as many as the weights of the linear layer say.
    counts = _path_counts(l_in, config.l_max)
    if sum(counts) != n_path:
        raise ValueError(f"{name} has {n_path} paths")
    tree: dict[str, Any] = {
        "linear_up": _linear(_by_degree(arrays[f"{name}.linear_up.weight"], [square] * (l_in + 1))),
        "radial": {f"ScaledDense_{k}": {"kernel": weight * (factor if k else 1.0)} for k, weight in enumerate(radial)},
        "linear": _linear(_by_degree(arrays[f"{name}.linear.weight"], [(k * channels, channels) for k in counts])),
    }
    residual = i > 0 or config.residual_first
    degrees = (min(l_in, l_out) if residual else config.l_max) + 1
    kernels = _by_degree(arrays[f"{name}.skip_tp.weight"], [(channels, n, channels)] * degrees)
    by_element = {f"l{degree}": kernel[:, original.order] for degree, kernel in enumerate(kernels)}
    tree["skip" if residual else "select"] = by_element
    if config.density:
        tree["density"] = {"kernel": arrays[f"{name}.density_fn.layer0.weight"]}
    return tree


def _product(original: Original, config: MACEConfig, i: int, l_out: int) -> dict[str, np.ndarray]:
    """Weights of the product basis: those of linearly dependent paths in the original, of independent ones here."""
    result = {}
    for degree in range(l_out + 1):
        name = f"products.{i}.symmetric_contractions.contractions.{degree}"
        for order in range(1, config.correlation + 1):
            which = "_max" if order == config.correlation else f".{config.correlation - 1 - order}"
            matrix = _change_of_basis(original.arrays[f"product_{order}_{degree}"], config.l_max, l_out, degree, order)
            if len(matrix):
                weight = original.arrays[f"{name}.weights{which}"][original.order]
                result[f"weight_{order}_{degree}"] = np.einsum("pq,sqc->spc", matrix, np.float64(weight))
    return result


def _change_of_basis(theirs: np.ndarray, l_in: int, l_out: int, degree: int, order: int) -> np.ndarray:
    """Matrix that takes weights of the original's paths to ours, ``[n_path, their n_path]``."""
    basis = product_basis(l_in, l_out, order)
    start = sum(n * (2 * d + 1) for d, n in enumerate(basis.n_path[:degree]))
    n_path, size = basis.n_path[degree], 2 * degree + 1
    columns = basis.matrix[:, start : start + n_path * size].reshape(len(basis.matrix), n_path, size)
    ours, wanted = columns.swapaxes(1, 2).reshape(-1, n_path), theirs.reshape(-1, theirs.shape[-1])
    matrix = np.linalg.lstsq(ours, wanted, rcond=None)[0]
    if np.abs(ours @ matrix - wanted).max() > 1e-5:  # constants of single precision are right to 1e-7
        raise ValueError(f"its products of order {order} and degree {degree} are others than ours")
    return matrix


def _path_counts(l_in: int, l_max: int) -> list[int]:
    paths = coupling_paths(l_in, l_max, l_max)
    return [sum(last == degree for _, _, last in paths) for degree in range(l_max + 1)]


def _by_degree(weight: np.ndarray, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """Cut e3nn's one vector of weights into a matrix for each degree."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    if sum(sizes) != weight.size:
        raise ValueError(f"{weight.size} weights in place of {sum(sizes)}")
    parts = np.split(weight.ravel(), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _linear(kernels: list[np.ndarray]) -> dict[str, Any]:
    return {f"l{degree}": {"kernel": kernel} for degree, kernel in enumerate(kernels)}


def _cast(tree: Any, dtype: Any) -> Any:
    return {k: _cast(v, dtype) for k, v in tree.items()} if isinstance(tree, dict) else np.asarray(tree, dtype)


def _hidden_width(original: Original) -> int:
    weight = original.arrays[f"readouts.{len(original.settings['interactions']) - 1}.linear_2.weight"]
    return int(weight.size // len(original.settings["heads"]) ** 2)


def _channels(irreps: str) -> tuple[int, int]:
    """Channels and largest degree of e.g. ``"128x0e+128x1o"``.

    Raises:
        CompBenchError: channels or parities that our potential does not have.
    """
    found = re.findall(r"(\d+)x(\d+)([eo])", irreps)
    right = [(found[0][0], str(degree), "eo"[degree % 2]) for degree in range(len(found))] if found else None
    if found != right:
        _refuse(f"features are {irreps}", "as many channels of every degree, with parities 0e, 1o, 2e …")
    return int(found[0][0]), len(found) - 1


def _refuse(what: str, wanted: str) -> None:
    raise CompBenchError(
        f"the checkpoint is of a MACE that is not implemented here: its {what}, wanted is {wanted}. Evaluate it as it "
        "is, with --calculator mace.calculators:MACECalculator (docs/foundation.md)"
    )
