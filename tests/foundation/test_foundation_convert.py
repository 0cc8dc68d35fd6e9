"""Converted foundation potentials: every weight finds its place, and the run is one to evaluate and to start from."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from compbench_jax.cli.evaluate import task_of
from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.evaluation.arguments import Arguments
from compbench_jax.evaluation.inputs import open_data, pretraining_notes
from compbench_jax.foundation import convert as foundation_convert
from compbench_jax.foundation.convert import LICENCE_FILE, convert, read_weights
from compbench_jax.foundation.weights import so3lr_config
from compbench_jax.models.registry import MODELS
from compbench_jax.training.loaded_run import load_run

SETTINGS = {
    "r_max": 4.5,
    "num_radial_basis_fn": 6,
    "degrees": [1, 2],
    "num_features": 8,
    "num_heads": 2,
    "num_layers": 1,
    "avg_num_neighbors": 13.25,
    "electrostatic_energy_scale": 4.0,
    "dispersion_energy_scale": 1.2,
    "radial_basis_fn": "bernstein",
    "cutoff_fn_name": "phys",
    "message_normalization": "avg_num_neighbors",
    "energy_regression_dim": 8,
    "num_embeddings": 3,
    "version": "0.0",
}


def original():
    """Weights of a small original, by its names: random, of torch's shapes."""
    rng, f, layer = np.random.default_rng(0), 8, "euclidean_transformers.0"
    dense = {
        f"{layer}.mlp_1.1": (f, f),
        f"{layer}.mlp_1.3": (f, f),
        f"{layer}.interaction_block.linear_layer": (f + 2, f + 2),
        "atomic_energy_output_block.layers.0": (f, f),
        "atomic_energy_output_block.final_layer": (1, f),
        "partial_charges_output_block.transform_inv_features.0": (f, f),
        "partial_charges_output_block.transform_inv_features.2": (1, f),
        "hirshfeld_output_block.transform_features.0": (f // 2, f),
        "hirshfeld_output_block.transform_features.2": (f // 2, f // 2),
    }
    for net in ("inv", "ev"):
        dense |= {f"{layer}.filter_net_{net}.mlp_rbf.0": (f, 6), f"{layer}.filter_net_{net}.mlp_ev.0": (f // 4, 2)}
        dense |= {f"{layer}.filter_net_{net}.mlp_rbf.mlp_rbf_layer_1.0": (f, f)}
        dense |= {f"{layer}.filter_net_{net}.mlp_ev.mlp_ev_layer_1.0": (f, f // 4)}
    shapes = {f"{name}.weight": shape for name, shape in dense.items()}
    shapes |= {f"{name}.bias": shape[:1] for name, shape in dense.items()}
    shapes |= {f"{layer}.layer_norm_inv_{i}.{kind}": (f,) for i in (1, 2) for kind in ("weight", "bias")}
    heads = {"q_inv": 2, "k_inv": 2, "v_inv": 2, "q_ev": 2, "k_ev": 2}
    shapes |= {f"{layer}.euclidean_attention_block.W_{name}": (n, f // n, f // n) for name, n in heads.items()}
    shapes |= {f"zbl_repulsion.{name}_raw": (1,) for name in ["a1", "a2", "a3", "a4", "c1", "c2", "c3", "c4", "p", "d"]}
    shapes |= {
        "inv_feature_embedding.embedding.weight": (f, 118),
        "atomic_energy_output_block.energy_shifts": (118,),
        "atomic_energy_output_block.energy_scales.weight": (1, 118),
        "partial_charges_output_block.atomic_embedding.weight": (100, 1),
        "hirshfeld_output_block.q_embedding.weight": (100, f // 2),
        "hirshfeld_output_block.v_shift_embedding.weight": (100, 1),
    }
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    texts = {"settings": json.dumps(SETTINGS), "licence": "Terms."}
    return arrays | {name: np.frombuffer(text.encode(), np.uint8) for name, text in texts.items()}


@pytest.fixture
def converted(tmp_path, monkeypatch):
    monkeypatch.setattr(foundation_convert, "foundation_spec", lambda *_: None)
    monkeypatch.setattr(foundation_convert, "read_weights", lambda *_: original())
    return convert("so3lr", tmp_path / "run", tmp_path)


def test_every_weight_has_a_place_of_its_own(converted):
    run, arrays = load_run(converted), original()
    potential, elements = run.potential, run.potential.normalisation.elements
    assert elements == (1, 6, 7, 8, 9, 15, 16, 17)
    assert (potential.normalisation.scale, potential.normalisation.average_neighbours) == (1.0, 13.25)
    # Shapes are those that the potential makes, and no two parameters are copies of the same numbers.
    sizes = (9, 3), (9,), (4,), (4,), (9, 3), (9,), (1,)
    kinds = (np.float32, np.int32, np.int32, np.int32, np.float32, np.int32, np.int32)
    vectors, species, senders, receivers, *whole = (np.zeros(s, k) for s, k in zip(sizes, kinds, strict=True))
    from compbench_jax.models.long_range import Molecules

    shapes = jax.eval_shape(
        potential.module.init, jax.random.key(0), vectors[:4], species, senders, receivers, Molecules(*whole)
    )
    assert jax.tree.map(np.shape, run.params) == jax.tree.map(np.shape, shapes)
    leaves = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(run.params)]
    assert len({leaf.tobytes() for leaf in leaves}) == len(leaves)
    params = run.params["params"]
    np.testing.assert_array_equal(params["embedding"][1], arrays["inv_feature_embedding.embedding.weight"][:, 5])
    np.testing.assert_array_equal(
        params["charge_bias"][1], arrays["partial_charges_output_block.atomic_embedding.weight"][6, 0]
    )
    shifts = arrays["atomic_energy_output_block.energy_shifts"][[z - 1 for z in elements]]
    np.testing.assert_array_equal(potential.normalisation.reference_energies, shifts.astype(float))
    licence = (converted / LICENCE_FILE).read_text()
    assert "Terms." in licence and "Thorben Frank" in licence


def test_a_converted_run_asks_for_task_and_data(converted):
    run = load_run(converted)
    with pytest.raises(RunError, match="give a data set with --data"):
        open_data(run)
    with pytest.raises(RunError, match="give one with --task"):
        task_of(Arguments(run=converted), run)
    assert task_of(Arguments(run=converted, task="chain_extension"), run).kind == "chain_extension"
    with pytest.raises(RunError, match="already holds a run"):
        convert("so3lr", converted)


def test_what_the_weights_may_have_seen_is_said_of_the_run_and_of_those_that_start_from_it(converted, tmp_path):
    molecules = [
        SimpleNamespace(numbers=np.array([6] * n + [1]), molecule=SimpleNamespace(inchikey=str(n))) for n in (3, 7, 8)
    ]
    store = SimpleNamespace(graphs=molecules, molecule=np.array([0, 0, 1, 2]))
    split = SimpleNamespace(ood_test=np.array([0, 2, 3]))
    notes = pretraining_notes([tmp_path / "tuned", converted], store, split)
    assert "so3lr was pre-trained at PBE0+MBD on about 4 million" in notes[0]
    assert notes[1:] == ["note: 2 of 3 OOD molecules have at most 7 heavy atoms"]
    assert pretraining_notes([tmp_path / "tuned"], store, split) == []


def test_what_cannot_be_converted(tmp_path):
    with pytest.raises(CompBenchError, match="ani-1x has no implementation here"):
        convert("ani-1x", tmp_path / "run")
    with pytest.raises(CompBenchError, match="run `compbench foundation install so3lr"):
        convert("so3lr", tmp_path / "run", tmp_path / "nowhere")
    with pytest.raises(CompBenchError, match=r"another SO3LR, cutoff_fn_name is 'cosine'"):
        so3lr_config(SETTINGS | {"cutoff_fn_name": "cosine"})


def test_the_preset_has_the_published_size():
    published = {
        "num_radial_basis_fn": 32,
        "degrees": [1, 2, 3, 4],
        "num_features": 128,
        "num_heads": 4,
        "num_layers": 3,
    }
    assert so3lr_config(SETTINGS | published | {"energy_regression_dim": 128}) == MODELS["so3lr"]
    with pytest.raises(CompBenchError, match="give a multiple of heads"):
        replace(MODELS["so3lr"], heads=5).build(None)


def test_weights_come_as_arrays_alone(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    script = tmp_path / "write.py"
    script.write_text("import sys\nraise SystemExit('no such package')\n")
    with pytest.raises(CompBenchError, match=r"failed \(no such package\)"):
        read_weights(tmp_path, script)
    # What an npz of one array is, by the format's own rules: the interpreter here has no NumPy.
    script.write_text(
        "import sys, zipfile\n"
        "head = b\"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\"\n"
        "head += b' ' * (117 - len(head)) + b'\\n'\n"
        "data = b'\\x93NUMPY\\x01\\x00' + len(head).to_bytes(2, 'little') + head + b'\\x00\\x00\\x80?'\n"
        "with zipfile.ZipFile(sys.argv[1], 'w') as file:\n"
        "    file.writestr('one.npy', data)\n"
    )
    assert read_weights(tmp_path, script)["one"].tolist() == [1.0]
