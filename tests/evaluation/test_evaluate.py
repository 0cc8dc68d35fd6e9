"""The evaluator against numbers computed frame by frame and atom by atom in plain NumPy."""

import json

import numpy as np
import pytest
from toy_store import (
    CUTOFF,
    ELEMENTS,
    HELD_OUT,
    STRENGTH,
    TRAINED,
    make_run,
    make_split,
    make_store,
    pair_energy_forces,
)

from compbench_jax.errors import DataError, RunError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.evaluation.evaluate import evaluate, fit_sample
from compbench_jax.evaluation.result_file import write_result
from compbench_jax.evaluation.sets import predict_sets
from compbench_jax.evaluation.settings import Settings
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.splits.contacts import unseen_contact_frames
from compbench_jax.splits.unseen import unseen_distances

SETTINGS = Settings(samples=200, batch_size=3)
MANDATORY = (
    "force_mae",
    "force_rmse",
    "force_cosine",
    "force_magnitude_mae",
    "energy_mae_raw",
    "energy_mae_referenced",
    "energy_mae_centred",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("toy") / "store")


@pytest.fixture(scope="module")
def split(store):
    return make_split(store)


@pytest.fixture(scope="module")
def evaluation(store, split):
    return evaluate(make_run(store), store, split, SETTINGS)


@pytest.fixture(scope="module")
def results(evaluation):
    return evaluation.results


def frames_by_hand(store, frames):
    """One dictionary a frame: numbers, predicted and reference energy and forces, all float64."""
    found = []
    for frame in frames:
        rows = slice(store.offsets[frame], store.offsets[frame + 1])
        numbers = store.graphs[store.molecule[frame]].numbers
        energy, forces = pair_energy_forces(numbers, np.array(store.positions[rows]), STRENGTH)
        found.append(
            {
                "molecule": int(store.molecule[frame]),
                "numbers": numbers,
                "energy": energy,
                "forces": forces,
                "true_energy": float(store.energy[frame]),
                "true_forces": np.array(store.forces[rows], np.float64),
            }
        )
    return found


def composition(frame):
    return [int((frame["numbers"] == z).sum()) for z in ELEMENTS]


def metrics_by_hand(frames, train, atom_chosen=lambda frame, atom: True):
    absolute, squares, magnitudes, cosines, weighted, weights = [], [], [], [], 0.0, 0.0
    within = []
    for frame in frames:
        for atom in range(len(frame["numbers"])):
            if not atom_chosen(frame, atom):
                continue
            predicted, true = frame["forces"][atom], frame["true_forces"][atom]
            for axis in range(3):
                absolute.append(abs(predicted[axis] - true[axis]))
                squares.append((predicted[axis] - true[axis]) ** 2)
            magnitudes.append(abs(np.linalg.norm(predicted) - np.linalg.norm(true)))
            if np.linalg.norm(true) >= 1e-8:
                cosine = predicted @ true / (np.linalg.norm(predicted) * np.linalg.norm(true))
                cosines.append(cosine)
                weighted += cosine * np.linalg.norm(true)
                weights += np.linalg.norm(true)
        worst = np.abs(frame["forces"] - frame["true_forces"]).max()
        within.append(worst < 0.03)
    errors = np.array([frame["energy"] - frame["true_energy"] for frame in frames])
    fit_errors = np.array([frame["energy"] - frame["true_energy"] for frame in train])
    offsets = np.linalg.lstsq(np.array([composition(f) for f in train], float), fit_errors, rcond=None)[0]
    referenced = errors - np.array([composition(f) for f in frames], float) @ offsets
    centred = errors.copy()
    for molecule in {frame["molecule"] for frame in frames}:
        own = [i for i, frame in enumerate(frames) if frame["molecule"] == molecule]
        centred[own] -= errors[own].mean()
    sizes = np.array([len(frame["numbers"]) for frame in frames])
    return (
        {
            "force_mae": np.mean(absolute),
            "force_rmse": np.sqrt(np.mean(squares)),
            "force_cosine": np.mean(cosines),
            "force_cosine_weighted": weighted / weights,
            "force_magnitude_mae": np.mean(magnitudes),
            "energy_mae_raw": np.mean(np.abs(errors)),
            "energy_mae_referenced": np.mean(np.abs(referenced)),
            "energy_mae_centred": np.mean(np.abs(centred)),
            "energy_mae_raw_per_atom": 1000 * np.mean(np.abs(errors) / sizes),
            "energy_mae_referenced_per_atom": 1000 * np.mean(np.abs(referenced) / sizes),
            "energy_mae_centred_per_atom": 1000 * np.mean(np.abs(centred) / sizes),
            "efwt": np.mean(within & (np.abs(referenced) < 0.02)),
        },
        len(magnitudes),
        len(magnitudes) - len(cosines),
    )


def assert_block(block, expected, names=None):
    for name in names or expected:
        assert block[name]["value"] == pytest.approx(expected[name], rel=2e-4, abs=2e-6), name


def test_every_metric_of_both_sets_equals_the_numbers_by_hand(store, split, results):
    train = frames_by_hand(store, split.train)
    by_hand = {}
    for part, frames in (("id", split.id_test), ("ood", split.ood_test)):
        expected, n_atoms, skipped = metrics_by_hand(frames_by_hand(store, frames), train)
        assert_block(results[part], expected)
        assert results[part]["n_frames"] == len(frames)
        assert results[part]["n_atoms"] == n_atoms
        assert results[part]["skipped_atoms"] == skipped
        by_hand[part] = expected
    assert results["id"]["skipped_atoms"] == 1
    for name in by_hand["id"]:
        upper, lower = by_hand["ood"][name], by_hand["id"][name]
        if name in ("force_cosine", "force_cosine_weighted", "efwt"):
            upper, lower = 1 - upper, 1 - lower
        if lower == 0:
            assert results["ratio"][name]["value"] is None
        else:
            assert results["ratio"][name]["value"] == pytest.approx(upper / lower, rel=1e-3)


def test_the_numbers_do_not_depend_on_batches_or_padding(store, split, results):
    for batch_size in (1, 5, 1000):
        other = evaluate(make_run(store), store, split, Settings(samples=200, batch_size=batch_size)).results
        for part in ("id", "ood", "ratio"):
            for name in MANDATORY:
                assert other[part][name]["value"] == pytest.approx(results[part][name]["value"], rel=1e-4)


def test_by_molecule_by_n_and_by_end_equal_the_numbers_by_hand(store, split, results):
    train = frames_by_hand(store, split.train)
    for part, frames, molecules in (("id", split.id_test, TRAINED), ("ood", split.ood_test, HELD_OUT)):
        by_hand = frames_by_hand(store, frames)
        assert list(results["by_molecule"][part]) == [store.graphs[m].molecule.inchikey for m in molecules]
        for m in molecules:
            own = [frame for frame in by_hand if frame["molecule"] == m]
            block = results["by_molecule"][part][store.graphs[m].molecule.inchikey]
            expected, n_atoms, _ = metrics_by_hand(own, train)
            assert_block(block, expected)
            assert (block["n_molecules"], block["n_frames"], block["n_atoms"]) == (1, len(own), n_atoms)
            assert block["force_mae"]["low"] is block["force_mae"]["high"] is None
            assert block["name"] == store.graphs[m].molecule.name
            single = [metrics_by_hand([frame], train)[0]["force_mae"] for frame in own]
            assert block["force_mae_frames"]["p50"] == pytest.approx(np.median(single), rel=1e-3)
            assert block["force_mae_frames"]["p95"] == pytest.approx(np.quantile(single, 0.95), rel=1e-3)
        for key, label in (("by_n", "n"), ("by_end_fragment", "ends")):
            values = {}
            for m in molecules:
                value = getattr(store.graphs[m].molecule, label)
                for item in {value} if label == "n" else set(value):
                    values.setdefault(str(item), []).append(m)
            assert set(results[key][part]) == set(values)
            for value, having in values.items():
                own = [frame for frame in by_hand if frame["molecule"] in having]
                assert_block(results[key][part][value], metrics_by_hand(own, train)[0])
                assert results[key][part][value]["n_molecules"] == len(having)
    assert list(results["by_n"]["ood"]) == ["4", "5"]


def test_by_element_and_by_distance_equal_the_numbers_by_hand(store, split, results):
    by_hand = frames_by_hand(store, split.ood_test)
    forces = ("force_mae", "force_rmse", "force_cosine", "force_magnitude_mae", "force_cosine_weighted")
    for symbol, number in (("H", 1), ("C", 6), ("O", 8)):
        expected, n_atoms, _ = metrics_by_hand(by_hand, by_hand, lambda f, a, z=number: f["numbers"][a] == z)
        assert_block(results["by_element"]["ood"][symbol], expected, forces)
        assert results["by_element"]["ood"][symbol]["n_atoms"] == n_atoms
    assert set(results["by_element"]["id"]) == {"H", "C", "O"}
    assert results["by_element"]["id"]["O"]["n_molecules"] == 1
    distances = unseen_distances(store, split)
    assert max(d.max() for d in distances.values()) >= 1
    total = 0
    for label, block in results["by_distance"]["ood"].items():
        wanted = -1 if label == "none" else int(label)
        expected, n_atoms, _ = metrics_by_hand(
            by_hand, by_hand, lambda f, a, d=wanted: distances[f["molecule"]][a] == d
        )
        assert_block(block, expected, forces)
        assert block["n_atoms"] == n_atoms
        total += n_atoms
    assert total == results["ood"]["n_atoms"]


def test_by_contact_and_by_touching_divide_the_ood_frames(store, split, results):
    train, by_hand = frames_by_hand(store, split.train), frames_by_hand(store, split.ood_test)
    novel = unseen_contact_frames(store, split.train, split.ood_test)
    assert novel.any()
    # Contacts have the cutoff of the benchmark, not the one of the potential, which would find fewer.
    assert novel.sum() > unseen_contact_frames(store, split.train, split.ood_test, CUTOFF).sum()
    for label, chosen in (("unseen", novel), ("seen", ~novel)):
        if chosen.any():
            own = [frame for frame, is_in in zip(by_hand, chosen, strict=True) if is_in]
            block = results["by_contact"]["ood"][label]
            assert block["n_frames"] == len(own)
            assert block["force_mae"]["value"] == pytest.approx(metrics_by_hand(own, train)[0]["force_mae"], rel=1e-3)
    for key in ("by_contact", "by_touching"):
        assert sum(block["n_frames"] for block in results[key]["ood"].values()) == results["ood"]["n_frames"]


def test_ratio_against_the_largest_id_molecules(store, split, results):
    train = frames_by_hand(store, split.train)
    ood = metrics_by_hand(frames_by_hand(store, split.ood_test), train)[0]
    largest = [frame for frame in frames_by_hand(store, split.id_test) if frame["molecule"] in (1, 2)]
    expected = ood["force_mae"] / metrics_by_hand(largest, train)[0]["force_mae"]
    assert results["ratio_largest_id"]["force_mae"]["value"] == pytest.approx(expected, rel=1e-3)
    assert results["ratio_largest_id"]["id_molecules"] == ["bee", "cee"]
    assert results["ratio_largest_id"]["n"] == 3


def test_results_have_every_key_that_was_promised_and_are_strict_json(store, split, results, tmp_path):
    for part in ("id", "ood", "ratio"):
        for name in MANDATORY:
            assert set(results[part][name]) == {"value", "low", "high", "n_molecules", "n_frames", "n_atoms"}
            low, value, high = (results[part][name][key] for key in ("low", "value", "high"))
            assert low is high is None  # three molecules
            assert isinstance(value, float)
        assert {"n_molecules", "n_frames", "n_atoms"} <= set(results[part])
    for block in (b for part in ("id", "ood") for b in results["by_molecule"][part].values()):
        assert set(MANDATORY) <= set(block)
    assert results["task"] == "chain_extension"
    assert (results["model"], results["seed"], results["data"]) == ("pairs", 0, store.hash)
    assert results["config"] == make_run(store).config
    assert results["train"]["n"] == [2, 3]
    assert (results["role"], results["kind"]) == ("task", "trained")
    units = {name: METRICS[name].unit for name in ("energy_mae_raw", "energy_mae_raw_per_atom", "force_rmse")}
    assert list(units.values()) == ["eV", "meV/atom", "eV/angstrom"]

    def refuse(text):
        raise AssertionError(text)

    write_result(tmp_path / "results.json", results.result)
    json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)
    again = read_results(tmp_path)
    assert again.result == results.result and again["ood"] == results["ood"]


def test_predictions_are_plain_arrays_of_forces_and_total_energies(store, split, evaluation, tmp_path):
    evaluation.save_predictions(tmp_path / "predictions")
    for part, frames in (("id", split.id_test), ("ood", split.ood_test)):
        arrays = {
            name: np.load(tmp_path / "predictions" / f"{part}_{name}.npy", allow_pickle=False)
            for name in ("forces", "energy", "frames")
        }
        by_hand = frames_by_hand(store, frames)
        np.testing.assert_array_equal(arrays["frames"], frames)
        assert arrays["energy"].dtype == np.float64
        # Thousands of eV to 10 µeV: float32 could not hold that.
        np.testing.assert_allclose(arrays["energy"], [f["energy"] for f in by_hand], rtol=0, atol=1e-5)
        assert arrays["forces"].dtype == np.float32
        np.testing.assert_allclose(arrays["forces"], np.concatenate([f["forces"] for f in by_hand]), atol=1e-5)
    assert len(list((tmp_path / "predictions").iterdir())) == 6


def test_a_perfect_potential_has_no_error_and_undefined_ratios_are_null(store, split):
    run = make_run(store, strength=0.8 * STRENGTH)
    exact = evaluate(run, store, split, SETTINGS).results
    # Only the noise of the labels is left, 0.05 eV/Å in the forces: mean |N(0, 0.05)| = 0.0399.
    assert exact["ood"]["force_mae"]["value"] == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.1)
    # The labels are off by 0.1 eV per atom, which the per-element fit takes out.
    assert exact["ood"]["energy_mae_raw"]["value"] > 0.5
    assert exact["ood"]["energy_mae_referenced"]["value"] < 0.05
    assert exact["ratio"]["force_mae"]["value"] == pytest.approx(1, rel=0.15)


def test_two_records_of_one_inchikey_are_one_molecule(tmp_path, monkeypatch):
    import toy_store

    rows = list(toy_store.MOLECULES)
    rows.append(("bee", *rows[1][1:]))  # the same name gives the same InChIKey
    monkeypatch.setattr(toy_store, "MOLECULES", tuple(rows))
    monkeypatch.setattr(toy_store, "TRAINED", (0, 1, 2, 6))
    store = toy_store.make_store(tmp_path / "store")
    found = evaluate(make_run(store), store, toy_store.make_split(store), SETTINGS).results
    assert found["id"]["n_molecules"] == 3
    assert found["by_molecule"]["id"]["KEY-bee"]["n_frames"] == 2 * (toy_store.SECONDARY - toy_store.TUNING)


def test_one_ood_molecule_has_no_interval(store, split):
    from dataclasses import replace

    one = replace(split, ood_test=store.select(4, "primary"))
    found = evaluate(make_run(store), store, one, SETTINGS).results
    assert found["ood"]["force_mae"]["low"] is None
    assert found["ratio"]["force_mae"]["high"] is None
    assert found["ratio"]["force_mae"]["value"] is not None


def test_a_potential_that_has_diverged_is_refused(store, split):
    with pytest.raises(RunError, match=r"ID test frames is finite.*diverged"):
        evaluate(make_run(store, strength=np.nan), store, split, SETTINGS)


def test_a_frame_that_is_not_finite_is_left_out_and_counted(store, split, evaluation):
    """One policy for runs and calculators: such a frame is in no metric, and the result says that it is partial."""

    def one_bad(*arguments):
        found = predict_sets(*arguments)
        found["ood"].forces[0, 2] = np.inf
        return found

    found = evaluate(make_run(store), store, split, SETTINGS, predictor=one_bad)
    entry = found.results["partial"]["ood"]
    assert (entry["n_frames"], entry["of_frames"]) == (1, len(split.ood_test))
    (molecule,) = entry["molecules"]
    assert (molecule["n_frames"], molecule["reason"]) == (1, "not finite")
    np.testing.assert_array_equal(found.frames["ood"], split.ood_test[1:])
    assert found.results["ood"]["n_frames"] == len(split.ood_test) - 1 == len(found.predictions["ood"].energy)
    frames = frames_by_hand(store, split.ood_test[1:])
    expected = metrics_by_hand(frames, frames_by_hand(store, split.train))[0]
    assert_block(found.results["ood"], expected, ("force_mae", "energy_mae_referenced"))
    assert found.results["id"] == evaluation.results["id"] and "partial" not in evaluation.results


def test_an_element_that_the_potential_does_not_know_is_named(store, split):
    from dataclasses import replace

    run = make_run(store)
    known = replace(run.potential.normalisation, elements=(1, 6), reference_energies=(-13.0, -1030.0))
    with pytest.raises(DataError, match="contains O"):
        evaluate(replace(run, potential=replace(run.potential, normalisation=known)), store, split, SETTINGS)


def test_batches_computed_at_once_change_nothing(store, split, evaluation, monkeypatch):
    for lanes in (1, 3):
        monkeypatch.setattr("compbench_jax.evaluation.predict.concurrent_batches", lambda lanes=lanes: lanes)
        found = evaluate(make_run(store), store, split, SETTINGS)
        for part in ("id", "ood"):
            for name in ("energy", "forces"):
                a, b = (getattr(item.predictions[part], name) for item in (found, evaluation))
                np.testing.assert_array_equal(a, b)


def test_progress_counts_every_frame_once(store, split):
    seen = []
    evaluate(make_run(store), store, split, SETTINGS, progress=lambda done, total: seen.append((done, total)))
    total = len(split.id_test) + len(split.ood_test) + len(split.train)
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_fit_frames_are_spread_over_the_molecules_and_reproducible(store, split):
    np.testing.assert_array_equal(fit_sample(store, split.train, 1000, 0), split.train)
    some = fit_sample(store, split.train, 6, 0)
    np.testing.assert_array_equal(np.bincount(store.molecule[some])[list(TRAINED)], [2, 2, 2])
    np.testing.assert_array_equal(some, fit_sample(store, split.train, 6, 0))
    assert set(some) <= set(split.train)
    assert (some != fit_sample(store, split.train, 6, 1)).any()
    assert len(fit_sample(store, split.train, 1, 0)) == len(TRAINED)


@pytest.mark.parametrize(("setting", "value"), [("samples", 0), ("seed", -1), ("batch_size", 0), ("fit_frames", 0)])
def test_settings_that_cannot_work_are_named(setting, value):
    with pytest.raises(RunError, match=f"--{setting.replace('_', '-')} is {value}"):
        Settings(**{setting: value})
