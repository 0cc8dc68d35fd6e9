import dataclasses
import json
from typing import ClassVar

import flax.linen as nn
import jax
import numpy as np
import pytest
from model_graphs import NORMALISATION, molecule, pack

from compbench_jax.errors import CompBenchError
from compbench_jax.models.registry import (
    MODELS,
    SIZES,
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


PUBLIC = {
    "schnet": {"features": 1024, "filters": 256, "interactions": 5, "n_basis": 200, "cutoff": 6.0},
    "painn": {"features": 512, "interactions": 6, "n_basis": 128, "cutoff": 12.0, "direct_forces": True},
    "gemnet": {"blocks": 6, "atom_features": 256, "edge_features": 1024, "cutoff": 12.0, "direct_forces": True},
    "dimenet": {"features": 512, "blocks": 3, "cutoff": 6.0},
    "equiformer_v2": {
        "layers": 8,
        "channels": 128,
        "ffn_channels": 128,
        "edge_channels": 128,
        "l_max": 4,
        "m_max": 2,
        "cutoff": 12.0,
    },
}
"""The sizes in the public configurations of the benchmark's authors, as far as our potentials have them."""


@pytest.mark.parametrize("name", PUBLIC)
def test_paper_presets_have_the_sizes_of_the_authors(name):
    config = dataclasses.asdict(MODELS[f"{name}-paper"])
    assert {field: config[field] for field in PUBLIC[name]} == PUBLIC[name]


WIDTHS = {
    "schnet": {("embedding", "embedding"): (3, 1024), ("interaction_4", "filter_0", "kernel"): (200, 256),
               ("interaction_4", "in2f", "kernel"): (1024, 256), ("interaction_4", "f2out_0", "kernel"): (256, 1024)},
    "painn": {("embedding", "embedding"): (3, 512), ("filter_net_5", "kernel"): (128, 1536)},
    "dimenet": {("interaction_2", "lin_down", "kernel"): (512, 64), ("output_3", "lin_up", "kernel"): (512, 256)},
    "gemnet": {("atoms",): (3, 256), ("interaction_5", "dense_ca", "linear", "kernel"): (1024, 1024)},
}  # fmt: skip
"""Shapes of some parameters, of the last block where there are several."""


@pytest.mark.parametrize("name", WIDTHS)
def test_parameters_of_the_paper_presets_are_as_wide_as_that(name):
    config = MODELS[f"{name}-paper"]
    potential = build_potential(config, NORMALISATION)
    graph = pack([molecule(4, 0)], config.cutoff, incoming=0 if potential.triplets else None)
    shapes = jax.eval_shape(potential.init, jax.random.key(0), graph)["params"]
    for path, shape in WIDTHS[name].items():
        leaf = shapes
        for word in path:
            leaf = leaf[word]
        assert leaf.shape == shape, path


def test_every_paper_preset_says_where_its_size_comes_from():
    ours = {name for name, config in MODELS.items() if type(config).__module__.startswith("compbench_jax")}
    assert {name for name in ours if name.endswith("-paper")} | {"so3lr"} == set(SIZES)
    for name in ("mace-paper", "nequip-paper"):
        assert "is not public" in SIZES[name]


def test_filters_of_schnet_are_as_many_as_its_features_unless_stated():
    graph = pack([molecule(5, 0)], 5.0)
    implicit = dataclasses.replace(MODELS["schnet"], features=8, interactions=2)
    explicit = dataclasses.replace(implicit, filters=8)
    first, second = (build_potential(config, NORMALISATION) for config in (implicit, explicit))
    params = jax.jit(first.init)(jax.random.key(0), graph)
    jax.tree.map(np.testing.assert_array_equal, params, jax.jit(second.init)(jax.random.key(0), graph))
    np.testing.assert_array_equal(jax.jit(first.energy)(params, graph), jax.jit(second.energy)(params, graph))


@pytest.mark.parametrize("filters", [3, 20])
def test_schnet_with_other_filters_than_features_is_invariant(filters):
    config = dataclasses.replace(MODELS["schnet"], features=8, interactions=2, n_basis=12, filters=filters)
    potential = build_potential(config, NORMALISATION)
    species, positions = molecule(6, 0)
    with jax.enable_x64(True):
        graph = pack([(species, positions)], 5.0, dtype=np.float64)
        params = jax.jit(potential.init)(jax.random.key(1), graph)
        assert params["params"]["interaction_1"]["in2f"]["kernel"].shape == (8, filters)
        evaluate = jax.jit(potential.energy_and_forces)
        energy, forces = map(np.asarray, evaluate(params, graph))
        turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
        order = np.random.default_rng(0).permutation(6)
        moved = (species[order], (positions @ turn.T + [3.0, -7.0, 11.0])[order])
        moved_energy, moved_forces = map(np.asarray, evaluate(params, pack([moved], 5.0, dtype=np.float64)))
    assert np.abs(forces[:6]).max() > 1e-3
    np.testing.assert_allclose(moved_energy[0], energy[0], rtol=1e-12)
    np.testing.assert_allclose(moved_forces[:6], (forces[:6] @ turn.T)[order], atol=1e-9)


def test_unknown_kind():
    with pytest.raises(CompBenchError, match="'painter', unknown to this version: did you mean"):
        config_from_json({"model": "painter"})


def test_fields_of_another_version():
    content = config_to_json(MODELS["schnet"])
    content["colour"] = content.pop("features")
    with pytest.raises(CompBenchError, match=r"model\.colour is no setting"):
        config_from_json(content)


@pytest.mark.parametrize("name", MODELS)
def test_a_field_added_after_a_configuration_was_written_has_its_default(name):
    config = MODELS[name]
    content = json.loads(json.dumps(config_to_json(config)))
    for field in dataclasses.fields(config):
        older = {key: value for key, value in content.items() if key != field.name}
        assert config_from_json(older) == dataclasses.replace(config, **{field.name: field.default})


def test_a_missing_field_without_a_default_is_refused(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Needy:
        size: int
        kind: ClassVar[str] = "needy"

    monkeypatch.setitem(MODELS, "needy", Needy(3))
    assert config_from_json({"model": "needy", "size": 4}) == Needy(4)
    with pytest.raises(CompBenchError, match=r"model\.size is missing"):
        config_from_json({"model": "needy"})


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
