"""The grids: every cell once, what a cell needs before it, names that are folders."""

from itertools import product

import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.foundation.convert import CONVERTIBLE
from compbench_jax.models.registry import BASELINES, MODELS
from compbench_jax.suites.cells import AGAIN, FINE_TUNING, SUITES, Cell, Pretrained, Suite, Variant, choose, get_suite
from compbench_jax.suites.plan import key
from compbench_jax.tasks import get_task


@pytest.mark.parametrize("name", SUITES)
def test_every_cell_is_there_once_and_after_what_it_needs(name):
    cells = get_suite(name).cells()
    names = [cell.name for cell in cells]
    assert len(set(names)) == len(names)
    for place, cell in enumerate(cells):
        assert not cell.parent or cell.parent in names[:place]
        assert cell.kind == "convert" or get_task(cell.task).name
        known = {"train": MODELS, "pretrain": MODELS, "fit": BASELINES, "again": MODELS | BASELINES,
                 "convert": CONVERTIBLE}  # fmt: skip
        assert cell.potential in known.get(cell.kind, (cell.potential,))


def test_the_cpu_suite_is_the_grid_that_was_asked_for():
    cells = get_suite("cpu").cells()
    trained = [cell for cell in cells if cell.kind == "train"]
    # Seven potentials and SO3LR twice (fine-tuned, from random parameters), six tasks, two seeds; MACE fine-tuned; two
    # potentials with a prior on the four tasks.
    assert len([c for c in trained if "(" not in c.task]) == (7 + 2) * 6 * 2 + 2 + 2 * 4 * 2
    assert len([c for c in trained if c.task.startswith(("control_random(", "oracle("))]) == 2 * 2 * 6 * 2
    shots = {(get_task(c.task).task.kind, get_task(c.task).frames) for c in trained if c.task.startswith("few_shot(")}
    assert shots == set(product(("fragment_duplication", "fragment_fusion"), (1, 5, 20, 100)))
    again = [cell for cell in cells if cell.kind == "again" and "zero-shot" not in cell.name]
    assert len(again) == (9 + 2) * 2 + 3 and {c.task for c in again} == {"fragment_fission"}
    assert all(c.parent.startswith("fragment_duplication-") for c in again)


def test_cells_of_the_accurate_suite_are_those_of_the_cpu_suite_ten_times_as_long():
    cpu = {cell.name: cell for cell in get_suite("cpu").cells()}
    accurate = get_suite("accurate")
    assert accurate.minutes == 10 * get_suite("cpu").minutes
    assert all(cell == cpu[cell.name] for cell in accurate.cells())


def test_a_pretrained_potential_is_evaluated_fine_tuned_and_trained_from_random():
    suite = Suite(
        "", "", ("chain_extension",), 1.0, pretrained={"so3lr": Pretrained(("--freeze", "x"), ("--y",))}, frames=7
    )
    cells = suite.cells()
    assert [(c.name, c.kind, c.parent, c.options) for c in cells] == [
        ("so3lr", "convert", "", ()),
        ("chain_extension-so3lr-zero-shot-seed0", "again", "so3lr", ()),
        ("chain_extension-so3lr-fine-tuned-seed0", "train", "so3lr", ("--freeze", "x")),
        ("chain_extension-so3lr-seed0", "train", "", ("--y",)),
    ]
    assert {c.frames for c in cells} == {7}


def test_a_variant_has_a_name_and_settings_of_its_own_and_the_steps_of_its_preset():
    variants = {"mace-prior": Variant("mace", ("--prior", "classical"), ("fragment_duplication",))}
    suite = Suite("", "", ("chain_extension", "fragment_duplication"), 1.0, variants=variants, again=AGAIN)
    assert [(c.name, c.kind, c.parent, c.options) for c in suite.cells()] == [
        ("fragment_duplication-mace-prior-seed0", "train", "", ("--prior", "classical")),
        ("fragment_fission-mace-prior-seed0", "again", "fragment_duplication-mace-prior-seed0", ()),
    ]
    assert key(suite.cells()[0]) == key(Cell("train", "fragment_duplication", "mace"))


def test_few_labelled_frames_are_trained_on_in_as_many_steps_as_none():
    cells = Suite("", "", (), 1.0, also=(("few_shot(fragment_fusion,frames=5)", "mace"),), seeds=2).cells()
    assert [c.name for c in cells] == [f"few_shot-fragment_fusion-frames=5-mace-seed{seed}" for seed in (0, 1)]
    assert key(cells[0]) == key(Cell("train", "fragment_fusion", "mace"))


def test_the_accurate_suite_has_no_potential_from_random_parameters_that_was_pretrained():
    cells = get_suite("accurate").cells()
    of_task = [c.name for c in cells if c.task == "fragment_fission"]
    names = ("so3lr-zero-shot", "mace", "nequip", "painn", "mace-prior", "so3lr-fine-tuned")
    assert of_task == [f"fragment_fission-{name}-seed0" for name in names]
    assert len([c for c in cells if c.takes_steps]) == 5


def test_pretraining_here_is_evaluated_and_fine_tuned_from():
    suite = Suite("", "", ("chain_extension",), 1.0, ("mace",), pretrain=(("chain_extension", "mace"),))
    cells = suite.cells()
    before = "pretraining-chain_extension-mace-seed0"
    assert [(c.name, c.kind, c.parent, c.options) for c in cells] == [
        ("chain_extension-mace-seed0", "train", "", ()),
        (before, "pretrain", "", ()),
        ("chain_extension-mace-zero-shot-seed0", "again", before, ()),
        ("chain_extension-mace-fine-tuned-seed0", "train", before, FINE_TUNING),
    ]
    assert [c.takes_steps for c in cells] == [True, True, False, True]


def test_seeds_are_cells_or_members():
    apart = Suite("", "", ("chain_extension",), 1.0, ("mace",), seeds=3).cells()
    assert [(c.seed, c.seeds) for c in apart] == [(0, 1), (1, 1), (2, 1)]
    together = Suite("", "", ("chain_extension",), 1.0, ("mace",), seeds=3, together=True).cells()
    assert [(c.seed, c.seeds) for c in together] == [(0, 3)]


def test_each_seed_has_a_random_control_of_its_own():
    cells = Suite("", "", ("chain_extension",), 1.0, ("mace",), seeds=2, controlled=("mace",)).cells()
    controls = {(c.task, c.seed): c.name for c in cells if "(" in c.task}
    assert controls == {
        ("control_random(chain_extension)", 0): "control_random-chain_extension-mace-seed0",
        ("oracle(chain_extension)", 0): "oracle-chain_extension-mace-seed0",
        ("control_random(chain_extension,seed=1)", 1): "control_random-chain_extension-seed=1-mace-seed1",
        ("oracle(chain_extension)", 1): "oracle-chain_extension-mace-seed1",
    }


def test_a_choice_brings_what_it_needs():
    cells = get_suite("cpu").cells()
    chosen = choose(cells, ("fragment_fission-mace-seed1",))
    assert [c.name for c in chosen] == ["fragment_duplication-mace-seed1", "fragment_fission-mace-seed1"]
    chosen = choose(cells, ("fragment_fission-so3lr-fine-tuned-seed1",))
    assert [c.name for c in chosen] == ["so3lr", chosen[1].name, "fragment_fission-so3lr-fine-tuned-seed1"]
    assert chosen[1].name == "fragment_duplication-so3lr-fine-tuned-seed1"
    assert choose(cells, ()) == cells
    with pytest.raises(CompBenchError, match="fits none"):
        choose(cells, ("maec",))
    with pytest.raises(CompBenchError, match="choose one of mini"):
        get_suite("maxi")
