"""Weights of SO3LR from their original names and shapes to those of our potential (NumPy; no file, no pickle)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from compbench_jax.errors import CompBenchError
from compbench_jax.models.potential import Normalisation, Params
from compbench_jax.models.so3lr import SO3LRConfig

Arrays = Mapping[str, np.ndarray]

FIXED = {
    "radial_basis_fn": "bernstein",
    "cutoff_fn_name": "phys",
    "message_normalization": "avg_num_neighbors",
    "num_embeddings": 3,
}
"""Settings of the original that our potential has no choice of."""


def so3lr_config(settings: Mapping[str, Any]) -> SO3LRConfig:
    """RunConfig with the sizes of the original.

    Raises:
        CompBenchError: a setting that our potential does not have.
    """
    l_max = len(settings["degrees"])
    odd = [name for name, value in FIXED.items() if settings[name] != value]
    odd += ["degrees"] if list(settings["degrees"]) != list(range(1, l_max + 1)) else []
    odd += ["energy_regression_dim"] if settings["energy_regression_dim"] != settings["num_features"] else []
    if odd:
        raise CompBenchError(
            f"the weights are of another SO3LR, {odd[0]} is {settings[odd[0]]!r}: install the version that "
            "`compbench foundation list` names"
        )
    return SO3LRConfig(
        cutoff=settings["r_max"],
        features=settings["num_features"],
        heads=settings["num_heads"],
        layers=settings["num_layers"],
        l_max=l_max,
        n_basis=settings["num_radial_basis_fn"],
        charge_width=settings["electrostatic_energy_scale"],
        dispersion_scale=settings["dispersion_energy_scale"],
    )


def so3lr_normalisation(arrays: Arrays, settings: Mapping[str, Any], elements: Sequence[int]) -> Normalisation:
    """Constants of the original: its network's energies are in eV, its shift of each element a reference energy."""
    shifts = arrays["atomic_energy_output_block.energy_shifts"]
    return Normalisation(
        elements=tuple(elements),
        reference_energies=tuple(float(shifts[number - 1]) for number in elements),
        scale=1.0,
        average_neighbours=float(settings["avg_num_neighbors"]),
    )


def so3lr_params(arrays: Arrays, config: SO3LRConfig, elements: Sequence[int]) -> Params:
    """Parameters of our potential, float32 as in the original.

    Args:
        arrays: the original's by name.
        config: from :func:`so3lr_config`.
        elements: atomic numbers to keep, ascending.

    Raises:
        CompBenchError: an array is missing.
    """
    numbers = np.array(elements)
    try:
        return {"params": _tree(arrays, config, numbers)}
    except KeyError as error:
        raise CompBenchError(
            f"the weights of SO3LR lack {error}: install the version that `compbench foundation list` names"
        ) from error


def _tree(arrays: Arrays, config: SO3LRConfig, numbers: np.ndarray) -> dict[str, Any]:
    energy, charge, ratio = "atomic_energy_output_block", "partial_charges_output_block", "hirshfeld_output_block"
    zbl = {name: arrays[f"zbl_repulsion.{name}_raw"] for name in ("a1", "a2", "a3", "a4", "c1", "c2", "c3", "c4")}
    # One-hot encodings start at hydrogen, embeddings at a zeroth element that does not exist.
    return {
        "embedding": arrays["inv_feature_embedding.embedding.weight"].T[numbers - 1],
        **{f"layer_{i}": _layer(arrays, f"euclidean_transformers.{i}") for i in range(config.layers)},
        "energy_scale": arrays[f"{energy}.energy_scales.weight"][0, numbers - 1],
        "energy_0": _dense(arrays, f"{energy}.layers.0"),
        "energy_1": _dense(arrays, f"{energy}.final_layer"),
        "repulsion": {
            "decay": np.concatenate([zbl[f"a{i}"] for i in range(1, 5)]),
            "weight": np.concatenate([zbl[f"c{i}"] for i in range(1, 5)]),
            "power": arrays["zbl_repulsion.p_raw"][0],
            "inverse": arrays["zbl_repulsion.d_raw"][0],
        },
        "charge_0": _dense(arrays, f"{charge}.transform_inv_features.0"),
        "charge_1": _dense(arrays, f"{charge}.transform_inv_features.2"),
        "charge_bias": arrays[f"{charge}.atomic_embedding.weight"][numbers, 0],
        "ratio_0": _dense(arrays, f"{ratio}.transform_features.0"),
        "ratio_1": _dense(arrays, f"{ratio}.transform_features.2"),
        "ratio_query": arrays[f"{ratio}.q_embedding.weight"][numbers],
        "ratio_shift": arrays[f"{ratio}.v_shift_embedding.weight"][numbers, 0],
    }


def _layer(arrays: Arrays, prefix: str) -> dict[str, Any]:
    attention: dict[str, Any] = {}
    for ours, theirs in (("invariant", "inv"), ("geometric", "ev")):
        net = f"{prefix}.filter_net_{theirs}"
        attention[f"filter_{ours}"] = {
            "radial_0": _dense(arrays, f"{net}.mlp_rbf.0"),
            "radial_1": _dense(arrays, f"{net}.mlp_rbf.mlp_rbf_layer_1.0"),
            "angular_0": _dense(arrays, f"{net}.mlp_ev.0"),
            "angular_1": _dense(arrays, f"{net}.mlp_ev.mlp_ev_layer_1.0"),
        }
        for kind, letter in (("query", "q"), ("key", "k")):
            attention[f"{kind}_{ours}"] = arrays[f"{prefix}.euclidean_attention_block.W_{letter}_{theirs}"]
    attention["value_invariant"] = arrays[f"{prefix}.euclidean_attention_block.W_v_inv"]
    return {
        "attention": attention,
        "norm_0": _norm(arrays, f"{prefix}.layer_norm_inv_1"),
        "norm_1": _norm(arrays, f"{prefix}.layer_norm_inv_2"),
        "residual_0": _dense(arrays, f"{prefix}.mlp_1.1"),
        "residual_1": _dense(arrays, f"{prefix}.mlp_1.3"),
        "exchange": _dense(arrays, f"{prefix}.interaction_block.linear_layer"),
    }


def _dense(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    """A linear layer: flax keeps the transpose of torch's matrix."""
    return {"kernel": np.ascontiguousarray(arrays[f"{name}.weight"].T), "bias": arrays[f"{name}.bias"]}


def _norm(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    return {"scale": arrays[f"{name}.weight"], "bias": arrays[f"{name}.bias"]}
