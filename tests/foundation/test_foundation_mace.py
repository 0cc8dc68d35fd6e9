"""A converted MACE checkpoint has the energies and forces of mace-torch, and is a run as any other.

``tiny-off.npz`` and ``tiny-mp.npz`` are what ``foundation/mace.py`` read from checkpoints of mace-torch 0.3.16 with
random weights, and energies and forces that mace-torch computed with them (``models/parity/mace_models.py``).
"""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ase import Atoms

from compbench_jax.cli.main import run_command
from compbench_jax.deploy.ase_calculator import CompBenchCalculator
from compbench_jax.errors import CompBenchError
from compbench_jax.foundation import convert as foundation_convert
from compbench_jax.foundation.convert import LICENCE_FILE, convert
from compbench_jax.foundation.mace_weights import Original, choose_head, mace_config, mace_params
from compbench_jax.models.mace import MACEConfig
from compbench_jax.models.precision import cast_params
from compbench_jax.training.loaded_run import load_run


def reference(name):
    with np.load(Path(__file__).with_name(f"{name}.npz"), allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def original(name="tiny-off", **settings):
    arrays = reference(name)
    return Original(arrays, json.loads(arrays["settings"].tobytes()) | settings, 0)


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """Convert one of the references to a run."""

    def make(name):
        monkeypatch.setattr(foundation_convert, "read_weights", lambda *_: reference(name))
        checkpoint = tmp_path / f"{name}.model"
        checkpoint.write_bytes(b"never unpickled here")
        return convert("mace", tmp_path / name, tmp_path, checkpoint)

    return make


@pytest.mark.parametrize("name", ["tiny-off", "tiny-mp"])
def test_energies_and_forces_are_those_of_mace_torch(converted, name):
    found = reference(name)
    with jax.enable_x64(True):
        run = load_run(converted(name))
        potential = replace(run.potential, precision="float64")
        calculator = CompBenchCalculator(replace(run, potential=potential, params=cast_params(run.params, "float64")))
        count = sum(key.startswith("z") for key in found)
        for i in sorted(range(count), key=lambda i: -len(found[f"z{i}"])):  # the largest first: one program for all
            atoms = Atoms(found[f"z{i}"], found[f"x{i}"], calculator=calculator)
            assert atoms.get_potential_energy() == pytest.approx(float(found[f"e{i}"]), abs=1e-6)
            np.testing.assert_allclose(atoms.get_forces(), found[f"f{i}"], rtol=0, atol=1e-5)
    assert max(np.abs(found[f"f{i}"]).max() for i in range(count)) > 0.1


def test_the_run_keeps_what_the_checkpoint_says(converted):
    folder = converted("tiny-mp")
    run, arrays = load_run(folder), reference("tiny-mp")
    normalisation = run.potential.normalisation
    assert normalisation.elements == tuple(arrays["atomic_numbers"]) and len(normalisation.elements) == 89
    expected = arrays["atomic_energies_fn.atomic_energies"] + arrays["scale_shift.shift"]
    np.testing.assert_array_equal(normalisation.reference_energies, expected)
    assert all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(run.params))
    model = run.potential.module.config
    assert model == MACEConfig(
        cutoff=6.0, channels=1, l_max=2, hidden_l=0, correlation=3, n_basis=10, radial_mlp=(8,), readout=2,
        residual_first=False, density=True, agnesi=True, repulsion=8.0, element_fan_in=89,
    )  # fmt: skip
    assert "tiny-mp.model (SHA-256 " in (folder / LICENCE_FILE).read_text()
    assert json.loads((folder / "config.json").read_text())["optimiser"]["learning_rate"] == 5e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "PolarMACE"}, "model is 'PolarMACE', wanted is ScaleShiftMACE"),
        ({"extra": ["joint_embedding"]}, "joint_embedding"),
        ({"transform": "SoftTransform"}, "SoftTransform"),
        ({"interactions": ["RealAgnosticAttResidualInteractionBlock"] * 2}, "wanted is RealAgnosticInteractionBlock"),
        ({"interactions": ["RealAgnosticResidualInteractionBlock"]}, "interactions are"),
        ({"readouts": ["LinearReadoutBlock"] * 2}, "readouts are"),
        ({"hidden": "2x0e+2x1e"}, r"features are 2x0e\+2x1e"),
        ({"upwards": ["64x0e"]}, "features between layers"),
        ({"correlation": [3, 2]}, r"correlation is \[3, 2\]"),
        ({"r_max": 4.5}, "bessel_weights is"),
    ],
)
def test_architectures_that_are_not_ours_are_refused(settings, message):
    with pytest.raises(CompBenchError, match=message):
        mace_config(original(**settings))


def test_arrays_that_do_not_fit_are_refused():
    whole = original()
    config = mace_config(whole)
    for changed, message in (
        (replace(config, channels=3), "weights in place of|cannot reshape"),
        (replace(config, l_max=2), "paths"),
    ):
        with pytest.raises(CompBenchError, match=message):
            mace_params(whole, changed)
    others = {**whole.arrays, "product_3_0": whole.arrays["product_3_0"] + 1.0}
    with pytest.raises(CompBenchError, match="products of order 3 and degree 0 are others than ours"):
        mace_params(replace(whole, arrays=others), config)
    lacking = {key: value for key, value in whole.arrays.items() if key != "products.1.linear.weight"}
    with pytest.raises(CompBenchError, match=r"products\.1\.linear\.weight"):
        mace_params(replace(whole, arrays=lacking), config)


def test_a_head_must_be_chosen_where_there_are_several():
    assert choose_head({"heads": ["pt_head", "Default"]}, None) == 1
    assert choose_head({"heads": ["dft"]}, None) == 0
    for heads, head, message in (
        (["pt_head", "dft"], None, "several heads: choose one of pt_head, dft with --head"),
        (["pt_head", "dft"], "ccsd", "no head 'ccsd'"),
    ):
        with pytest.raises(CompBenchError, match=message):
            choose_head({"heads": heads}, head)


def test_what_cannot_be_converted(tmp_path, monkeypatch):
    monkeypatch.setenv("COMPBENCH_FOUNDATION_DIR", str(tmp_path))
    (tmp_path / "some.model").touch()
    for words, message in (
        (["mace"], "takes the file of a checkpoint, FILE.model"),
        (["so3lr", str(tmp_path / "some.model")], "the others take none"),
        (["mace", str(tmp_path / "none.model")], "there is no checkpoint"),
        (["mace", str(tmp_path / "some.model")], "compbench foundation install mace"),
    ):
        with pytest.raises(CompBenchError, match=message):
            run_command(["foundation", "convert", *words, "--out", str(tmp_path / "run")])
