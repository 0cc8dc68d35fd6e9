import pytest

from compbench_jax.cli.main import run_command

BENCH = ["bench", "--suite", "cpu", "--dry-run", "--only", "fusion_hints-mace"]


@pytest.mark.parametrize("words", [["weights", "list"], ["models"], BENCH], ids=lambda words: words[0])
def test_tables_cut_nothing_off_at_eighty_columns(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    run_command(words)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5 and max(map(len, lines[:-2])) <= 80
    assert not [line for line in lines if "…" in line]
