"""A trained potential as a model of TorchSim (``torch-sim-atomistic``), which integrates many molecules at once."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.geometry import centred, refuse_overlapping, refuse_unresolved
from compbench_jax.batching.neighbours import neighbour_lists
from compbench_jax.batching.packing import BatchShape, Packed
from compbench_jax.batching.topology import given_graphs, topology_of
from compbench_jax.batching.triplets import most_incoming
from compbench_jax.deploy.ase_calculator import grown
from compbench_jax.errors import CompBenchError
from compbench_jax.models.precision import dtype_of
from compbench_jax.store.frames import unlabelled
from compbench_jax.training.loaded_run import LoadedRun, load_run, with_precision

try:
    import torch
    from torch_sim.models.interface import ModelInterface
except ImportError as error:
    raise CompBenchError(f"TorchSim cannot be imported ({error}): pip install torch-sim-atomistic") from error


class TorchSimModel(ModelInterface):
    """Energies and forces of the molecules of a TorchSim state, in one padded batch per call.

    JAX computes on its own device; positions, energies and forces go through the host, in float64.

    Args:
        run: folder of a run, or a loaded run.
        device: of the tensors that it returns.

    Raises:
        RunError: the run is missing or damaged.
    """

    def __init__(self, run: str | Path | LoadedRun, device: str | torch.device = "cpu"):
        super().__init__()
        self.run = run if isinstance(run, LoadedRun) else with_precision(load_run(run))
        self._device, self._dtype = torch.device(device), torch.float64
        self._compute_stress, self._compute_forces = False, True
        self._params, self._step = jax.device_put(self.run.fast_params), jax.jit(self.run.potential.energy_and_forces)
        self._shape = BatchShape(0, 0, 0, 0)

    def forward(self, state: Any, **ignored: Any) -> dict[str, torch.Tensor]:
        """Total energies, eV ``energy [n_systems]``, and eV/Å ``forces [n_atoms, 3]``.

        Raises:
            CompBenchError: an unknown element, a periodic cell, or overlapping atoms.
        """
        potential, normalisation = self.run.potential, self.run.potential.normalisation
        if bool(torch.as_tensor(state.pbc).any()):
            raise CompBenchError("the potential is for isolated molecules: make the state with pbc = False")
        numbers, owner = (getattr(state, name).detach().cpu().numpy() for name in ("atomic_numbers", "system_idx"))
        positions = state.positions.detach().cpu().numpy().astype(np.float64)
        sizes = np.bincount(owner)
        frames = unlabelled(numbers, positions, sizes)
        refuse_unresolved(frames)
        edges = neighbour_lists(frames, potential.cutoff)
        refuse_overlapping(frames, edges)
        graphs = given_graphs(frames, None) if potential.needs_bonds else None
        bonds = None if graphs is None else topology_of(frames, graphs).neighbours
        ends = edges.receivers + np.repeat(frames.offsets[:-1], edges.n_edges)
        incoming = most_incoming(ends) if potential.triplets else 0
        self._shape = grown(self._shape, len(numbers) + 1, len(ends), len(sizes) + 1, incoming)
        dataset = GraphDataset.build(
            centred(frames, edges, dtype_of(potential.precision), whole=potential.long_range, bonds=bonds),
            elements=normalisation.elements,
            reference_energies=normalisation.reference_energies,
            cutoff=potential.cutoff,
            batch_size=len(sizes),
            shape=self._shape,
            graphs=graphs,
            triplets=potential.triplets,
            dtype=dtype_of(potential.precision),
        )
        batch = dataset.batch(Packed(self._shape, np.arange(len(sizes))))
        energy, forces = (np.asarray(x, np.float64) for x in jax.device_get(self._step(self._params, batch)))
        found = {"energy": energy[: len(sizes)] + dataset.reference, "forces": forces[: len(numbers)]}
        return {key: torch.as_tensor(value, device=self._device) for key, value in found.items()}
