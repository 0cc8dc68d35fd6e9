"""Writes the weights of a MACE checkpoint of mace-torch into an ``.npz`` file.

    python -I mace.py FILE.npz CHECKPOINT.model

Run by path in an environment that has mace-torch: it imports nothing of the library (hence -I, or files next to it
would be taken for modules of the standard library). The checkpoint is a pickle, which is loaded here and nowhere else:
it can run any code, so convert only files that you trust. What the ``.npz`` holds is arrays alone: the parameters by
their names, ``settings`` (JSON as bytes), and the polynomials ``product_ORDER_DEGREE`` that the weights of the product
basis belong to: coefficients of the monomials i ≤ j ≤ … ``[n_monomial, 2 DEGREE + 1, n_path]``.
"""

import importlib.metadata
import itertools
import json
import math
import sys

import numpy as np
import torch

OPTIONS = ("apply_cutoff", "edge_irreps", "use_so3", "use_agnostic_product", "use_last_readout_only")
"""Attributes that change the architecture; absent from earlier checkpoints."""


def main(path, checkpoint):
    """Write the file."""
    try:
        model = torch.load(checkpoint, map_location="cpu", weights_only=False)
    except Exception as error:  # whatever a pickle raises
        raise SystemExit(f"torch cannot load it: {' '.join(str(error).split())[:160]}") from error
    name = type(model).__name__
    if not {"interactions", "products", "readouts", "radial_embedding"} <= set(dir(model)) or "Script" in name:
        raise SystemExit(f"it holds a {name}, not a MACE model that was saved whole (not compiled, no training state)")
    arrays = {key: value.numpy() for key, value in model.state_dict().items() if wanted(key)}
    degrees = model.products[0].symmetric_contractions
    for degree, contraction in enumerate(getattr(degrees, "contractions", ())):
        for order in range(1, len(contraction.weights) + 2):
            arrays[f"product_{order}_{degree}"] = polynomials(contraction.U_tensors(order), order, degree)
    np.savez(path, settings=np.frombuffer(json.dumps(settings_of(model)).encode(), np.uint8), **arrays)


def wanted(key):
    """Whether an array is none of those that e3nn and mace-torch compute from the settings."""
    return not any(part in key for part in ("U_matrix", "w3j", "output_mask", "zeroed", "graph_opt"))


def polynomials(tensor, order, degree):
    """Coefficients of the ascending monomials in a tensor with an index for each factor."""
    size = (2 * degree + 1, *tensor.shape[tensor.dim() - 1 - order : -1], tensor.shape[-1])
    tensor = tensor.double().numpy().reshape(size)
    everywhere = sum(tensor.transpose(0, *turn, order + 1) for turn in itertools.permutations(range(1, order + 1)))
    monomials = list(itertools.combinations_with_replacement(range(size[1]), order))
    same = [math.prod(math.factorial(m.count(i)) for i in set(m)) for m in monomials]
    chosen = everywhere[(slice(None), *np.array(monomials).T)] / np.array(same)[:, None]
    return np.ascontiguousarray(chosen.swapaxes(0, 1))


def settings_of(model):
    """What the model is, in numbers and names of classes."""
    first, last, embedding = model.interactions[0], model.readouts[-1], model.radial_embedding
    transform = getattr(embedding, "distance_transform", None)
    gates = getattr(getattr(last, "non_linearity", None), "acts", [None])
    layers = list(getattr(first.conv_tp_weights, "children", list)())
    settings = {option: getattr(model, option, None) for option in OPTIONS}
    return {key: value if value is None else str(value) for key, value in settings.items()} | {
        "version": importlib.metadata.version("mace-torch"),
        "model": type(model).__name__,
        "extra": [
            name for name in ("joint_embedding", "embedding_readout", "fukui_source_map") if hasattr(model, name)
        ],
        "interactions": [type(block).__name__ for block in model.interactions],
        "readouts": [type(block).__name__ for block in model.readouts],
        "contraction": type(model.products[0].symmetric_contractions).__name__,
        "radial": type(embedding.bessel_fn).__name__,
        "cutoff": type(embedding.cutoff_fn).__name__,
        "transform": None if transform is None else type(transform).__name__,
        "gate": getattr(getattr(gates[0], "f", None), "__name__", None),
        "gate_factor": getattr(gates[0], "cst", None),
        "radial_factor": getattr(getattr(layers[0], "act", None), "cst", None) if layers else None,
        "radial_mlp": list(getattr(first.conv_tp_weights, "hs", []))[1:-1],
        "heads": list(getattr(model, "heads", None) or ["Default"]),
        "r_max": float(model.r_max),
        "n_basis": int(embedding.out_dim),
        "envelope": int(embedding.cutoff_fn.p),
        "l_max": int(model.spherical_harmonics._lmax),
        "hidden": str(model.products[0].linear.irreps_out),
        "upwards": [str(block.linear_up.irreps_out) for block in model.interactions],
        "correlation": [len(block.symmetric_contractions.contractions[0].weights) + 1 for block in model.products]
        if hasattr(model.products[0].symmetric_contractions, "contractions")
        else [],
        "average_neighbours": [float(block.avg_num_neighbors) for block in model.interactions],
        "repulsion": hasattr(model, "pair_repulsion_fn"),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
