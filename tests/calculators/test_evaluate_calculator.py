"""Calculators in worker processes: the right results, or a marked gap, or one line; never a wrong number."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import toy_calculators
import toy_store

from compbench_jax.calculators.evaluate import Work, evaluate_calculator
from compbench_jax.calculators.log import PredictionLog
from compbench_jax.calculators.pool import Timeouts
from compbench_jax.calculators.spec import parse_spec
from compbench_jax.errors import RunError
from compbench_jax.evaluation.evaluate import evaluate
from compbench_jax.evaluation.settings import Settings
from compbench_jax.files import is_alive
from compbench_jax.report.calculators import calculator_lines

FILE = Path(toy_calculators.__file__)
SETTINGS = Settings(samples=30, fit_frames=6)
QUICK = Timeouts(frame=4.0, start=120.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return toy_store.make_store(tmp_path_factory.mktemp("calculators") / "store")


@pytest.fixture(scope="module")
def split(store):
    return toy_store.make_split(store)


@pytest.fixture(scope="module")
def reference(store, split):
    """The same pair potential evaluated as a run of ours."""
    return evaluate(toy_store.make_run(store), store, split, SETTINGS)


@pytest.fixture
def compute(store, split, tmp_path):
    def run(name, workers=1, retry=False, python=None, progress=None, folder="out", timeouts=QUICK, **keywords):
        spec = parse_spec(f"{FILE}:{name}", json.dumps(keywords), python)
        work = Work(tmp_path / folder, workers, timeouts, retry)
        return evaluate_calculator(spec, store, split, work, SETTINGS, progress=progress)

    return run


def assert_same(results, reference):
    """Every metric of both sets agrees to what float32 leaves of it."""
    for part in ("id", "ood"):
        for name, item in reference[part].items():
            if isinstance(item, dict):
                assert results[part][name]["value"] == pytest.approx(item["value"], rel=2e-4, abs=2e-5), (part, name)


@pytest.mark.parametrize("name", ["Pairs", "Shouting"])
def test_a_calculator_gets_the_results_of_the_same_potential_as_a_run(compute, reference, name):
    evaluation = compute(name, workers=2)
    assert_same(evaluation.results, reference.results)
    assert set(reference.results) - {"parameters"} <= set(evaluation.results)  # nobody knows those of a calculator
    assert "partial" not in evaluation.results
    for part in ("id", "ood"):
        np.testing.assert_allclose(evaluation.predictions[part].forces, reference.predictions[part].forces, atol=2e-5)
        np.testing.assert_array_equal(evaluation.frames[part], reference.frames[part])
    model = evaluation.results["config"]["model"]
    assert model["import_path"] == f"toy_calculators.py:{name}"
    assert str(FILE.parent) not in json.dumps(evaluation.results["config"])
    assert model["environment"]["numpy"] == np.__version__


def test_metrics_are_those_of_the_saved_predictions(compute, store, tmp_path):
    evaluation = compute("Pairs")
    evaluation.save_predictions(tmp_path / "saved")
    for part in ("id", "ood"):
        energy, forces, frames = (
            np.load(tmp_path / "saved" / f"{part}_{k}.npy") for k in ("energy", "forces", "frames")
        )
        labels = store.gather(frames)
        block = evaluation.results[part]
        assert block["force_mae"]["value"] == pytest.approx(np.abs(forces - labels.forces).mean(dtype=float), rel=1e-5)
        assert block["energy_mae_raw"]["value"] == pytest.approx(np.abs(energy - labels.energy).mean(), rel=1e-5)


def test_a_killed_worker_is_replaced_and_the_frame_done_again(compute, reference, tmp_path):
    evaluation = compute("Killed", once=str(tmp_path / "flag"))
    assert (tmp_path / "flag").exists()
    assert "partial" not in evaluation.results
    assert_same(evaluation.results, reference.results)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Killed", "SIGKILL"),
        ("Vandal", "garbage on the pipe"),
        ("NotANumber", "not finite"),
        ("Hanging", "no answer within"),
    ],
)
def test_frames_that_cannot_be_computed_are_marked_and_the_rest_is_right(compute, reference, tmp_path, name, reason):
    # Six atoms: "cee", a third of the ID frames and of the train frames.
    keep = {"timeouts": Timeouts(frame=0.7, start=120.0)} if name == "Hanging" else {}
    results = compute(name, **keep).results
    assert set(results["partial"]) == {"id", "train"}
    (lost,) = results["partial"]["id"]["molecules"]
    assert (lost["name"], lost["n_frames"], lost["of_frames"]) == ("cee", 5, 5)
    assert reason in lost["reason"] or "not tried" in lost["reason"]
    assert any(reason in line for line in (tmp_path / "out" / "failed.tsv").read_text().splitlines())
    assert results["id"]["n_frames"] == reference.results["id"]["n_frames"] - 5
    values = [item["ood"]["force_mae"]["value"] for item in (results, reference.results)]
    assert values[0] == pytest.approx(values[1], rel=1e-3)
    for key in ("KEY-ay", "KEY-bee"):
        ours, theirs = (item["by_molecule"]["id"][key]["force_mae"]["value"] for item in (results, reference.results))
        assert ours == pytest.approx(theirs, rel=1e-4)
    assert any(line.startswith("PARTIAL: 5 of 15 ID frames") for line in calculator_lines(results, tmp_path))


def test_a_set_of_which_nothing_can_be_computed_is_one_line(compute):
    with pytest.raises(
        RunError, match=r"none of the 18 OOD test frames \(NotImplementedError: no parameters for oxygen\)"
    ):
        compute("NoOxygen")


def test_wrong_shapes_are_one_line(compute):
    with pytest.raises(RunError, match=r"forces of shape \(\d, 3\) and 1 energies for") as caught:
        compute("WrongShape")
    assert "\n" not in str(caught.value)


def test_a_calculator_that_kills_every_worker_is_given_up(compute):
    with pytest.raises(RunError, match=r"does not start .*exit code 3"):
        compute("dies_at_start")


def test_a_failure_does_not_wait_for_a_worker_that_is_starting(compute, tmp_path):
    began = time.monotonic()
    with pytest.raises(RunError, match=r"did not start .*no weights"):
        compute("first_fails_others_hang", workers=2, flag=str(tmp_path / "flag"), started=str(tmp_path / "started"))
    process = int((tmp_path / "started").read_text())
    assert not is_alive(process)
    assert time.monotonic() - began < QUICK.start / 2


@pytest.mark.parametrize(
    ("calculator", "words"),
    [
        (f"{FILE}:NoSuch", "did not start .*has no attribute 'NoSuch'"),
        ("no_such_module:thing", "No module named 'no_such_module'"),
    ],
)
def test_what_cannot_be_imported_is_one_line(store, split, tmp_path, calculator, words):
    with pytest.raises(RunError, match=words) as caught:
        evaluate_calculator(parse_spec(calculator), store, split, Work(tmp_path), SETTINGS)
    assert "\n" not in str(caught.value)


def test_an_interrupted_evaluation_goes_on(compute, reference, tmp_path):
    log, seen = tmp_path / "log", []

    def interrupt(done, total):
        seen.append(done)
        if done == 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute("Pairs", log=str(log), progress=interrupt)
    first = len(log.read_text().splitlines())
    evaluation = compute("Pairs", log=str(log), progress=lambda done, total: seen.append((done, total)))
    total = seen[-1][1]
    # The worker may have been three frames ahead when it was stopped.
    assert 11 <= first <= 14 and total <= len(log.read_text().splitlines()) <= total + 4
    assert_same(evaluation.results, reference.results)
    compute("Pairs", log=str(log))
    assert len(log.read_text().splitlines()) <= total + 4
    with pytest.raises(RunError, match=r"predictions with another calculator\.keywords\.log"):
        compute("Pairs", log=str(tmp_path / "another"))
    (part, *_) = sorted((tmp_path / "out" / "parts").glob("*.npz"))
    part.write_bytes(part.read_bytes()[:-30])
    with pytest.raises(RunError, match="is damaged"):
        compute("Pairs", log=str(log))


def test_changed_files_of_a_calculator_are_noticed(store, split, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("named.json", "read.json"):
        Path(name).write_text("{}")
    Path("mine").mkdir()
    Path("mine/helper.py").write_text("")
    Path("mine/calculators.py").write_text(
        f"import sys\nsys.path.insert(0, {str(FILE.parent)!r})\nfrom toy_calculators import Pairs\n"
        "def make(weights):\n    import mine.helper\n    open('read.json').close()\n    return Pairs()\n"
    )
    spec = parse_spec("mine.calculators:make", '{"weights": ["named.json"]}')
    seen = []

    def evaluate(until=None):
        def progress(done, total):
            seen.append(done)
            if done == until:
                raise KeyboardInterrupt

        return evaluate_calculator(spec, store, split, Work(tmp_path / "out", 1, QUICK), SETTINGS, progress)

    with pytest.raises(KeyboardInterrupt):
        evaluate(until=11)
    names = ["mine/calculators.py", "mine/helper.py", "named.json", "read.json"]
    for name in names:
        good = Path(name).read_text()
        Path(name).write_text(good + "\n")
        with pytest.raises(RunError, match=f"/{name} has changed since .*/out was begun: give another --out") as caught:
            evaluate()
        assert "\n" not in str(caught.value)
        Path(name).write_text(good)
    seen.clear()
    files = evaluate().results["config"]["model"]["files"]
    assert seen[0] >= 11
    assert {Path(name).name for name in names} | {"toy_calculators.py"} <= set(files)
    assert all(len(digest) == 64 for digest in files.values()) and len(files) < 20


def test_a_worker_that_starts_after_a_change_is_refused(tmp_path):
    weights = tmp_path / "weights"
    weights.write_text("first")
    log = PredictionLog(tmp_path / "out", {}, named=[weights])
    log.claim({"python": "3"})
    log.claim({"python": "3"})
    weights.write_text("second")
    with pytest.raises(RunError, match="weights has changed since"):
        log.claim({"python": "3"})


def test_failed_frames_can_be_tried_again(store, split, tmp_path):
    flag, source = tmp_path / "mended", tmp_path / "mending.py"
    source.write_text(
        f"import sys\nsys.path.insert(0, {str(FILE.parent)!r})\n"
        "from pathlib import Path\nfrom toy_calculators import Pairs\n"
        "class Broken(Pairs):\n    def misbehave(self, atoms):\n"
        f"        if len(atoms) == 6 and not Path({str(flag)!r}).exists():\n            raise ValueError('broken')\n"
    )

    def again(retry):
        work = Work(tmp_path / "retry", 1, QUICK, retry)
        return evaluate_calculator(parse_spec(f"{source}:Broken"), store, split, work, SETTINGS).results

    assert again(False)["partial"]["id"]["molecules"][0]["reason"] == "ValueError: broken"
    flag.touch()
    assert "partial" in again(False)
    assert "partial" not in again(True)
    assert not (tmp_path / "retry" / "failed.tsv").exists()


def test_another_environment_needs_numpy_and_ase_only(compute, tmp_path):
    """A virtual environment of its own, to which this one's packages are lent but which does not import ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    lent = [str(Path(module.__file__).parent.parent) for module in (np, __import__("ase"), __import__("scipy"))]
    (site / "lent.pth").write_text("\n".join(dict.fromkeys(lent)) + "\n")
    evaluation = compute("Pairs", python=tmp_path / "venv", prefix=str(tmp_path / "venv"))
    assert "partial" not in evaluation.results


def test_a_spec_that_cannot_be_is_refused(tmp_path):
    for calculator, keywords, python, words in (
        ("gfn3-xtb", None, None, "one of gfn1-xtb"),
        ("missing.py:thing", None, None, "there is no file"),
        ("a:b", "[1]", None, "give a JSON object"),
        ("a:b", "{", None, "is not JSON"),
        ("perturb", '{"sigma": 1}', None, "no keyword 'sigma'"),
        ("perturb", '{"force_sigma": -1}', None, "not negative"),
        ("a:b", None, tmp_path, "no interpreter"),
    ):
        with pytest.raises(RunError, match=words):
            parse_spec(calculator, keywords, python)
    with pytest.raises(RunError, match="--timeout is 0"):
        Timeouts(frame=0)
