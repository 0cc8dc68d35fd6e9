"""InstaDeep's mlip at the work of ``worker.py``: its networks, its batches, its training step.

Its MACE gets the skip connection in the first layer (an option), in place of the mixing of messages by element that it
does otherwise: with it the network is the one of compbench_jax and mace-torch, but for dependent paths in the products.
"""

from importlib.metadata import version
from typing import Any

import jax
import numpy as np
import optax
from mlip.data import ChemicalSystem
from mlip.data.chemical_systems_readers.chemical_systems_reader import ChemicalSystemsReader
from mlip.data.configs import GraphDatasetBuilderConfig
from mlip.data.single_graph_dataset_builder import SingleGraphDatasetBuilder
from mlip.models import ForceField
from mlip.models.loss import MSELoss
from mlip.models.mace.network import Mace
from mlip.models.nequip.network import Nequip
from mlip.training.ema import exponentially_moving_average
from mlip.training.training_state import init_training_state
from mlip.training.training_step import make_train_step
from worker import Program, Structures


class Reader(ChemicalSystemsReader):
    """The structures, which are in memory already."""

    def __init__(self, data: Structures):
        super().__init__("")
        self.data = data

    def load(self) -> list[ChemicalSystem]:
        """All of them."""
        rows = zip(self.data.numbers, self.data.positions, self.data.forces, self.data.energy, strict=True)
        return [ChemicalSystem(atomic_numbers=z, positions=x, forces=f, energy=e) for z, x, f, e in rows]

    def _read_file(self, filepath: Any) -> list[ChemicalSystem]:
        return self.load()


def network_of(model: str, info: Any) -> Any:
    """The network of this name, of the same sizes as ours."""
    if model == "mace-64":
        config = Mace.Config(
            num_layers=2,
            num_channels=64,
            l_max=2,
            node_symmetry=2,
            correlation=2,
            num_rbf=8,
            radial_mlp_hidden=[64, 64, 64],
            residual_connection_first_layer=True,
        )
        return Mace(config, info)
    irreps = "64x0e + 64x0o + 64x1o + 64x1e + 64x2e + 64x2o"
    return Nequip(Nequip.Config(num_layers=4, target_irreps=irreps, l_max=2, radial_mlp_hidden=[64, 64]), info)


def prepare(model: str, kind: str, data: Structures, batch_size: int) -> Program:
    """Its force field; batches shuffled and filled as its own training does."""
    config = GraphDatasetBuilderConfig(graph_cutoff_angstrom=data.cutoff, batch_size=batch_size)
    builder = SingleGraphDatasetBuilder(Reader(data), config, True, shuffle=True)
    dataset = builder.get_dataset()
    force_field = ForceField.from_mlip_network(network_of(model, builder.dataset_info))
    batches = [jax.device_put(graph) for graph in dataset]
    structures = [int(np.sum(graph.graph_mask())) for graph in batches]
    real_edges = sum(int(np.sum(graph.edge_mask())) for graph in batches)
    padding = 1 - real_edges / sum(len(graph.senders) for graph in batches)
    size = sum(leaf.size for leaf in jax.tree.leaves(force_field.params))
    if kind == "train":
        # Plain Adam, as in the other programs; its own chain would clip gradients besides.
        optimiser, average = optax.adam(1e-3), exponentially_moving_average(0.999)
        state = [init_training_state(force_field.params, optimiser, average)]
        mean = float(np.mean(structures))
        step = make_train_step(force_field.predictor, MSELoss(), optimiser, average, mean)

        def train(graph: Any) -> None:
            state[0], _ = jax.block_until_ready(step(state[0], graph, 0))

        call = train
    else:
        predict = jax.jit(force_field.predictor.apply)

        def evaluate(graph: Any) -> None:
            found = predict(force_field.params, graph).to_prediction()
            jax.block_until_ready((found.energy, found.forces))

        call = evaluate
    steps = [lambda graph=graph: call(graph) for graph in batches]
    return Program(steps, structures, size, version("mlip"), padding)
