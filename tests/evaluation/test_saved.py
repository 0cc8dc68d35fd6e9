"""What is on disk after an evaluation: everything in results.json can be recomputed from it in NumPy."""

import numpy as np
import pytest
from toy_store import ELEMENTS, make_run, make_split, make_store

from compbench_jax.errors import RunError
from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.evaluation.derived import read_results
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.saved import load_saved, saved_uncertainty
from compbench_jax.evaluation.settings import Settings
from compbench_jax.metrics.definitions import metrics_of
from compbench_jax.metrics.sums import ATOM_COLUMNS


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("toy") / "store")


@pytest.fixture(scope="module")
def folder(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    # All train frames in the fit of the energies, so that the recomputation needs no sample.
    evaluate(make_run(store), store, make_split(store), Settings(samples=50, batch_size=4)).write(folder)
    return folder


def from_predictions(store, folder, part, fit):
    """Every metric in plain float64 from the arrays on disk and the labels; ``fit``: train errors and atoms."""
    energy, forces, indices = (
        np.load(folder / "predictions" / f"{part}_{name}.npy", allow_pickle=False)
        for name in ("energy", "forces", "frames")
    )
    frames = store.gather(indices)
    predicted, true = forces.astype(np.float64), frames.forces.astype(np.float64)
    norms, true_norms = np.linalg.norm(predicted, axis=1), np.linalg.norm(true, axis=1)
    directed = true_norms >= 1e-8
    cosine = (predicted * true).sum(axis=1)[directed] / (norms * true_norms)[directed]
    errors = energy - frames.energy
    sizes = np.diff(frames.offsets)
    atoms = np.array([[np.sum(store.graphs[m].numbers == z) for z in ELEMENTS] for m in frames.molecule], float)
    offsets = np.linalg.lstsq(fit[1], fit[0], rcond=None)[0]
    referenced = errors - atoms @ offsets
    means = {m: errors[frames.molecule == m].mean() for m in np.unique(frames.molecule)}
    centred = errors - np.array([means[m] for m in frames.molecule])
    largest = [np.abs(item).max() for item in np.split(predicted - true, frames.offsets[1:-1])]
    return {
        "force_mae": np.abs(predicted - true).mean(),
        "force_rmse": np.sqrt(np.mean((predicted - true) ** 2)),
        "force_l2": np.linalg.norm(predicted - true, axis=1).mean(),
        "force_cosine": cosine.mean(),
        "force_cosine_weighted": np.average(cosine, weights=true_norms[directed]),
        "force_magnitude_mae": np.abs(norms - true_norms).mean(),
        "energy_mae_raw": np.abs(errors).mean(),
        "energy_mae_raw_per_atom": 1000 * np.mean(np.abs(errors) / sizes),
        "energy_mae_referenced": np.abs(referenced).mean(),
        "energy_mae_centred": np.abs(centred).mean(),
        "efwt": np.mean((np.abs(referenced) < 0.02) & (np.array(largest) < 0.03)),
    }


@pytest.fixture(scope="module")
def fit(store):
    """Energy errors on train frames, predicted by a second evaluation that tests on them, and their atoms."""
    from dataclasses import replace

    split = make_split(store)
    again = evaluate(make_run(store), store, replace(split, id_test=split.train, train=split.id_test), Settings(9))
    frames = store.gather(again.frames["id"])
    atoms = np.array([[np.sum(store.graphs[m].numbers == z) for z in ELEMENTS] for m in frames.molecule], float)
    return again.predictions["id"].energy - frames.energy, atoms


@pytest.mark.parametrize("part", ["id", "ood"])
def test_metrics_are_those_of_the_saved_predictions_to_1e_6(store, folder, fit, part):
    block = read_results(folder)[part]
    for name, wanted in from_predictions(store, folder, part, fit).items():
        # results.json keeps six digits.
        assert block[name]["value"] == pytest.approx(wanted, rel=6e-6, abs=1e-6), name


def test_sums_of_groups_add_up_to_those_of_the_set(folder):
    results = read_results(folder)
    for part in ("id", "ood"):
        for item in (BREAKDOWNS[by] for by in ("element", "force", "distance", "distance_element")):
            if part not in item.sets:
                continue
            found = [results.group_sums(item, part, group) for group in results.groups(item, part)]
            total = sum(group.sums.sum(axis=0) for group in found)
            assert total[ATOM_COLUMNS.index("atoms")] == results[part]["n_atoms"], item.name
            metrics = metrics_of(total, ATOM_COLUMNS)
            assert metrics["force_mae"] == pytest.approx(results[part]["force_mae"]["value"], rel=1e-5)
    # H-O-C-C-C-C-C-O-H without hydrogens on its carbons.
    molecule = next(m for m in results.tested("ood").molecules if m.name == "ee")
    assert (molecule.family, molecule.n, molecule.ends) == ("diol", 5, ["OH", "OH"])
    assert molecule.groups["ch2"] == ["0"] and set(results["by_ch2"]["id"]) == {"0"}


def test_predictions_that_are_not_there_are_named(tmp_path):
    with pytest.raises(RunError, match="evaluate again"):
        load_saved(tmp_path, "id")


def test_runs_of_several_seeds_are_an_ensemble(store, folder, tmp_path):
    evaluate(make_run(store, strength=0.4, seed=1), store, make_split(store), Settings(9)).write(tmp_path / "other")
    found = saved_uncertainty([folder, tmp_path / "other"], store, Settings(20))
    forces = [load_saved(item, "ood").forces.astype(float) for item in (folder, tmp_path / "other")]
    labels = store.gather(load_saved(folder, "ood").frames)
    error = np.sqrt(np.mean((np.mean(forces, axis=0) - labels.forces) ** 2))
    spread = np.sqrt(np.mean((forces[0] - forces[1]) ** 2 / 2))
    block = found["forces"]["ood"]
    assert block["error_over_spread"]["value"] == pytest.approx(error / spread, rel=1e-5)
    assert (found["n_members"], block["n_molecules"], block["n_items"]) == (2, 3, len(labels.forces))
    # Both strengths are too large, for the same pairs: where forces are large, so are spread and error.
    assert block["spearman"]["value"] > 0.5
    assert found["energy"]["id"]["n_items"] == len(load_saved(folder, "id").energy)
    np.save(tmp_path / "other" / "predictions" / "ood_frames.npy", np.arange(len(labels.energy)))
    with pytest.raises(RunError, match="OOD predictions of different frames"):
        saved_uncertainty([folder, tmp_path / "other"], store, Settings(20))
