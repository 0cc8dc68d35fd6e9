"""Every preset says what it said when the parity tests passed; one that was changed does not."""

import dataclasses
import json

import flax.linen as nn
import numpy as np
import pytest
from golden_potentials import FILE, evaluate, molecules_of

from compbench_jax.models import mace, nequip, painn, schnet
from compbench_jax.models.layers import linear
from compbench_jax.models.layers.radial import polynomial_envelope
from compbench_jax.models.registry import MODELS, config_from_json, config_to_json

GOLDENS = json.loads(FILE.read_text())

LONG = ("nequip-paper",)
"""Takes half a minute to compile."""

PRESETS = [name for name, config in MODELS.items() if type(config).__module__.startswith("compbench_jax")]


def difference(name, config=None):
    """Largest deviation from the golden values, of energies and of forces, each as a fraction of their largest."""
    found = evaluate(config or MODELS[name], molecules_of(GOLDENS))
    golden = {key: np.array(values) for key, values in GOLDENS["potentials"][name].items()}
    return {key: np.abs(found[key].ravel() - golden[key]).max() / np.abs(golden[key]).max() for key in golden}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in PRESETS]
)
def test_energies_and_forces_are_the_golden_ones(name):
    assert max(difference(name).values()) < 1e-7


def test_every_preset_has_golden_values_and_the_molecules_differ_in_size():
    assert set(GOLDENS["potentials"]) == set(PRESETS)
    first, second = (len(numbers) for numbers, _ in molecules_of(GOLDENS))
    assert first != second


def envelope(p):
    """The polynomial envelope with this exponent, whatever exponent is asked for."""
    return lambda lengths, cutoff, _=None: polynomial_envelope(lengths, cutoff, p)


def with_root_of_neighbours(build):
    def changed(self, normalisation):
        root = normalisation.average_neighbours**0.5
        return build(self, dataclasses.replace(normalisation, average_neighbours=root))

    return changed


CHANGES = {
    "MACE divides by √neighbours": ("mace", mace.MACEConfig, "build", with_root_of_neighbours(mace.MACEConfig.build)),
    "MACE has another envelope": ("mace", mace, "polynomial_envelope", envelope(6)),
    "MACE's SiLU is not normalised": ("mace", mace, "normalised_silu", nn.silu),
    "SchNet has SiLU": ("schnet", schnet, "shifted_softplus", nn.silu),
    "SchNet has the polynomial envelope": ("schnet", schnet, "cosine_cutoff", envelope(6)),
    "PaiNN has the polynomial envelope": ("painn", painn, "cosine_cutoff", envelope(6)),
    "NequIP has another envelope": ("nequip", nequip, "polynomial_envelope", envelope(5)),
    "the radial network's SiLU is not normalised": ("nequip", linear, "normalised_silu", nn.silu),
}
"""By what it is: preset, where it is, its name there, what stands in its place."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_normalisation_activation_or_envelope_is_noticed(change, monkeypatch):
    name, where, what, instead = CHANGES[change]
    monkeypatch.setattr(where, what, instead)
    assert min(difference(name).values()) > 1e-4


def test_mace_has_the_envelope_of_mace_torch_and_older_runs_keep_theirs():
    content = config_to_json(MODELS["mace"])
    assert content["envelope"] == 5
    older = config_from_json(content | {"envelope": 6})
    assert older.envelope == 6
    assert min(difference("mace", older).values()) > 1e-4
