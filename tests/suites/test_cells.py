"""The grids: every cell once, what a cell needs before it, names that are folders."""

import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.models.registry import BASELINES, MODELS
from compbench_jax.suites.cells import SUITES, Suite, choose, get_suite
from compbench_jax.tasks import get_task


@pytest.mark.parametrize("name", SUITES)
def test_every_cell_is_there_once_and_after_what_it_needs(name):
    cells = get_suite(name).cells()
    names = [cell.name for cell in cells]
    assert len(set(names)) == len(names)
    for place, cell in enumerate(cells):
        assert not cell.parent or cell.parent in names[:place]
        assert get_task(cell.task).name
        if cell.kind in ("train", "fit", "again"):
            assert cell.potential in (BASELINES if cell.kind == "fit" else MODELS)


def test_the_cpu_suite_is_the_grid_that_was_asked_for():
    cells = get_suite("cpu").cells()
    trained = [cell for cell in cells if cell.kind == "train"]
    assert len([c for c in trained if "(" not in c.task]) == 7 * 5 * 2
    assert len([c for c in trained if "(" in c.task]) == 2 * 2 * 5 * 2
    again = [cell for cell in cells if cell.kind == "again"]
    assert len(again) == 7 * 2 and {c.task for c in again} == {"proximity"}
    assert all(c.parent.startswith("fragment_combination-") for c in again)


def test_seeds_are_cells_or_members():
    apart = Suite("", "", ("chain_extension",), 1.0, {"mace": ()}, seeds=3).cells()
    assert [(c.seed, c.seeds) for c in apart] == [(0, 1), (1, 1), (2, 1)]
    together = Suite("", "", ("chain_extension",), 1.0, {"mace": ()}, seeds=3, together=True).cells()
    assert [(c.seed, c.seeds) for c in together] == [(0, 3)]


def test_a_choice_brings_what_it_needs():
    cells = get_suite("cpu").cells()
    chosen = choose(cells, ("proximity-mace-seed1",))
    assert [c.name for c in chosen] == ["fragment_combination-mace-seed1", "proximity-mace-seed1"]
    assert choose(cells, ()) == cells
    with pytest.raises(CompBenchError, match="fits none"):
        choose(cells, ("maec",))
    with pytest.raises(CompBenchError, match="choose one of mini"):
        get_suite("maxi")
