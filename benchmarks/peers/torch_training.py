"""Training step of the programs on PyTorch: the loss, Adam and the moving average of ``benchmarks/throughput.py``."""

from collections.abc import Callable
from typing import Any

import torch


def make_step(
    model: torch.nn.Module, predict: Callable[[Any], tuple[torch.Tensor, torch.Tensor]]
) -> Callable[[Any, torch.Tensor, torch.Tensor], None]:
    """Step ``(inputs, energy, forces)``; ``predict`` gives energies and forces with the graph to differentiate them."""
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    parameters = list(model.parameters())
    average = [p.detach().clone() for p in parameters]

    def step(inputs: Any, energy: torch.Tensor, forces: torch.Tensor) -> None:
        optimiser.zero_grad(set_to_none=True)
        found_energy, found_forces = predict(inputs)
        norms = torch.linalg.vector_norm(found_forces - forces, dim=1)
        loss = 4.0 * (found_energy - energy).abs().mean() + 100.0 * norms.mean()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 0.001)

    return step


def size_of(model: torch.nn.Module) -> int:
    """Numbers that are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
