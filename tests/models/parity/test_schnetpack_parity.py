"""SchNet and PaiNN are schnetpack's: its random weights, copied one to one, give the same energies and forces.

All definitions coincide. schnetpack computes the constants of its radial bases in float32, which here are set again in
float64, since they alone would limit the agreement to 1e-7.
"""

from typing import TypeVar

import numpy as np
import pytest
from parity_frames import ELEMENTS, assert_parity

from compbench_jax.models.painn import PaiNNConfig
from compbench_jax.models.schnet import SchNetConfig

pytestmark = pytest.mark.slow

REASON = (
    "needs schnetpack: pip install 'compbench_jax[parity]' and then pip install --no-deps schnetpack==2.1.1 "
    "(its pin of sympy contradicts torch's)"
)
torch = pytest.importorskip("torch", reason=REASON)
# schnetpack 2.1 annotates with a type variable that torch has since dropped.
torch.utils.data.dataloader.__dict__.setdefault("T_co", TypeVar("T_co"))
schnetpack = pytest.importorskip("schnetpack", reason=REASON)


@pytest.fixture(autouse=True)
def _double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # schnetpack is built in it, whatever ran before
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


def dense(layer):
    """A linear layer's weights as flax has them. Biases start as zero: random ones, to see that they are used."""
    if layer.bias is None:
        return {"kernel": layer.weight.detach().numpy().T}
    with torch.no_grad():
        layer.bias.normal_(std=0.1)
    return {"kernel": layer.weight.detach().numpy().T, "bias": layer.bias.detach().numpy()}


def numbered(name, layers):
    return {f"{name}_{i}": dense(layer) for i, layer in enumerate(layers)}


def embedding(representation):
    return {"embedding": representation.embedding.weight.detach().numpy()[list(ELEMENTS)]}


def to_double(*modules):
    for module in modules:
        module.double()
    torch.set_default_dtype(torch.float64)


def gradient_peer(representation, readout):
    """Energies and forces as schnetpack's own ``Atomwise`` and ``Forces`` compute them."""

    def peer(numbers, positions, senders, receivers):
        r = torch.tensor(positions, requires_grad=True)
        inputs = inputs_of(numbers, r, senders, receivers)
        energy = readout(representation(inputs))["y"].sum()
        return energy.item(), -torch.autograd.grad(energy, r)[0].numpy()

    return peer


def inputs_of(numbers, r, senders, receivers):
    i, j = torch.tensor(receivers), torch.tensor(senders)
    return {
        "_atomic_numbers": torch.tensor(numbers, dtype=torch.long),
        "_Rij": r[j] - r[i],
        "_idx_i": i,
        "_idx_j": j,
        "_idx_m": torch.zeros(len(numbers), dtype=torch.long),
    }


@pytest.mark.parametrize("filters", [None, 12])
def test_schnet(filters):
    config = SchNetConfig(features=16, interactions=3, n_basis=20, filters=filters)
    basis = schnetpack.nn.GaussianRBF(n_rbf=20, cutoff=5.0)
    representation = schnetpack.representation.SchNet(16, 3, basis, schnetpack.nn.CosineCutoff(5.0), n_filters=filters)
    softplus = schnetpack.nn.activations.shifted_softplus
    readout = schnetpack.atomistic.Atomwise(16, activation=softplus)
    to_double(representation, readout)
    basis.offsets = torch.linspace(0.0, 5.0, 20)
    basis.widths = torch.full((20,), 5.0 / 19)
    params = {"embedding": embedding(representation), **numbered("output", readout.outnet)}
    for i, block in enumerate(representation.interactions):
        params[f"interaction_{i}"] = {
            "in2f": dense(block.in2f),
            **numbered("filter", block.filter_network),
            **numbered("f2out", block.f2out),
        }
    assert_parity(config, {"params": params}, gradient_peer(representation, readout), rtol=1e-11)


def painn(n_basis=12):
    basis = schnetpack.nn.BesselRBF(n_rbf=n_basis, cutoff=5.0)
    representation = schnetpack.representation.PaiNN(16, 3, basis, schnetpack.nn.CosineCutoff(5.0))
    to_double(representation)
    basis.freqs = torch.arange(1, n_basis + 1) * (np.pi / 5.0)
    params = {"embedding": embedding(representation)}
    filters = dense(representation.filter_net)
    for i, (interaction, mixing) in enumerate(zip(representation.interactions, representation.mixing, strict=True)):
        own = slice(48 * i, 48 * (i + 1))
        params[f"filter_net_{i}"] = {"kernel": filters["kernel"][:, own], "bias": filters["bias"][own]}
        params[f"interaction_{i}"] = numbered("interatomic_context_net", interaction.interatomic_context_net)
        params[f"mixing_{i}"] = {
            "mu_channel_mix": dense(mixing.mu_channel_mix),
            **numbered("intraatomic_context_net", mixing.intraatomic_context_net),
        }
    return representation, params


def test_painn():
    config = PaiNNConfig(features=16, interactions=3, n_basis=12)
    representation, params = painn()
    readout = schnetpack.atomistic.Atomwise(16)
    to_double(readout)
    params |= numbered("outnet", readout.outnet)
    assert_parity(config, {"params": params}, gradient_peer(representation, readout), rtol=1e-11)


def test_painn_with_direct_forces():
    """The gated equivariant readout, as its dipole moment uses it, read as an energy and a force an atom."""
    config = PaiNNConfig(features=16, interactions=3, n_basis=12, direct_forces=True)
    representation, params = painn()
    readout = schnetpack.nn.build_gated_equivariant_mlp(16, 1)
    to_double(readout)
    for i, block in enumerate(readout):
        params[f"outnet_{i}"] = {
            "mix_vectors": dense(block.mix_vectors),
            **numbered("scalar_net", block.scalar_net),
        }

    def peer(numbers, positions, senders, receivers):
        found = representation(inputs_of(numbers, torch.tensor(positions), senders, receivers))
        scalars, vectors = readout((found["scalar_representation"], found["vector_representation"]))
        return scalars.sum().item(), vectors[:, :, 0].detach().numpy()

    assert_parity(config, {"params": params}, peer, rtol=1e-11)
