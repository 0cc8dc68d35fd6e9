import dataclasses
import json

import flax.linen as nn
import jax
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.errors import CompBenchError
from compbench_jax.models.registry import (
    MODELS,
    build_potential,
    config_from_json,
    config_to_json,
    n_parameters,
)


@pytest.mark.parametrize("name", MODELS)
def test_configuration_survives_json(name):
    config = MODELS[name]
    assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config


@pytest.mark.parametrize("name", MODELS)
def test_configuration_is_what_the_library_expects(name):
    config = MODELS[name]
    assert dataclasses.is_dataclass(config)
    assert hash(config) == hash(dataclasses.replace(config))
    assert config.cutoff > 0
    assert config.receptive_field >= config.cutoff
    assert "arXiv" in config.citation
    assert isinstance(config.build(NORMALISATION), nn.Module)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.cutoff = 3.0


def test_every_potential_has_a_paper_preset():
    # Potentials that other tests have registered do not count.
    ours = [config for config in MODELS.values() if type(config).__module__.startswith("compbench_jax")]
    kinds = {config.kind for config in ours} - {MODELS["so3lr"].kind}  # whose plain preset is the published size
    assert kinds == {MODELS[name.removesuffix("-paper")].kind for name in MODELS if name.endswith("-paper")}


def test_schnet_has_the_size_of_the_publication():
    config = MODELS["schnet-paper"]
    assert (config.features, config.n_basis, config.interactions, config.cutoff) == (1024, 256, 5, 6.0)
    assert config.receptive_field == 30.0


def test_unknown_kind():
    with pytest.raises(CompBenchError, match="'painter', this version knows"):
        config_from_json({"model": "painter"})


def test_fields_of_another_version():
    content = config_to_json(MODELS["schnet"])
    content["colour"] = content.pop("features")
    with pytest.raises(CompBenchError, match="colour, features"):
        config_from_json(content)


@pytest.mark.parametrize(("name", "field", "fewer"), [("schnet", "interactions", 2), ("mace", "channels", 16)])
def test_number_of_parameters_follows_the_size(name, field, fewer):
    graph = pack([molecule(4, 0)], 5.0)

    def count(config):
        potential = build_potential(config, NORMALISATION)
        return n_parameters(jax.eval_shape(potential.init, jax.random.key(0), graph))

    assert count(dataclasses.replace(MODELS[name], **{field: fewer})) < count(MODELS[name])


def test_number_of_parameters_is_their_number():
    assert n_parameters({"a": np.zeros((3, 4)), "b": {"c": np.zeros(5)}}) == 17


def test_scale_multiplies_the_energy():
    graph = pack([molecule(6, 0)], 5.0)
    config = dataclasses.replace(MODELS["schnet"], features=4, interactions=1)
    single = build_potential(config, dataclasses.replace(NORMALISATION, scale=1.0))
    triple = build_potential(config, dataclasses.replace(NORMALISATION, scale=3.0))
    params = jax.jit(single.init)(jax.random.key(0), graph)
    once, thrice = jax.jit(lambda p: (single.energy(p, graph), triple.energy(p, graph)))(params)
    np.testing.assert_allclose(thrice, 3 * once, rtol=1e-6)


def test_predicted_forces_are_the_networks_own_times_the_scale():
    graph = pack([molecule(6, 0)], 5.0)
    config = dataclasses.replace(MODELS["painn"], features=4, interactions=1, direct_forces=True)
    potential = build_potential(config, NORMALISATION)
    assert potential.direct and not build_potential(MODELS["painn"], NORMALISATION).direct
    params = jax.jit(potential.init)(jax.random.key(0), graph)
    positions = graph.nodes["positions"]
    vectors = positions[graph.receivers] - positions[graph.senders]
    inputs = (vectors, graph.nodes["species"], graph.senders, graph.receivers)
    node_energies, node_forces = jax.jit(potential.module.apply)(params, *inputs)
    energy, forces = jax.jit(potential.energy_and_forces)(params, graph)
    np.testing.assert_allclose(forces, NORMALISATION.scale * node_forces, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(energy[0], NORMALISATION.scale * node_energies[:6].sum(), rtol=1e-5)
    np.testing.assert_allclose(jax.jit(potential.energy)(params, graph), energy, rtol=1e-5)
