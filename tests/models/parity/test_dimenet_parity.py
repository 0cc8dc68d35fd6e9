"""DimeNet++ is torch_geometric's ``DimeNetPlusPlus``: its weights, carried over, give the same energies and forces.

The peer's blocks are called as its ``forward`` does, with edges and triplets made here: its own neighbour search needs
a compiled extension. Its zeros of the spherical Bessel functions are rounded to float32, which limits the agreement.
"""

import numpy as np
import pytest
from parity_frames import ELEMENTS, assert_parity

from compbench_jax.models.dimenet import DimeNetConfig

pytestmark = pytest.mark.slow

REASON = "needs torch_geometric: pip install torch torch_geometric sympy scipy"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("torch_geometric", reason=REASON)
pytest.importorskip("sympy", reason=REASON)

CONFIG = DimeNetConfig(features=16, blocks=2, triplet_features=10, basis_features=4, output_features=12)


@pytest.fixture(scope="module")
def model():
    from torch_geometric.nn.models import DimeNetPlusPlus

    torch.manual_seed(0)
    c = CONFIG
    model = DimeNetPlusPlus(
        hidden_channels=c.features,
        out_channels=1,
        num_blocks=c.blocks,
        int_emb_size=c.triplet_features,
        basis_emb_size=c.basis_features,
        out_emb_channels=c.output_features,
        num_spherical=c.n_spherical,
        num_radial=c.n_basis,
        cutoff=c.cutoff,
        envelope_exponent=c.envelope - 1,
        num_before_skip=c.before_skip,
        num_after_skip=c.after_skip,
        num_output_layers=c.output_layers,
        output_initializer="glorot_orthogonal",
    ).double()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or name == "rbf.freq":  # Their initial values would hide a mistake.
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def carried_over(model):
    """Parameters of ours from the peer's."""

    def dense(linear):
        kernel = {"kernel": linear.weight.detach().numpy().T}
        return kernel if linear.bias is None else kernel | {"bias": linear.bias.detach().numpy()}

    def residual(layer):
        return {"lin1": dense(layer.lin1), "lin2": dense(layer.lin2)}

    params = {
        "frequencies": model.rbf.freq.detach().numpy(),
        "embedding": {
            "atoms": model.emb.emb.weight.detach().numpy()[list(ELEMENTS)],
            "lin_rbf": dense(model.emb.lin_rbf),
            "lin": dense(model.emb.lin),
        },
    }
    for i, block in enumerate(model.output_blocks):
        params[f"output_{i}"] = {name: dense(getattr(block, name)) for name in ("lin_rbf", "lin_up", "lin")}
        params[f"output_{i}"] |= {f"lin_{k}": dense(layer) for k, layer in enumerate(block.lins)}
    names = ("lin_rbf1", "lin_rbf2", "lin_sbf2", "lin_kj", "lin_ji", "lin_down", "lin_up", "lin")
    for i, block in enumerate(model.interaction_blocks):
        ours = {name: dense(getattr(block, name)) for name in names}
        ours["lin_sbf1"] = block.lin_sbf1.weight.detach().numpy().T.reshape(CONFIG.n_spherical, CONFIG.n_basis, -1)
        ours |= {f"before_skip_{k}": residual(layer) for k, layer in enumerate(block.layers_before_skip)}
        ours |= {f"after_skip_{k}": residual(layer) for k, layer in enumerate(block.layers_after_skip)}
        params[f"interaction_{i}"] = ours
    return {"params": params}


def test_energies_and_forces_are_torch_geometrics(model):
    def peer(numbers, positions, senders, receivers):
        pairs = [
            (kj, ji)
            for ji in range(len(senders))
            for kj in np.flatnonzero(receivers == senders[ji])
            if senders[kj] != receivers[ji]
        ]
        kj, ji = torch.as_tensor(np.array(pairs).T)
        j, i, z = (torch.as_tensor(x, dtype=torch.long) for x in (senders, receivers, numbers))
        x = torch.tensor(positions, requires_grad=True)
        vectors = x[i] - x[j]
        distances = vectors.norm(dim=1)
        a = (vectors[ji] * vectors[kj]).sum(-1)
        angles = torch.atan2(torch.linalg.cross(vectors[ji], vectors[kj]).norm(dim=1), a)
        rbf, sbf = model.rbf(distances), model.sbf(distances, angles, kj)
        messages = model.emb(z, rbf, i, j)
        total = model.output_blocks[0](messages, rbf, i, len(z))
        for interaction, output in zip(model.interaction_blocks, model.output_blocks[1:], strict=True):
            messages = interaction(messages, rbf, sbf, kj, ji)
            total = total + output(messages, rbf, i, len(z))
        energy = total.sum()
        return float(energy.detach()), -torch.autograd.grad(energy, x)[0].numpy()

    assert_parity(CONFIG, carried_over(model), peer, rtol=1e-5)
