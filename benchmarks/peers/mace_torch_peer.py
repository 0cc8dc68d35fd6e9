"""mace-torch at the work of ``worker.py``: ``ScaleShiftMACE``, not compiled, as its own training runs it."""

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from mace import modules
from torch_training import make_step, size_of
from worker import Program, Structures, join, random_batches

ELEMENTS = (1, 6)


def network_of(data: Structures) -> torch.nn.Module:
    """MACE-64: two layers, degrees up to 2, correlation 2."""
    from e3nn import o3  # only after mace, which lets this version of it read its constants

    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=data.cutoff,
        num_bessel=8,
        num_polynomial_cutoff=6,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps("64x0e + 64x1o + 64x2e"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(ELEMENTS)),
        avg_num_neighbors=data.average_neighbours,
        atomic_numbers=list(ELEMENTS),
        correlation=2,
        gate=torch.nn.functional.silu,
        radial_MLP=[64, 64, 64],
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def inputs_of(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A batch as the network takes it."""
    n_edge, n_structure = len(batch["senders"]), len(batch["sizes"])
    species = torch.tensor(np.searchsorted(ELEMENTS, batch["numbers"]))
    return {
        "positions": torch.tensor(batch["positions"]),
        "node_attrs": torch.nn.functional.one_hot(species, len(ELEMENTS)).to(torch.float32),
        "edge_index": torch.tensor(np.stack([batch["senders"], batch["receivers"]])),
        "shifts": torch.zeros(n_edge, 3),
        "unit_shifts": torch.zeros(n_edge, 3),
        "cell": torch.zeros(3 * n_structure, 3),
        "batch": torch.tensor(batch["structure"]),
        "ptr": torch.tensor(np.cumsum([0, *batch["sizes"]])),
    }


def prepare(model: str, kind: str, data: Structures, batch_size: int) -> Program:
    """The network, with the parameters' gradient only where it trains."""
    torch.manual_seed(0)
    # TorchScript would fuse operations anew for every size of batch, which takes it a minute each.
    torch.jit.set_fusion_strategy([("DYNAMIC", 0)])
    network = network_of(data).to(torch.float32)
    training, size = kind == "train", size_of(network)
    for parameter in network.parameters():
        parameter.requires_grad_(training)

    def predict(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        found = network({**inputs, "positions": inputs["positions"].detach().clone()}, training=training)
        return found["energy"], found["forces"]

    batches = [join(data, batch) for batch in random_batches(data, batch_size)]
    step = make_step(network, predict) if training else None
    steps = []
    for batch in batches:
        inputs = inputs_of(batch)
        labels = torch.tensor(batch["energy"]), torch.tensor(batch["forces"])
        if step is not None:
            steps.append(lambda inputs=inputs, labels=labels: step(inputs, *labels))
        else:
            steps.append(lambda inputs=inputs: predict(inputs))
    return Program(steps, [len(batch["sizes"]) for batch in batches], size, version("mace-torch"))
