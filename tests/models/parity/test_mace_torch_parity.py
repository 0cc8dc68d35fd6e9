"""MACE is mace-torch's ``ScaleShiftMACE``: its random weights, carried over, give the same energies and forces.

Two definitions differ in form. The weights of the product basis are those of linearly dependent paths in mace-torch; a
constant matrix, found here by least squares between the two bases, takes them to ours. And the constant of the
normalised SiLU is an estimate from a million random numbers in e3nn, three digits of which are right; here ours is set
to it.
"""

from itertools import permutations

import numpy as np
import pytest
from parity_frames import ELEMENTS, NORMALISATION, assert_parity

from compbench_jax.models.equivariant.symmetric import product_basis
from compbench_jax.models.layers import linear
from compbench_jax.models.mace import MACEConfig

pytestmark = pytest.mark.slow

REASON = "needs mace-torch: pip install 'compbench_jax[parity]'"
torch = pytest.importorskip("torch", reason=REASON)
modules = pytest.importorskip("mace.modules", reason=REASON)


@pytest.fixture(autouse=True)
def _double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(autouse=True)
def _same_silu(monkeypatch):
    from e3nn.math import normalize2mom

    estimate = float(normalize2mom(torch.nn.functional.silu).cst)
    np.testing.assert_allclose(estimate, linear.SILU_SECOND_MOMENT, rtol=2e-3)
    monkeypatch.setattr(linear, "SILU_SECOND_MOMENT", estimate)


def mace_torch(config):
    from e3nn import o3

    hidden = o3.Irreps([(config.channels, (degree, (-1) ** degree)) for degree in range(config.hidden_l + 1)])
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.ScaleShiftMACE(
        r_max=config.cutoff,
        num_bessel=config.n_basis,
        num_polynomial_cutoff=config.envelope,
        max_ell=config.l_max,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=config.layers,
        num_elements=len(ELEMENTS),
        hidden_irreps=hidden,
        MLP_irreps=o3.Irreps(f"{config.readout}x0e"),
        atomic_energies=np.zeros(len(ELEMENTS)),
        avg_num_neighbors=NORMALISATION.average_neighbours,
        atomic_numbers=list(ELEMENTS),
        correlation=config.correlation,
        gate=torch.nn.functional.silu,
        radial_MLP=list(config.radial_mlp),
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def array(tensor):
    return tensor.detach().numpy()


def dense(weight, n_in, n_out):
    return {"kernel": array(weight).reshape(n_in, n_out)}


def by_degree(weight, shapes):
    """Cut e3nn's one vector of weights into a matrix for each degree."""
    sizes = [int(np.prod(shape)) for shape in shapes]
    assert len(weight) == sum(sizes)
    parts = np.split(array(weight), np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def change_of_basis(u_matrix, l_in, degree, order):
    """Matrix that takes weights of mace-torch's paths to ours, and the largest error of the polynomials it makes."""
    basis = product_basis(l_in, degree, order)
    n_component = (l_in + 1) ** 2
    theirs = array(u_matrix).reshape(2 * degree + 1, *[n_component] * order, -1)
    rows = [sum(theirs[:, *p] for p in set(permutations(monomial))) for monomial in map(tuple, basis.monomials)]
    theirs = np.stack(rows).reshape(-1, theirs.shape[-1])
    start = sum(n * (2 * d + 1) for d, n in enumerate(basis.n_path[:degree]))
    n_path = basis.n_path[degree]
    ours = basis.matrix[:, start : start + n_path * (2 * degree + 1)].reshape(len(rows), n_path, 2 * degree + 1)
    ours = ours.swapaxes(1, 2).reshape(-1, n_path)
    matrix = np.linalg.lstsq(ours, theirs, rcond=None)[0]
    return matrix, np.abs(ours @ matrix - theirs).max()


def product_weights(contraction, l_in, degree, correlation):
    weights = {correlation: contraction.weights_max}
    weights |= {correlation - 1 - i: weight for i, weight in enumerate(contraction.weights)}
    result = {}
    for order, weight in weights.items():
        matrix, error = change_of_basis(contraction.U_tensors(order), l_in, degree, order)
        assert error < 1e-9, "the two bases do not span the same polynomials"
        if len(matrix):
            result[f"weight_{order}_{degree}"] = np.einsum("pq,sqc->spc", matrix, array(weight))
    return result


def transferred(config, model):
    """Parameters of our network from a mace-torch model."""
    channels, n = config.channels, len(ELEMENTS)
    params = {"embedding": array(model.node_embedding.linear.weight).reshape(n, channels)}
    for i, (interaction, product) in enumerate(zip(model.interactions, model.products, strict=True)):
        l_in = 0 if i == 0 else config.hidden_l
        l_out = 0 if i == config.layers - 1 else config.hidden_l
        l_skip = min(l_in, l_out)
        squares = [(channels, channels)]
        net = interaction.conv_tp_weights
        n_path = [0] * (config.l_max + 1)
        for _, irrep in interaction.conv_tp.irreps_out:
            n_path[irrep.l] += 1
        skips = by_degree(interaction.skip_tp.weight, [(channels, n, channels)] * (l_skip + 1))
        ups = by_degree(interaction.linear_up.weight, squares * (l_in + 1))
        downs = by_degree(interaction.linear.weight, [(k * channels, channels) for k in n_path])
        mixes = by_degree(product.linear.weight, squares * (l_out + 1))
        params[f"interaction_{i}"] = {
            "skip": {f"l{d}": kernel for d, kernel in enumerate(skips)},
            "linear_up": {f"l{d}": {"kernel": kernel} for d, kernel in enumerate(ups)},
            "radial": {f"ScaledDense_{k}": {"kernel": array(layer.weight)} for k, layer in enumerate(net)},
            "linear": {f"l{d}": {"kernel": kernel} for d, kernel in enumerate(downs)},
        }
        params[f"product_{i}"] = {}
        for degree, contraction in enumerate(product.symmetric_contractions.contractions):
            params[f"product_{i}"] |= product_weights(contraction, config.l_max, degree, config.correlation)
        params[f"mix_{i}"] = {f"l{d}": {"kernel": kernel} for d, kernel in enumerate(mixes)}
        readout = model.readouts[i]
        if i < config.layers - 1:
            params[f"readout_{i}"] = dense(readout.linear.weight, channels, 1)
        else:
            params[f"readout_{i}_hidden"] = dense(readout.linear_1.weight, channels, config.readout)
            params[f"readout_{i}"] = dense(readout.linear_2.weight, config.readout, 1)
    return {"params": params}


def peer_of(model):
    def peer(numbers, positions, senders, receivers):
        species = torch.tensor(np.searchsorted(ELEMENTS, numbers))
        n_edge = len(senders)
        data = {
            "positions": torch.tensor(positions),
            "node_attrs": torch.nn.functional.one_hot(species, len(ELEMENTS)).to(torch.float64),
            "edge_index": torch.tensor(np.stack([senders, receivers])),
            "shifts": torch.zeros(n_edge, 3),
            "unit_shifts": torch.zeros(n_edge, 3),
            "cell": torch.zeros(3, 3),
            "batch": torch.zeros(len(numbers), dtype=torch.long),
            "ptr": torch.tensor([0, len(numbers)]),
        }
        found = model(data, compute_force=True)
        return found["energy"].item(), array(found["forces"])

    return peer


@pytest.mark.parametrize(
    "config",
    [
        MACEConfig(channels=8, readout=8, radial_mlp=(16, 16)),
        MACEConfig(channels=4, l_max=3, hidden_l=2, correlation=3, layers=3, radial_mlp=(8,), envelope=5),
    ],
    ids=["correlation 2", "correlation 3"],
)
def test_mace(config):
    model = mace_torch(config)
    assert_parity(config, transferred(config, model), peer_of(model), rtol=1e-9)
