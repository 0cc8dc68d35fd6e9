import builtins

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_results import extension, interpolation, make_results, many_families

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.report.figure import (
    COLOURS,
    draw_panel,
    force_mae_figure,
    lines_of,
    panel_of,
    separated_labels,
    stretches,
)
from compbench_jax.report.runs import group_runs


def drawn(results):
    """Matplotlib axes with the panel of one set of results."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    panel = panel_of(group_runs([results])[0])
    draw_panel(axes, panel, (5.0, 500.0))
    return axes, panel


def test_consecutive_n_are_one_stretch():
    assert stretches([2, 3, 4, 5, 10, 11, 13]) == [(2, 5), (10, 11), (13, 13)]
    assert stretches([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_are_moved_apart_and_keep_their_order(heights):
    moved = separated_labels(heights, 0.05)
    assert len(moved) == len(heights)
    assert (np.diff(np.sort(moved)) >= 0.05 - 1e-3).all()
    for i, first in enumerate(heights):
        for j, second in enumerate(heights):
            if first < second - 1e-9:
                assert moved[i] < moved[j]


def test_labels_with_room_stay_where_they_are():
    assert separated_labels([0.5, 0.1, 0.9], 0.05) == [0.5, 0.1, 0.9]


def test_points_are_the_molecules_of_the_results():
    results = extension()
    _, panel = drawn(results)
    assert [p.x for p in panel.points["ood"]] == list(range(7, 14))
    for part in ("id", "ood"):
        blocks = list(results["by_molecule"][part].values())
        assert [p.value for p in panel.points[part]] == [1000 * b["force_mae"]["value"] for b in blocks]
        assert all(p.low < p.value < p.high for p in panel.points[part])


def test_the_drawing_shows_points_shading_title_and_labels():
    results = interpolation()
    axes, panel = drawn(results)
    plotted = {
        (round(float(x)), round(float(y), 6))
        for line in axes.get_lines()
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }
    for points in panel.points.values():
        assert {(p.x, round(p.value, 6)) for p in points} <= plotted
    spans = sorted(
        (patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches if patch.get_width() > 1
    )
    assert spans == [(1.5, 5.5), (9.5, 13.5)]
    assert axes.get_title(loc="left") == "chain_interpolation · schnet"
    texts = [text.get_text() for text in axes.texts]
    assert {"ID  alkane", "OOD  alkane"} <= set(texts)
    assert any(f"{results['ratio']['force_mae']['value']:.2f}" in text for text in texts)
    assert axes.get_yscale() == "log"
    # A line of the ID family that joined n = 5 and n = 10 would say something about what lies between.
    joined = [line for line in axes.get_lines() if line.get_linestyle() == "-" and len(set(line.get_xdata())) > 1]
    assert max(np.diff(line.get_xdata()).max() for line in joined) == 1
    assert COLOURS["id"] != COLOURS["ood"]


def test_a_family_is_a_line_and_many_or_scattered_families_are_their_mean():
    lines = lines_of(panel_of(group_runs([make_results()])[0]))
    assert [(line.part, line.name) for line in lines] == [("id", "alkane"), ("id", "acid"), ("ood", "diacid")]
    assert len({line.marker for line in lines}) == 3
    results = many_families()
    lines = lines_of(panel_of(group_runs([results])[0]))
    assert [line.name for line in lines] == ["mean of 4 families", "mean of 3 families"]
    blocks = [b for b in results["by_molecule"]["ood"].values() if b["n"] == 5]
    mean = 1000 * np.mean([b["force_mae"]["value"] for b in blocks])
    assert dict(lines[1].points)[5] == pytest.approx(mean)


def test_molecules_without_n_stand_at_their_number_of_atoms():
    results = extension()
    molecules = [msgspec.structs.replace(m, n=None) if m.n == 9 else m for m in results.result.ood.molecules]
    results = results.replaced(ood=msgspec.structs.replace(results.result.ood, molecules=molecules))
    axes, panel = drawn(results)
    assert not panel.by_n
    assert panel.points["id"][0].x == 6
    assert not [patch for patch in axes.patches if patch.get_width() > 1]


def test_seeds_share_a_panel_with_their_mean():
    runs = [extension(seed=0), extension(seed=1)]
    panel = panel_of(group_runs(runs)[0])
    values = [run["by_molecule"]["ood"]["KEY-alkane-9"]["force_mae"]["value"] for run in runs]
    assert next(p.value for p in panel.points["ood"] if p.x == 9) == pytest.approx(1000 * np.mean(values))
    assert "mean of 2 seeds" in panel.ratio


def test_one_panel_and_several_are_written_as_pictures(tmp_path):
    one = force_mae_figure([extension()], tmp_path / "new" / "one.png")
    several = force_mae_figure([extension(), extension("mace"), make_results(model="mace")], tmp_path / "several.png")
    from matplotlib.image import imread

    small, large = imread(one), imread(several)
    assert small.std() > 0.05
    assert large.shape[0] > 1.5 * small.shape[0]
    assert large.shape[1] > 1.5 * small.shape[1]
    # Rerunning gives the same picture.
    again = force_mae_figure([extension()], tmp_path / "again.png")
    np.testing.assert_array_equal(imread(again), small)
    assert force_mae_figure([extension()], tmp_path / "one.svg").read_text().startswith("<?xml")


def test_errors_are_one_clear_line(tmp_path, monkeypatch):
    with pytest.raises(RunError, match=r"cannot draw to .*\.png, \.pdf, \.svg"):
        force_mae_figure([extension()], tmp_path / "figure.jpg")
    real = builtins.__import__

    def without_matplotlib(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    monkeypatch.setattr("importlib.import_module", without_matplotlib)
    with pytest.raises(CompBenchError, match=r"compbench_jax\[report\]"):
        force_mae_figure([extension()], tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


@pytest.mark.filterwarnings("error")
def test_families_of_one_molecule_each_are_drawn_without_a_word():
    results = make_results("x", train=(("alkane", [3]), ("acid", [4])), ood=(("diacid", [4]),))
    axes, _ = drawn(results)
    assert axes.get_lines()
