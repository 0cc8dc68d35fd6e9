"""Molecules that are in no table: imported from files of one molecule each, split, trained on, evaluated, compared."""

import json

import numpy as np
import pytest

from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command
from compbench_jax.evaluation.derived import read_results
from compbench_jax.store.store import open_store
from compbench_jax.tasks import get_task

pytestmark = pytest.mark.usefixtures("kept_programs")
NAMES = ("C6H6", "C5H5N", "C4H4O")
FRAMES = 30
MODEL = ("model:schnet", "--model.features", "8", "--model.interactions", "1", "--model.n-basis", "4")


def code(*words):
    return exit_code_of(lambda: run_command([str(word) for word in words]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Benzene, pyridine and furan in .npz files in the MD17 convention, with labels that cost nothing."""
    from ase.build import molecule
    from ase.calculators.emt import EMT

    folder = tmp_path_factory.mktemp("molecules")
    rng = np.random.default_rng(0)
    for name in NAMES:
        atoms = molecule(name)
        start, found = atoms.positions.copy(), []
        for _ in range(FRAMES):
            atoms.positions = start + rng.normal(0, 0.02, start.shape)
            atoms.calc = EMT()
            found.append((atoms.positions.copy(), atoms.get_potential_energy(), atoms.get_forces()))
        arrays = dict(zip("REF", map(np.array, zip(*found, strict=True)), strict=True))
        np.savez(folder / f"{name}.npz", z=atoms.numbers, e_unit="eV", r_unit="Ang", **arrays)
    return folder


def test_one_molecule_needs_no_split_file(folder, tmp_path, capsys):
    data, run, other = (tmp_path / name for name in ("data", "run", "other"))
    assert code("import", folder / "C6H6.npz", "--out", data) == 0
    store = open_store(data)
    split = get_task("random_frames").split(store)
    assert {part: len(frames) for part, frames in split.parts().items()} == {
        "train": 22, "validation": 2, "id_test": 3, "ood_test": 3,
    }  # fmt: skip
    assert not np.array_equal(split.train, get_task("random_frames[1]").split(store).train)
    assert (
        code("describe", data) == code("tasks", "--data", data) == code("audit", "random_frames", "--data", data) == 0
    )
    assert "1 molecules trained on, 1 OOD; frames: 22 train" in " ".join(
        capsys.readouterr().out.replace("│", " ").split()
    )
    for model, out in (("composition", run), ("nearest", other)):
        assert code("train", "--task", "random_frames", "--data", data, "--out", out, f"model:{model}") == 0
        assert code("evaluate", "--run", out) == 0
    assert (read_results(run)["task"], read_results(run)["role"]) == ("random_frames", "task")
    assert code("explain", run) == code("compare", run, other) == code("table", run, other) == 0
    assert code("report", run, other, "--out", tmp_path / "site") == 0
    assert (tmp_path / "site" / "task-random_frames.html").exists()
    capsys.readouterr()
    assert (
        code("train", "--task", "random_frames", "--data", data, "--out", run, "--with-controls", "model:nearest") == 2
    )
    assert "random_frames chooses frames, not molecules: it has no controls" in capsys.readouterr().err


def test_several_molecules_are_split_by_molecule(folder, tmp_path):
    data, run, file = tmp_path / "data", tmp_path / "run", tmp_path / "mine.json"
    assert code("import", folder, "--out", data) == 0
    names = {graph.molecule.smiles for graph in open_store(data).graphs}
    assert names == {"c1ccccc1", "c1ccncc1", "c1ccoc1"}
    assert code("split", data, "--by-molecule", "--held-out", "0.3", "--seed", "5", "--out", file) == 0
    held = (
        open_store(data)
        .graphs[open_store(data).molecule[json.loads(file.read_text())["frames"]["ood_test"][0][0]]]
        .molecule.name
    )
    assert held == "c1ccccc1"  # no new element
    assert code("train", "--split", file, "--data", data, "--out", run, "--steps", "2", *MODEL) == 0
    assert code("evaluate", "--run", run) == code("explain", run, "--data", data) == 0
    assert code("report", run, "--out", tmp_path / "site") == code("verify", data, "--sample", "0") == 0
    assert [m.name for m in read_results(run).tested("ood").molecules] == ["c1ccccc1"]
