"""What several results say together: numbers of the data functions, their tables, and what is drawn of them."""

import json

import numpy as np
import pytest
from report_results import RESULTS, copy_results

from compbench_jax.errors import RunError
from compbench_jax.evaluation.derived import read_results
from compbench_jax.report import findings_figures
from compbench_jax.report.findings import findings
from compbench_jax.report.findings_data import (
    divergences,
    energy_ratios,
    ensembles,
    paired,
    priors,
    rank_correlations,
    shots,
)
from compbench_jax.report.findings_figures import RADIUS, draw_findings
from compbench_jax.report.findings_material import material
from compbench_jax.report.leaderboard import read_sources
from compbench_jax.report.site_published import published_facts

TASKS = ("chain_extension", "fragment_fusion", "fragment_duplication")
EXTENSION = RESULTS / "chain_extension-mace-seed0"
DUPLICATION = RESULTS / "fragment_duplication-mace-seed0"
CURVE = {"calibration": {"predicted": [0.01, 0.02, 0.04], "observed": [0.02, 0.03, None]}}
SCORES = [{"error_over_spread": {"value": a}, "spearman": {"value": b}} for a, b in ((1.25, 0.5), (2.5, 0.75))]
UNCERTAINTY = {"n_members": 3, "forces": {"id": CURVE | SCORES[0], "ood": CURVE | SCORES[1]}}


def read(folder):
    return material(read_sources([folder]), TASKS, published_facts(), TASKS)


def rows_of(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line][2:]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """MACE and PaiNN on three tasks, and of MACE: few-shot tasks, a prior, pairs, a random split, an ensemble."""
    folder = tmp_path_factory.mktemp("grid")
    for task in TASKS:
        for model in ("mace", "painn"):
            copy_results(RESULTS / f"{task}-{model}-seed0", folder / f"{task}-{model}")
    more = {"few_shot(chain_extension,frames=20)": 0.75, "few_shot(chain_extension,frames=5)": 0.875,
            "oracle(chain_extension)": 0.5, "control_random(chain_extension)": 0.625}  # fmt: skip
    for task, factor in more.items():
        copy_results(EXTENSION, folder / task, task=task, factor=factor)
    audit = json.loads((EXTENSION / "audit.json").read_text()) | {"task": "control_random(chain_extension)"}
    for row in audit["profile"]:
        row["compound_divergence"] /= 10
    (folder / "control_random(chain_extension)" / "audit.json").write_text(json.dumps(audit))
    copy_results(DUPLICATION, folder / "pairs", task="contacts(fragment_duplication[COOH])", factor=0.5)
    copy_results(
        EXTENSION, folder / "prior", model="mace + classical prior", factor=0.25, members={"uncertainty": UNCERTAINTY},
        config={"preset": "mace", "prior": "classical"},
    )  # fmt: skip
    return read(folder)


def error(folder, part="ood"):
    return read_results(folder)[part]["force_mae"]["value"]


def test_few_shot_curves_are_by_number_of_frames_between_task_and_oracle(found):
    (curve,) = shots(found)
    assert (curve.task, curve.model, list(curve.rows)) == ("chain_extension", "mace", [5, 20])
    errors = [row.estimate("ood").value for row in (curve.zero, *curve.rows.values(), curve.oracle)]
    assert np.array(errors) / error(EXTENSION) == pytest.approx([1, 0.875, 0.75, 0.5])
    (line,) = rows_of(findings(found)["few_shot"])
    assert line[:2] == ["`chain_extension`", "mace"]
    assert [float(cell) for cell in line[2:]] == pytest.approx([1000 * value for value in errors], rel=0.005)


def test_a_prior_is_compared_with_the_same_preset_on_the_same_task(found):
    ((without, row),) = priors(found)
    assert (without.model, row.model, row.task) == ("mace", "mace + classical prior", "chain_extension")
    assert row.estimate("ood").value / without.estimate("ood").value == pytest.approx(0.25)
    (line,) = rows_of(findings(found)["prior"])
    assert line[1] == "mace" and line[2].startswith(f"{1000 * error(EXTENSION, 'id'):.3g} → ")


def test_the_spread_of_an_ensemble_is_compared_with_its_error(found):
    (line,) = rows_of(findings(found)["uncertainty"])
    assert line == ["`chain_extension`", "mace + classical prior, 3 seeds", "1.25 → 2.50", "0.500 → 0.750"]


def test_pairs_are_compared_with_molecules_alone_on_the_same_data(found, tmp_path):
    ((alone, row),) = paired(found)
    assert alone.task == "fragment_duplication[COOH]" and row.task == f"contacts({alone.task})"
    assert row.estimate("ood").value / alone.estimate("ood").value == pytest.approx(0.5)
    copy_results(DUPLICATION, tmp_path / "a")
    copy_results(DUPLICATION, tmp_path / "b", task="contacts(fragment_duplication[COOH])", data="0" * 64)
    assert paired(read(tmp_path)) == []


def test_divergences_are_those_of_the_audits_and_in_their_order(found):
    splits = divergences(found)
    assert [item.task for item in splits] == [
        "control_random(chain_extension)", "chain_extension", "fragment_duplication[COOH]", "fragment_fusion[OH]",
    ]  # fmt: skip
    audit = json.loads((EXTENSION / "audit.json").read_text())
    assert list(splits[1].by_radius.values()) == [row["compound_divergence"] for row in audit["profile"]]
    assert [item.random for item in splits] == [True, False, False, False]
    # MACE and PaiNN; not MACE with a prior.
    ratio = error(EXTENSION) / error(EXTENSION, "id")
    assert len(splits[1].ratios) == 2 and splits[1].ratios[0] == pytest.approx(ratio, rel=1e-4)
    assert splits[0].ratios == [pytest.approx(0.625 * ratio, rel=1e-4)]


def test_rank_correlations_are_over_splits(found):
    splits = divergences(found)
    medians = [np.median(item.ratios) for item in splits]
    at = [item.by_radius[RADIUS] for item in splits]
    ranks = [np.argsort(np.argsort(values)) for values in (at, medians)]
    assert rank_correlations(splits)[RADIUS] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert rank_correlations(splits[:2]) == {}


def test_energy_ratios_and_whether_training_determines_them(found):
    points = {(row.task, row.model): rest for row, *rest in energy_ratios(found)}
    results = read_results(DUPLICATION)
    ways = [
        results[part][f"energy_mae_{how}_per_atom"]["value"] for how in ("raw", "centred") for part in ("id", "ood")
    ]
    raw, centred, marked = points["fragment_duplication[COOH]", "mace"]
    assert (raw, centred) == (
        pytest.approx(ways[1] / ways[0], rel=1e-4),
        pytest.approx(ways[3] / ways[2], rel=1e-4),
    ) and marked
    assert raw > 100 * centred
    assert not points["fragment_fusion[OH]", "mace"][2]


def test_errors_of_direction_are_the_angles_of_the_mean_cosines(found):
    lines = {(line[0], line[1]): line[2:] for line in rows_of(findings(found)["directions"])}
    results = read_results(DUPLICATION)
    size, angle = lines["`fragment_duplication[COOH]`", "mace"]
    cosines = [results[part]["force_cosine"]["value"] for part in ("id", "ood")]
    angles = [np.degrees(np.arccos(value)) for value in cosines]
    assert angle == f"{angles[0]:.3g} → {angles[1]:.3g} ({angles[1] / angles[0]:.3g})"
    assert size.startswith(f"{1000 * results['id']['force_magnitude_mae']['value']:.3g} → ")


def test_everything_is_drawn_where_there_are_results(found, tmp_path, monkeypatch):
    kept = {}
    monkeypatch.setattr(
        findings_figures, "save_figure", lambda figure, path: kept.setdefault(path.stem, figure) and path
    )
    drawn = {path.stem for path in draw_findings(found, tmp_path)}
    assert {"few_shot", "prior", "divergence", "energies", "uncertainty", "gaps", "directions"} < drawn
    (axes,) = kept["few_shot"].axes
    curve, zero, oracle = (np.asarray(line.get_ydata(), float) for line in axes.lines)
    worst = 1000 * error(EXTENSION)
    assert [*curve / worst, zero[0] / worst, oracle[0] / worst] == pytest.approx([0.875, 0.75, 1, 0.5], rel=1e-4)
    (axes,) = kept["prior"].axes
    ends = axes.lines[0].get_xydata()
    assert ends[1] == pytest.approx(ends[0] * [1, 0.25], rel=1e-4) and ends[0][1] == pytest.approx(worst, rel=1e-4)
    (axes,) = kept["divergence"].axes
    large = [line for line in axes.lines if line.get_marker() in "sD"]
    assert [line.get_xdata()[0] for line in large] == [item.by_radius[RADIUS] for item in divergences(found)]
    (axes,) = kept["lengths"].axes
    assert axes.lines[-1].get_xydata()[[0, -1]] == pytest.approx(np.array([[2, 0.315], [13, 2.723]]))  # as published
    (axes,) = kept["uncertainty"].axes
    assert axes.lines[0].get_xydata() == pytest.approx(np.array([[10, 20], [20, 30]]))
    assert len(ensembles(found)) == 1 and "3 seeds" in axes.get_title(loc="left")


def test_figures_without_results_are_left_out(tmp_path):
    copy_results(EXTENSION, tmp_path / "r" / "a")
    drawn = {path.stem for path in draw_findings(read(tmp_path / "r"), tmp_path / "f")}
    assert not drawn & {"few_shot", "prior", "uncertainty", "gaps"} and {"divergence", "energies"} < drawn
    (path,) = draw_findings(read(tmp_path / "r"), tmp_path / "g", ["energies"])
    assert path.stem == "energies" and path.stat().st_size > 10_000
    with pytest.raises(RunError, match="no figure 'prior': choose from overview, "):
        draw_findings(read(tmp_path / "r"), tmp_path / "g", ["prior"])


def test_key_findings_name_what_a_few_labels_bring(found):
    (line,) = [line for line in findings(found)["key"].splitlines() if "labelled" in line]
    before = 1e3 * read_results(EXTENSION)["ood"]["force_mae"]["value"]
    change = f"bring mace from {before:.1f} to {0.875 * before:.1f} meV/Å (`chain_extension`)"
    assert line == f"- 5 labelled frames of each unseen molecule {change}."
