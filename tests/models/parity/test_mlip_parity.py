"""NequIP is that of InstaDeep's mlip: its random weights, carried over, give the same energies and forces.

Where its definitions differ in form: messages are divided by the number of neighbours, here by its root (a factor in
the self-interaction after the convolution); the skip connection is divided by the root of the channels, here by that of
channels times elements, as in e3nn; the radial network is a plain one with plain SiLU. The constants of the normalised
SiLU and tanh are estimates of e3nn's, which ours are set to. In mlip every layer has features of all degrees and
parities; those that cannot reach the energy have no counterpart here, and their weights are left behind.
"""

import numpy as np
import pytest
from parity_frames import ELEMENTS, NORMALISATION, assert_parity

from compbench_jax.models.equivariant.spherical import clebsch_gordan
from compbench_jax.models.layers import linear
from compbench_jax.models.nequip import NequIPConfig, couplings, layer_irreps

pytestmark = pytest.mark.slow

REASON = "needs mlip: pip install 'compbench_jax[parity]'"
network = pytest.importorskip("mlip.models.nequip.network", reason=REASON)

import e3nn_jax as e3nn  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

QUICK = {"xla_backend_optimization_level": 0}


@pytest.fixture(autouse=True)
def _double_precision_and_same_constants(monkeypatch):
    with jax.enable_x64(True):
        for name, function in (("SILU", jax.nn.silu), ("TANH", jnp.tanh)):
            estimate = float(e3nn.normalize_function(function)(1.0) / function(1.0))
            np.testing.assert_allclose(estimate, getattr(linear, f"{name}_SECOND_MOMENT"), rtol=1e-4)
            monkeypatch.setattr(linear, f"{name}_SECOND_MOMENT", estimate)
        yield


def hidden(config):
    """All irreps of a hidden layer of mlip."""
    signs = (1, -1) if config.parity else (1,)
    return [e3nn.Irrep(degree, sign * (-1) ** degree) for degree in range(config.l_max + 1) for sign in signs]


def mlip(config):
    from mlip.data.dataset_info import DatasetInfo

    settings = network.Nequip.Config(
        num_layers=config.layers,
        target_irreps=str(e3nn.Irreps([(config.channels, irrep) for irrep in hidden(config)])),
        l_max=config.l_max,
        num_rbf=config.n_basis,
        radial_mlp_hidden=list(config.radial_mlp),
        add_atomic_energies=False,
    )
    info = DatasetInfo(
        atomic_energies_map=dict.fromkeys(ELEMENTS, 0.0),
        graph_cutoff_angstrom=config.cutoff,
        avg_num_neighbors=NORMALISATION.average_neighbours,
    )
    return network.Nequip(settings, info)


def mlip_graph(config, numbers, positions):
    from mlip.data.chemical_system import ChemicalSystem
    from mlip.graph import Graph

    return Graph.from_chemical_system(ChemicalSystem(atomic_numbers=numbers, positions=positions), config.cutoff)


def mlip_paths(sources, l_max, targets):
    """Its paths in its order: (source, degree of the harmonics, target), and the sign of its coefficients to ours."""
    from e3j.core import TensorProduct

    source = str(e3nn.Irreps([(1, irrep) for irrep in sources]))
    harmonics = e3nn.Irreps.spherical_harmonics(l_max)
    target = str(e3nn.Irreps([(1, irrep) for irrep in targets]))
    product = TensorProduct((source, str(harmonics)), target, layout="TRAILING_CHANNELS", normalization="SQRT_DIM_OUT")
    dense = np.asarray(product.coef.todense())
    starts = np.cumsum([0, *(irrep.dim for irrep in sources)])
    paths, row = [], 0
    for multiplicity, irrep in e3nn.Irreps(str(product.target)):
        for _ in range(multiplicity):
            block = dense[row : row + irrep.dim]
            row += irrep.dim
            _, first, second = (index[0] for index in np.nonzero(np.abs(block) > 1e-6))
            i, l2 = int(np.searchsorted(starts, first, side="right")) - 1, int(np.sqrt(second))
            theirs = block[:, starts[i] : starts[i + 1], l2**2 : (l2 + 1) ** 2].transpose(1, 2, 0)
            ours = clebsch_gordan(sources[i].l, l2, irrep.l)
            sign = np.sign(np.vdot(theirs, ours))
            np.testing.assert_allclose(theirs, sign * ours, atol=1e-6)
            paths.append(((sources[i], l2, irrep), sign))
    return paths


def entry(tree, irrep):
    """The weights of an irrep among e3j's ``weight{i}_{l}_{p}``."""
    return next(value for key, value in tree.items() if key.split("_")[1:] == [str(irrep.l), str(irrep.p)])


def radial(tree, config, columns):
    """Our radial network: activations are scaled there, and weights divided by the root of their fan-in."""
    result, scale = {}, 1.0
    for k in range(len(config.radial_mlp) + 1):
        kernel = tree[f"layers_{k}"]["kernel"]
        kernel = kernel if k < len(config.radial_mlp) else columns(kernel)
        result[f"ScaledDense_{k}"] = {"kernel": kernel * len(kernel) ** 0.5 / scale}
        scale = linear.SILU_SECOND_MOMENT
    return result


def transferred_layer(tree, config, irreps, theirs):
    """One layer's parameters; ``irreps`` and ``theirs`` are the features that go in and out, ours and mlip's."""
    (inputs, outputs), (sources, targets) = irreps, theirs
    channels, n = config.channels, len(ELEMENTS)
    gated = [irrep for irrep in targets if irrep.l > 0]
    # mlip's even scalars: the scalars themselves, then the gates of all that is not a scalar.
    blocks = [0] + [1 + gated.index(y) for y in outputs if y.l > 0]
    kept = np.concatenate([np.arange(channels) + channels * block for block in blocks])
    paths = mlip_paths(sources, config.l_max, targets)
    ours = [(inputs[i], l2, outputs[o]) for i, l2, o in couplings(inputs, config.l_max, outputs).paths]
    place = {path: k for k, (path, _) in enumerate(paths)}
    sign = dict(paths)

    def columns(kernel):
        kernel = kernel.reshape(len(kernel), len(paths), channels)
        return np.stack([kernel[:, place[p]] * sign[p] for p in ours], axis=1).reshape(len(kernel), -1)

    convolution = tree["convolution_block"]
    result = {"radial": radial(convolution["radial_mlp"], config, columns)}
    for x in inputs:
        result[f"linear_in_{x}"] = {"kernel": entry(convolution["linear_in"], x).T}
    for y in outputs:
        rows = kept if y == "0e" else np.arange(channels)
        into = [path for path, _ in paths if path[2] == y]
        kernel = entry(convolution["linear_out"], y)[rows].reshape(len(rows), channels, len(into))
        order = [into.index(path) for path in ours if path[2] == y]
        assert sorted(order) == list(range(len(into))), "a path into a feature that is kept was left out"
        kernel = kernel[:, :, order].transpose(2, 1, 0).reshape(-1, len(rows))
        result[f"linear_out_{y}"] = {"kernel": kernel * NORMALISATION.average_neighbours**-0.5}
        if y in inputs:
            skip = entry(tree["residual_block"], y)[:, rows]
            result[f"skip_{y}"] = {"kernel": skip.transpose(2, 0, 1) * n**0.5}
    return result


def transferred(config, params):
    """Parameters of our network from those of mlip's."""
    tree = params["params"]
    readout = tree["NequipMultiHeadReadoutBlock_0"]["MultiHeadReadoutBlock_0"]["ReadoutBlock_0"]
    result = {
        "embedding": tree["NequipEmbeddingBlock_0"]["NodeEmbeddingBlock_0"]["embed"]["embedding"],
        "readout_hidden": {"kernel": readout["Linear_0"]["weight0_0_1"].T},
        "readout": {"kernel": readout["Linear_1"]["weight0_0_1"].T},
    }
    ours = layer_irreps(config.layers, config.l_max, config.parity, config.prune)
    harmonics = [irrep for _, irrep in e3nn.Irreps.spherical_harmonics(config.l_max)]
    sources = [e3nn.Irrep("0e")]
    for layer in range(config.layers):
        targets = [y for y in hidden(config) if any(y in x * sh for x in sources for sh in harmonics)]
        result[f"layer_{layer}"] = transferred_layer(
            tree[f"NequipLayer_{layer}"], config, ours[layer : layer + 2], (sources, targets)
        )
        sources = targets
    return {"params": result}


@pytest.mark.parametrize(
    "config",
    [
        NequIPConfig(layers=4, channels=4, radial_mlp=(8, 8), envelope=5),
        NequIPConfig(layers=4, channels=4, radial_mlp=(8,), envelope=5, prune=False),
        NequIPConfig(layers=4, channels=4, radial_mlp=(8,), envelope=5, parity=False),
        NequIPConfig(layers=6, channels=4, l_max=1, radial_mlp=(8,), envelope=5),
    ],
    ids=["both parities", "not pruned", "one parity", "odd scalars"],
)
def test_nequip(config):
    model = mlip(config)
    rng = np.random.default_rng(0)
    example = mlip_graph(config, np.array([1, 6]), np.array([[0.0, 0, 0], [1.0, 0, 0]]))
    shapes = jax.eval_shape(model.init, jax.random.key(0), example)
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    for layer in range(config.layers):
        # These alone are not divided by the root of their fan-in when applied.
        for dense in params["params"][f"NequipLayer_{layer}"]["convolution_block"]["radial_mlp"].values():
            dense["kernel"] *= 2 * len(dense["kernel"]) ** -0.5

    constants = jax.tree.map(jnp.asarray, params)

    def total(positions, graph):
        found = model.apply(constants, graph.replace(nodes=graph.nodes.replace(positions=positions)))
        return found.nodes.features["energy"].sum()

    compiled = jax.jit(jax.value_and_grad(total), compiler_options=QUICK)

    def peer(numbers, positions, senders, receivers):
        energy, gradient = compiled(jnp.asarray(positions), mlip_graph(config, numbers, positions))
        return float(energy), -np.asarray(gradient)

    assert_parity(config, transferred(config, params), peer, rtol=1e-11, molecules=1)
