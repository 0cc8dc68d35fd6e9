"""schnetpack at the work of ``worker.py``: its potentials with their force response, neighbour lists made before."""

from importlib.metadata import version
from typing import Any, TypeVar

import torch
from torch_training import make_step, size_of
from worker import Program, Structures, join, random_batches

# schnetpack 2.1 annotates with a type variable that torch has since dropped.
torch.utils.data.dataloader.__dict__.setdefault("T_co", TypeVar("T_co"))

import schnetpack as spk  # noqa: E402


def network_of(model: str, cutoff: float) -> torch.nn.Module:
    """The potential of this name, of the same sizes as ours."""
    envelope = spk.nn.CosineCutoff(cutoff)
    if model == "schnet-128":
        representation = spk.representation.SchNet(128, 6, spk.nn.GaussianRBF(50, cutoff), envelope)
        readout = spk.atomistic.Atomwise(128, activation=spk.nn.activations.shifted_softplus, output_key="energy")
    else:
        representation = spk.representation.PaiNN(128, 3, spk.nn.BesselRBF(20, cutoff), envelope)
        readout = spk.atomistic.Atomwise(128, output_key="energy")
    return spk.model.NeuralNetworkPotential(
        representation,
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[readout, spk.atomistic.Forces()],
    )


def inputs_of(batch: dict[str, Any]) -> dict[str, torch.Tensor]:
    """A batch as its networks take it."""
    positions = torch.tensor(batch["positions"])
    return {
        "_atomic_numbers": torch.tensor(batch["numbers"]),
        "_positions": positions,
        "_idx_i": torch.tensor(batch["receivers"]),
        "_idx_j": torch.tensor(batch["senders"]),
        "_idx_m": torch.tensor(batch["structure"]),
        "_offsets": torch.zeros(len(batch["senders"]), 3),
        "_n_atoms": torch.tensor(batch["sizes"]),
    }


def prepare(model: str, kind: str, data: Structures, batch_size: int) -> Program:
    """Its potential, in training or evaluation mode."""
    torch.manual_seed(0)
    network = network_of(model, data.cutoff)
    network.train(kind == "train")

    def predict(inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        found = network({**inputs, "_positions": inputs["_positions"].detach().clone()})
        return found["energy"], found["forces"]

    batches = [join(data, batch) for batch in random_batches(data, batch_size)]
    step = make_step(network, predict)
    steps = []
    for batch in batches:
        inputs = inputs_of(batch)
        labels = torch.tensor(batch["energy"]), torch.tensor(batch["forces"])
        if kind == "train":
            steps.append(lambda inputs=inputs, labels=labels: step(inputs, *labels))
        else:
            steps.append(lambda inputs=inputs: predict(inputs))
    return Program(steps, [len(batch["sizes"]) for batch in batches], size_of(network), version("schnetpack"))
