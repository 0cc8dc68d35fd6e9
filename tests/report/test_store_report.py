import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from compbench_jax.cli.describe import Arguments, run
from compbench_jax.report.store_figure import draw_correlation, draw_coverage, draw_torsions, store_figure
from compbench_jax.report.store_table import correlation_table, family_table, summary

ROOT = Path(__file__).parent.parent.parent
MINI = ROOT / "data" / "mini"


@pytest.fixture(scope="module")
def statistics():
    return json.loads((MINI / "statistics.json").read_text())


def bare(statistics):
    """Without torsions, times, temperatures and segments: what a store of single foreign frames has."""
    content = json.loads(json.dumps(statistics))
    content.update(spacing=None, temperature={"primary": None, "secondary": None})
    for row in content["molecules"]:
        row.update(coverage=None, torsions=0)
    for entry in content["families"].values():
        entry["coverage"] = None
        for part in entry["torsions"].values():
            part.update(trans=None, gauche=None, histogram=None, count=0)
        for key in ("autocorrelation", "inefficiency", "independent_frames"):
            entry[key] = {name: [] if key == "autocorrelation" else None for name in entry[key]}
    return content


def axes():
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure()
    FigureCanvasAgg(figure)
    return figure.subplots()


def test_figure_shows_both_sets_and_what_chance_allows(statistics):
    where = axes()
    draw_torsions(where, statistics, "alkane")
    drawn = [patch.get_data().values for patch in where.patches]
    for values, name in zip(drawn, ("primary", "secondary"), strict=True):
        np.testing.assert_array_equal(values, statistics["families"]["alkane"]["torsions"][name]["histogram"])
    shares = [statistics["families"]["alkane"]["torsions"][name]["trans"] for name in ("primary", "secondary")]
    assert "{:.0%} / {:.0%}".format(*shares) in where.get_title(loc="left")
    where = axes()
    draw_coverage(where, statistics)
    assert [text.get_text() for text in where.get_legend().get_texts()] == ["mean", "segments assigned at random"]
    assert len(where.lines) == 2 + sum(row["coverage"] is not None for row in statistics["molecules"])


def test_correlation_begins_at_one_and_is_over_time(statistics):
    where = axes()
    draw_correlation(where, statistics)
    curves = {line.get_label(): line.get_xydata() for line in where.lines[1:]}
    assert curves["energy"][0].tolist() == [0.0, 1.0]
    assert curves["energy"][1].tolist() == [10.0, statistics["families"]["all"]["autocorrelation"]["energy"][0]]
    assert where.get_xlabel() == "time between frames (fs)"


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_figures_are_drawn_of_every_store(tmp_path, statistics, ending):
    for content in (statistics, bare(statistics)):
        path = store_figure(content, tmp_path / f"figure.{ending}")
        assert path.stat().st_size > 5000


def text_of(table):
    console = Console(width=118, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table)
    return console.export_text()


def test_tables_say_what_the_statistics_say(statistics):
    text = text_of(family_table(statistics))
    every = statistics["families"]["all"]
    row = next(line for line in text.splitlines() if line.startswith("│ all"))
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:7] == [
        "all", "118", "8260", "1888", "0", f"{every['force']['mean']:.2f}", f"{every['force']['quantiles']['p95']:.2f}",
    ]  # fmt: skip
    assert cells[10] == f"{every['coverage']['overlap']:.0%}"
    assert "…" not in text
    text = text_of(correlation_table(statistics))
    assert "frames of 10 fs apart" in text and str(every["independent_frames"]["energy"]) in text
    assert "118 molecules" in summary(statistics) and "primary 301.2 K" in summary(statistics)


def test_tables_of_what_is_not_known(statistics):
    content = bare(statistics)
    assert "–" in text_of(family_table(content))
    assert "frames apart" in text_of(correlation_table(content))
    assert "temperature" not in summary(content)


def test_command_writes_statistics_and_figure(tmp_path, capsys):
    run(Arguments(MINI, out=tmp_path / "new" / "folder"))
    captured = capsys.readouterr()
    assert "amino acid" in captured.out and "written:" in captured.err
    written = json.loads((tmp_path / "new" / "folder" / "statistics.json").read_text())
    assert written["frames"] == 8260
    assert (tmp_path / "new" / "folder" / "statistics.png").read_bytes().startswith(b"\x89PNG")
    run(Arguments(MINI, json=True))
    assert json.loads(capsys.readouterr().out) == written


def test_without_matplotlib_the_figures_stand(tmp_path, capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    run(Arguments(MINI, out=tmp_path))
    assert (tmp_path / "statistics.json").exists() and not (tmp_path / "statistics.png").exists()
    assert "no picture: drawing figures needs the package 'matplotlib'" in capsys.readouterr().err
