"""GemNet-T is made of fairchem's blocks: their random weights, carried over, give the same energies and forces.

The peer is put together from the component files of fairchem-core 1.10 as its ``GemNetT.forward`` does; the package
itself needs compiled extensions (torch_scatter, torch_sparse) and is not imported. Its circular basis multiplies all
degrees by the same radial functions; in its place stands the paper's, made from the package's own formulas of the
spherical Bessel functions (whose zeros are rounded to float32, which limits the agreement).
"""

import dataclasses
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from parity_frames import ELEMENTS, assert_parity

from compbench_jax.models.gemnet import GemNetConfig

pytestmark = pytest.mark.slow

REASON = (
    "needs fairchem-core's components: pip install --no-deps fairchem-core==1.10.0 "
    "and pip install torch torch_geometric sympy scipy"
)
torch = pytest.importorskip("torch", reason=REASON)
for needed in ("torch_geometric", "sympy"):
    pytest.importorskip(needed, reason=REASON)

CONFIG = GemNetConfig(
    atom_features=12,
    edge_features=14,
    triplet_features=10,
    bilinear_features=8,
    radial_features=6,
    circular_features=5,
    after_skip=2,
    n_spherical=5,
    n_basis=4,
)


@lru_cache
def components():
    """Component modules of fairchem, imported without running the initialisation of its packages."""
    spec = importlib.util.find_spec("fairchem")
    path = Path(spec.submodule_search_locations[0], "core") if spec else None
    if path is None or not (path / "models/gemnet").exists():
        pytest.skip(REASON)
    found = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("fairchem.core")}
    if importlib.util.find_spec("torch_scatter") is None:
        found["torch_scatter"] = None
        sys.modules["torch_scatter"] = ModuleType("torch_scatter")
        sys.modules["torch_scatter"].scatter = scatter
    try:
        for part in ("", ".common", ".models", ".models.gemnet", ".models.gemnet.layers", ".modules"):
            package = ModuleType("fairchem.core" + part)
            package.__path__ = [str(path) + part.replace(".", "/")]
            sys.modules["fairchem.core" + part] = package
        layers = ("base_layers", "basis_utils", "efficient", "embedding_block", "interaction_block")
        names = (*layers, "atom_update_block", "radial_basis")
        return {name: importlib.import_module(f"fairchem.core.models.gemnet.layers.{name}") for name in names}
    finally:  # Other tests find the modules as they were.
        for name in [name for name in sys.modules if name.startswith("fairchem.core")]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in found.items() if module is not None})
        if "torch_scatter" in found:
            del sys.modules["torch_scatter"]


def scatter(values, index, dim, dim_size, reduce):
    """What the components need of torch_scatter."""
    assert dim == 0 and reduce in ("sum", "add")
    return values.new_zeros(dim_size, *values.shape[1:]).index_add(0, index, values)


class Peer(torch.nn.Module):
    """GemNet-T in the order of fairchem's ``forward``."""

    def __init__(self, m, c):
        import sympy

        super().__init__()
        dense = m["base_layers"].Dense
        sizes = dict(emb_size_atom=c.atom_features, emb_size_edge=c.edge_features, emb_size_rbf=c.radial_features)
        self.config = c
        envelope = {"name": "polynomial", "exponent": c.envelope}
        self.radial = m["radial_basis"].RadialBasis(c.n_basis, c.cutoff, {"name": "spherical_bessel"}, envelope)
        x, z = sympy.symbols("x z")
        functions = {"sin": torch.sin, "cos": torch.cos, "sqrt": np.sqrt}
        forms = m["basis_utils"].bessel_basis(c.n_spherical, c.n_basis)
        self.bessel = [[sympy.lambdify([x], form, functions) for form in row] for row in forms]
        harmonics = m["basis_utils"].real_sph_harm(c.n_spherical, use_theta=False, zero_m_only=True)
        self.harmonics = [sympy.lambdify([z], row[0], functions) for row in harmonics]
        self.mlp_rbf = torch.nn.ModuleDict(
            {use: dense(c.n_basis, c.radial_features) for use in ("triplet", "atom", "output")}
        )
        self.mlp_cbf = m["efficient"].EfficientInteractionDownProjection(c.n_spherical, c.n_basis, c.circular_features)
        self.atoms = m["embedding_block"].AtomEmbedding(c.atom_features, max(ELEMENTS))
        self.edge_embedding = m["embedding_block"].EdgeEmbedding(
            c.atom_features, c.n_basis, c.edge_features, activation="silu"
        )
        self.blocks = torch.nn.ModuleList(
            m["interaction_block"].InteractionBlockTripletsOnly(
                **sizes,
                emb_size_trip=c.triplet_features,
                emb_size_cbf=c.circular_features,
                emb_size_bil_trip=c.bilinear_features,
                num_before_skip=c.before_skip,
                num_after_skip=c.after_skip,
                num_concat=c.after_concat,
                num_atom=c.atom_layers,
                activation="silu",
            )
            for _ in range(c.blocks)
        )
        self.outputs = torch.nn.ModuleList(
            m["atom_update_block"].OutputBlock(
                **sizes, nHidden=c.atom_layers, num_targets=1, activation="silu", direct_forces=c.direct_forces
            )
            for _ in range(c.blocks + 1)
        )
        for name, parameter in self.named_parameters():
            if name.endswith("scale_factor"):
                parameter.data.fill_(float(torch.empty(()).uniform_(0.7, 1.5)))
            if name.endswith("frequencies"):
                parameter.data += 0.1 * torch.randn_like(parameter)

    def circular(self, distances):
        """The paper's radial part, ``[n_spherical, n_edge, n_basis]``."""
        x = distances / self.config.cutoff
        values = torch.stack([torch.stack([f(x) for f in row], -1) for row in self.bessel])
        return self.config.cutoff**-1.5 * self.radial.envelope(x)[:, None] * values

    def forward(self, numbers, positions, senders, receivers):
        ca, ba = np.nonzero((receivers[:, None] == receivers) & (senders[:, None] != senders))
        copy = np.concatenate([np.arange(n) for n in np.bincount(ca, minlength=len(senders))])
        swap = np.lexsort((receivers, senders))
        ca, ba, copy, swap, s, t, z = (
            torch.as_tensor(i).long() for i in (ca, ba, copy, swap, senders, receivers, numbers)
        )
        vectors = positions[t] - positions[s]
        distances = vectors.norm(dim=1)
        directions = vectors / distances[:, None]
        cosines = (directions[ca] * directions[ba]).sum(-1)
        angular = torch.stack([f(cosines) + torch.zeros_like(cosines) for f in self.harmonics], 1)
        rbf = self.radial(distances)
        cbf = self.mlp_cbf(self.circular(distances), angular, ca, copy)
        bases = {use: layer(rbf) for use, layer in self.mlp_rbf.items()}
        h = self.atoms(z)
        m = self.edge_embedding(h, rbf, s, t)
        energies, along = self.outputs[0](h, m, bases["output"], t)
        for block, output in zip(self.blocks, self.outputs[1:], strict=True):
            h, m = block(h, m, bases["triplet"], cbf, copy, swap, ba, ca, bases["atom"], s, t)
            more = output(h, m, bases["output"], t)
            energies, along = energies + more[0], along + more[1]
        return energies.sum(), along, directions, t


def carried_over(peer):
    """Parameters of ours from the peer's."""
    array = {name: p.detach().numpy() for name, p in peer.named_parameters()}

    def dense(name):
        return {"linear": {"kernel": array[f"{name}.linear.weight"].T}}

    def residual(name):
        return {str(k): dense(f"{name}.dense_mlp.{k}") for k in (0, 1)}

    def scale(name):
        return {"scale": array[f"{name}.scale_factor"]}

    def mlp(name, ours):
        layers = {f"{ours}_0": dense(f"{name}.0")}
        return layers | {f"{ours}_{k}": residual(f"{name}.{k}") for k in range(1, CONFIG.atom_layers + 1)}

    def atom_update(name):
        ours = {"dense_rbf": dense(f"{name}.dense_rbf"), "scale_sum": scale(f"{name}.scale_sum")}
        return ours | mlp(f"{name}.layers", "layers")

    params = {
        "frequencies": array["radial.rbf.frequencies"],
        "atoms": array["atoms.embeddings.weight"][np.array(ELEMENTS) - 1],
        "mlp_cbf": array["mlp_cbf.weight"],
        "edge_embedding": {"dense": dense("edge_embedding.dense")},
    }
    params |= {f"mlp_rbf_{use}": dense(f"mlp_rbf.{use}") for use in ("triplet", "atom", "output")}
    for i in range(CONFIG.blocks):
        block, trip = f"blocks.{i}", f"blocks.{i}.trip_interaction"
        names = ("dense_ba", "mlp_rbf", "down_projection", "up_projection_ca", "up_projection_ac")
        interaction = {name: dense(f"{trip}.{name}") for name in names}
        interaction |= {name: scale(f"{trip}.{name}") for name in ("scale_rbf", "scale_cbf_sum")}
        interaction["bilinear"] = array[f"{trip}.mlp_cbf.weight"]
        ours = {"trip_interaction": interaction, "dense_ca": dense(f"{block}.dense_ca")}
        ours |= {"atom_update": atom_update(f"{block}.atom_update")}
        ours |= {"concat": {"dense": dense(f"{block}.concat_layer.dense")}}
        for theirs, name, n in (
            ("layers_before_skip", "before_skip", CONFIG.before_skip),
            ("layers_after_skip", "after_skip", CONFIG.after_skip),
            ("residual_m", "residual_m", CONFIG.after_concat),
        ):
            ours |= {f"{name}_{k}": residual(f"{block}.{theirs}.{k}") for k in range(n)}
        params[f"interaction_{i}"] = ours
    for i in range(CONFIG.blocks + 1):
        name = f"outputs.{i}"
        params[f"output_{i}"] = {"atoms": atom_update(name), "out_energy": dense(f"{name}.out_energy")}
        if peer.config.direct_forces:
            params[f"output_{i}"] |= mlp(f"{name}.seq_forces", "seq_forces")
            params[f"output_{i}"]["dense_rbf_forces"] = dense(f"{name}.dense_rbf_F")
            params[f"output_{i}"]["scale_rbf_forces"] = scale(f"{name}.scale_rbf_F")
            params[f"output_{i}"]["out_forces"] = dense(f"{name}.out_forces")
    return {"params": params}


@pytest.mark.parametrize("direct", [False, True])
def test_energies_and_forces_are_those_of_fairchems_blocks(direct):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, direct_forces=direct)
    model = Peer(components(), config).double()

    def peer(numbers, positions, senders, receivers):
        x = torch.tensor(positions, requires_grad=True)
        energy, along, directions, targets = model(numbers, x, senders, receivers)
        if direct:
            forces = scatter(along * directions, targets, 0, len(numbers), "sum").detach()
        else:
            forces = -torch.autograd.grad(energy, x)[0]
        return float(energy.detach()), forces.numpy()

    assert_parity(config, carried_over(model), peer, rtol=1e-5)
