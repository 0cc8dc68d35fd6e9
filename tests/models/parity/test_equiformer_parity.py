"""EquiformerV2 is fairchem's: its random weights, carried over, give the same energies and forces.

The peer is put together from the component files of fairchem-core 1.10 as its backbone and heads do; the package itself
needs compiled extensions (torch_scatter) and is not imported. Compared is the published form without an envelope
(``smooth_cutoff=False``), and the sum over atoms, not divided by a mean number of atoms. fairchem draws the gauge of
each edge at random and keeps its rotations out of the gradient: the forces here are central differences of its energy.
"""

import dataclasses
import importlib.util
import sys
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from parity_frames import ELEMENTS, NORMALISATION, assert_parity

from compbench_jax.models.equiformer_v2 import EquiformerV2Config
from compbench_jax.models.registry import MODELS, n_parameters

pytestmark = pytest.mark.slow

REASON = (
    "needs fairchem-core's components: pip install --no-deps fairchem-core==1.10.0 "
    "and pip install e3nn torch_geometric pyyaml orjson tqdm ase torch"
)
torch = pytest.importorskip("torch", reason=REASON)
for needed in ("e3nn", "torch_geometric"):
    pytest.importorskip(needed, reason=REASON)

CONFIG = EquiformerV2Config(
    channels=12,
    l_max=3,
    m_max=2,
    attention_channels=10,
    heads=2,
    alpha_channels=6,
    value_channels=5,
    ffn_channels=7,
    edge_channels=8,
    n_basis=600,
    grid_resolution=18,
    gauss_grid=False,
    smooth_cutoff=False,
)


def components():
    """Component modules of fairchem, imported without running the initialisation of its packages."""
    spec = importlib.util.find_spec("fairchem.core") if importlib.util.find_spec("fairchem") else None
    if spec is None:
        pytest.skip(REASON)
    name, path = "fairchem.core", spec.submodule_search_locations[0]
    for part in ("", ".common", ".models", ".models.equiformer_v2", ".models.scn"):
        package = ModuleType(name + part)
        package.__path__ = [path + part.replace(".", "/")]
        sys.modules[name + part] = package
    names = ("so3", "input_block", "layer_norm", "transformer_block", "edge_rot_mat")
    modules = {n: importlib.import_module(f"{name}.models.equiformer_v2.{n}") for n in names}
    modules["smearing"] = importlib.import_module(f"{name}.models.scn.smearing")
    return modules


@pytest.fixture(scope="module")
def peer():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield Peer(components(), CONFIG, len(ELEMENTS))
    torch.set_default_dtype(before)


class Peer(torch.nn.Module):
    """Backbone, energy head and force head, in the order of fairchem's ``forward``."""

    def __init__(self, m, c, n):
        super().__init__()
        self.modules_of, self.config = m, c
        so3, blocks = m["so3"], m["transformer_block"]
        lists = [c.l_max], [c.m_max]
        self.rotation = torch.nn.ModuleList([so3.SO3_Rotation(c.l_max)])
        mapping = so3.CoefficientMappingModule(*lists)
        grid = {
            c.l_max: {
                order: so3.SO3_Grid(c.l_max, order, "component", c.grid_resolution) for order in (c.m_max, c.l_max)
            }
        }
        self.smearing = m["smearing"].GaussianSmearing(0.0, c.cutoff, c.n_basis, 2.0)
        widths = [c.n_basis, c.edge_channels, c.edge_channels]
        self.embedding = torch.nn.Embedding(n, c.channels)
        self.edge_degree = m["input_block"].EdgeDegreeEmbedding(
            c.channels, *lists, self.rotation, mapping, n, widths, True, NORMALISATION.average_neighbours
        )
        settings = dict(use_grid_mlp=True, use_sep_s2_act=True)
        sizes = c.attention_channels, c.heads, c.alpha_channels, c.value_channels
        self.blocks = torch.nn.ModuleList(
            blocks.TransBlockV2(
                c.channels,
                *sizes,
                c.ffn_channels,
                c.channels,
                *lists,
                self.rotation,
                mapping,
                grid,
                n,
                widths,
                norm_type="layer_norm_sh",
                **settings,
            )
            for _ in range(c.layers)
        )
        self.norm = m["layer_norm"].get_normalization_layer("layer_norm_sh", lmax=c.l_max, num_channels=c.channels)
        self.energy = blocks.FeedForwardNetwork(c.channels, c.ffn_channels, 1, *lists, grid, **settings)
        self.forces = blocks.SO2EquivariantGraphAttention(
            c.channels, *sizes, 1, *lists, self.rotation, mapping, grid, n, widths
        )
        # Initial biases of zero, and weights of one, would hide a mistake in carrying them over.
        for name, parameter in self.named_parameters():
            if name.endswith(("bias", "affine_weight")) or ".norm" in name or "embedding" in name:
                parameter.data += 0.3 * torch.randn_like(parameter)

    def forward(self, species, positions, edges):
        vectors = positions[edges[0]] - positions[edges[1]]
        self.rotation[0].set_wigner(self.modules_of["edge_rot_mat"].init_edge_rot_mat(vectors))
        x = self.modules_of["so3"].SO3_Embedding(
            len(species), [self.config.l_max], self.config.channels, "cpu", torch.float64
        )
        x.embedding[:, 0] = self.embedding(species)
        basis = self.smearing(vectors.norm(dim=1))
        x.embedding = x.embedding + self.edge_degree(species, basis, edges, len(species)).embedding
        for block in self.blocks:
            x = block(x, species, basis, edges, batch=torch.zeros_like(species))
        x.embedding = self.norm(x.embedding)
        energy = self.energy(x.clone()).embedding[:, 0].sum()
        return energy, self.forces(x, species, basis, edges).embedding[:, 1:4, 0]

    def energy_and_direct_forces(self, numbers, positions, senders, receivers):
        species = torch.as_tensor(np.searchsorted(ELEMENTS, numbers))
        with torch.no_grad():
            energy, forces = self(species, torch.as_tensor(positions), torch.as_tensor(np.stack([senders, receivers])))
        return float(energy), forces.numpy()

    def energy_and_gradient(self, *graph):
        numbers, positions, senders, receivers = graph
        forces, step = np.zeros_like(positions), 3e-4
        for index in np.ndindex(*positions.shape):
            for move, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
                moved = positions.copy()
                moved[index] += move * step
                forces[index] -= (
                    weight * self.energy_and_direct_forces(numbers, moved, senders, receivers)[0] / (12 * step)
                )
        return self.energy_and_direct_forces(*graph)[0], forces


def array(tensor):
    return tensor.detach().numpy()


def dense(linear):
    bias = {} if linear.bias is None else {"bias": array(linear.bias)}
    return {"kernel": array(linear.weight).T} | bias


def by_degree(linear):
    return {"kernel": array(linear.weight).swapaxes(1, 2), "bias": array(linear.bias)}


def layer_norm(norm):
    return {"scale": array(norm.weight), "bias": array(norm.bias)}


def separable(norm):
    return {"scalars": layer_norm(norm.norm_l0), "weight": array(norm.affine_weight)}


def radial(block, network):
    first, norm_0, _, second, norm_1, _, last = network.net
    return dense(first) | {
        "source": array(block.source_embedding.weight),
        "target": array(block.target_embedding.weight),
        "norm_0": layer_norm(norm_0),
        "dense_1": dense(second),
        "norm_1": layer_norm(norm_1),
        "dense_2": dense(last),
    }


def convolution(block):
    return {"m0": dense(block.fc_m0)} | {f"m{m}": dense(conv.fc) for m, conv in enumerate(block.so2_m_conv, 1)}


def attention(block):
    return {
        "radial": radial(block, block.so2_conv_1.rad_func),
        "convolution_1": convolution(block.so2_conv_1),
        "convolution_2": convolution(block.so2_conv_2),
        "alpha_norm": layer_norm(block.alpha_norm),
        "alpha_dot": array(block.alpha_dot),
        "projection": by_degree(block.proj),
    }


def feed_forward(block):
    return {
        "scalars": dense(block.scalar_mlp[0]),
        "linear_1": by_degree(block.so3_linear_1),
        "linear_2": by_degree(block.so3_linear_2),
    } | {f"grid_{i}": dense(block.grid_mlp[2 * i]) for i in range(3)}


def carried_over(peer, direct):
    blocks = [
        {
            "norm_1": separable(block.norm_1),
            "attention": attention(block.ga),
            "norm_2": separable(block.norm_2),
            "ffn": feed_forward(block.ffn),
        }
        for block in peer.blocks
    ]
    params = {
        "embedding": {"embedding": array(peer.embedding.weight)},
        "edge_degree": {"radial": radial(peer.edge_degree, peer.edge_degree.rad_func)},
        "blocks": jax.tree.map(lambda *layers: np.stack(layers), *blocks),
        "norm": separable(peer.norm),
        "energy": feed_forward(peer.energy),
    }
    return {"params": params | ({"forces": attention(peer.forces)} if direct else {})}


def test_energies_and_their_gradients(peer):
    """As exact as the differences; energies agree to 1e-8, see below."""
    assert_parity(CONFIG, carried_over(peer, direct=False), peer.energy_and_gradient, rtol=1e-6)


def test_energies_and_direct_forces(peer):
    """As exact as the random gauge of the peer leaves them on grids of 18."""
    config = dataclasses.replace(CONFIG, direct_forces=True)
    assert_parity(config, carried_over(peer, direct=True), peer.energy_and_direct_forces, rtol=1e-8)


def test_paper_preset_has_as_many_parameters(peer):
    """Exactly, with the ninety elements of the publication: 31 M."""
    config = MODELS["equiformer_v2-paper"]
    network = config.build(dataclasses.replace(NORMALISATION, elements=tuple(range(1, 91))))
    nodes, edges = jnp.zeros(2, int), jnp.zeros(2, int)
    shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, 3)), nodes, edges, edges)
    published = sum(parameter.numel() for parameter in Peer(peer.modules_of, config, 90).parameters())
    assert n_parameters(shapes) == published
    assert round(published / 1e6) == 31
