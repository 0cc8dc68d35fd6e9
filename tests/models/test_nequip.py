import dataclasses

import jax
import numpy as np
import pytest
from model_graphs import NORMALISATION, gaussian_params, molecule, pack

from compbench_jax.models.nequip import couplings, layer_irreps
from compbench_jax.models.registry import MODELS, build_potential, n_parameters


def names(irreps):
    return " ".join(str(irrep) for irrep in irreps)


def test_what_the_layers_hand_on():
    """Parity matters from four layers on; odd scalars, three layers from the embedding and the energy, from six on."""
    assert [names(x) for x in layer_irreps(3, 2, True)] == ["0e", "0e 1o 2e", "0e 1o 2e", "0e"]
    assert layer_irreps(3, 2, False) == layer_irreps(3, 2, True)
    assert [names(x) for x in layer_irreps(4, 2, True)] == ["0e", "0e 1o 2e", "0e 1o 1e 2e 2o", "0e 1o 2e", "0e"]
    assert [names(x) for x in layer_irreps(4, 2, False)] == ["0e", *["0e 1o 2e"] * 3, "0e"]
    assert names(layer_irreps(6, 1, True)[3]) == "0e 0o 1o 1e"
    assert layer_irreps(2, 0, True) == layer_irreps(2, 0, False)
    unpruned = [names(x) for x in layer_irreps(4, 2, True, prune=False)]
    assert unpruned == ["0e", "0e 1o 2e", "0e 1o 1e 2e 2o", *["0e 0o 1o 1e 2e 2o"] * 2]


def test_couplings_of_the_harmonics_parity_are_maces():
    natural = layer_irreps(3, 2, False)[1]
    assert len(couplings(natural, 2, natural).paths) == 11


@pytest.mark.parametrize("parity", [False, True])
def test_a_chiral_molecule_and_its_mirror_image_have_one_energy(parity):
    """Odd scalars change sign in the mirror; with six layers they take part in the energy."""
    config = dataclasses.replace(MODELS["nequip"], layers=6, l_max=1, channels=2, radial_mlp=(4,), parity=parity)
    species, positions = molecule(6, 0)
    potential = build_potential(config, NORMALISATION)
    graphs = [pack([(species, p)], config.cutoff) for p in (positions, positions * [1, 1, -1])]
    vectors = [
        np.asarray(g.nodes["positions"])[g.receivers] - np.asarray(g.nodes["positions"])[g.senders] for g in graphs
    ]
    arguments = [(v, g.nodes["species"], g.senders, g.receivers) for v, g in zip(vectors, graphs, strict=True)]
    params = gaussian_params(potential.module, *arguments[0])
    assert ("linear_out_0o" in params["params"]["layer_2"]) == parity
    apply = jax.jit(potential.module.apply, compiler_options={"xla_backend_optimization_level": 0})
    here, there = (np.asarray(apply(params, *a))[:6] for a in arguments)
    assert np.abs(here).max() > 1e-5
    np.testing.assert_allclose(here, there, atol=1e-3 * np.abs(here).max())


def test_the_gates_are_channels_of_the_scalars():
    config = dataclasses.replace(MODELS["nequip"], layers=2, channels=4, radial_mlp=(8,))
    potential = build_potential(config, NORMALISATION)
    graph = pack([molecule(4, 0)], config.cutoff)
    params = jax.eval_shape(potential.init, jax.random.key(0), graph)
    layer = params["params"]["layer_0"]
    assert layer["linear_out_0e"]["kernel"].shape == (4, 3 * 4)
    assert layer["linear_out_2e"]["kernel"].shape == (4, 4)
    assert n_parameters(layer["skip_0e"]) == 4 * 3 * 12
