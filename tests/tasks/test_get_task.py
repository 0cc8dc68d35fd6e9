import pytest

from compbench_jax.errors import TaskError
from compbench_jax.splits.controls import ControlRandom, Oracle
from compbench_jax.tasks import ALL_TASKS, CONTROLS, EXPERIMENTS, EXTENSIONS, MAIN_TASKS, TASKS, VARIANTS, get_task


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("chain_extension", "chain_extension"),
        ("chain_extension[alkane]", "chain_extension"),
        ("chain_extension[H]", "chain_extension"),
        (" chain_extension [ OH ] ", "chain_extension[alcohol]"),
        ("chain_extension[Alcohol]", "chain_extension[alcohol]"),
        ("chain_extension[COOH,COOH]", "chain_extension[diacid]"),
        ("chain_extension[COOH, NH2]", "chain_extension[amino_acid]"),
        ("chain_extension[amino acid]", "chain_extension[amino_acid]"),
        ("chain_interpolation[hydroxy_acid]", "chain_interpolation[hydroxy_acid]"),
        ("fragment_duplication", "fragment_duplication[COOH]"),
        ("fragment_duplication[amine]", "fragment_duplication[NH2]"),
        ("fragment_duplication[oh]", "fragment_duplication[OH]"),
        ("fragment_combination", "fragment_combination[NH2,COOH]"),
        ("fragment_combination[COOH,NH2]", "fragment_combination[NH2,COOH]"),
        ("fragment_transfer", "fragment_transfer[OH,NH2]"),
        ("fragment_transfer[NH2,OH]", "fragment_transfer[NH2,OH]"),
        ("fragment_fusion", "fragment_fusion[OH]"),
        ("fragment_fusion[amine]", "fragment_fusion[NH2]"),
        ("fragment_fission", "fragment_fission[COOH]"),
        ("chain_extension_hints", "chain_extension_hints[OH,COOH]"),
        ("fragment_fusion_hints", "fragment_fusion_hints[OH,NH2]"),
        ("control_random(fragment_duplication[COOH])", "control_random(fragment_duplication[COOH])"),
        ("control_random(fragment_fusion, seed=3)", "control_random(fragment_fusion[OH],seed=3)"),
        ("control_random(fragment_transfer[OH,CHO] ,seed = 0 )", "control_random(fragment_transfer[OH,CHO])"),
        ("oracle(chain_extension)", "oracle(chain_extension)"),
        ("random_frames", "random_frames"),
        ("random_frames[0]", "random_frames"),
        ("random_frames[3]", "random_frames[3]"),
        ("oracle( fragment_transfer[OH,NH2] )", "oracle(fragment_transfer[OH,NH2])"),
    ],
)
def test_canonical_names(text, name):
    task = get_task(text)
    assert task.name == name
    assert get_task(name) == task


def test_controls_wrap_the_task():
    assert get_task("oracle(fragment_fusion)") == Oracle(get_task("fragment_fusion"))
    assert get_task("control_random(fragment_fusion,seed=12)") == ControlRandom(get_task("fragment_fusion"), 12)


def test_tables_hold_four_tasks_two_subtasks_two_controls():
    assert list(TASKS) == [
        "chain_extension",
        "fragment_fusion",
        "fragment_duplication",
        "fragment_combination",
    ]
    assert list(EXPERIMENTS) == ["fragment_fission", "chain_extension_hints", "fragment_fusion_hints"]
    assert list(EXTENSIONS) == ["fragment_transfer", "chain_interpolation"]
    assert list(ALL_TASKS) == [*TASKS, *EXPERIMENTS, *EXTENSIONS]
    assert (*TASKS, "fragment_fission") == MAIN_TASKS
    assert list(CONTROLS) == ["control_random", "oracle"]
    assert list(VARIANTS) == ["pretraining", "few_shot", "contacts"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fragment_duplicatoin", "no such task 'fragment_duplicatoin': did you mean 'fragment_duplication'"),
        ("chain-extension", "did you mean 'chain_extension'"),
        ("zzz", "no such task 'zzz': tasks are chain_extension, fragment_fusion, .*oracle"),
        ("zzz[OH]", "no such task 'zzz'"),
        ("randomcontrol(fragment_fusion)", "no such task 'randomcontrol'"),
        ("", "'' is not a task: write NAME"),
        ("chain extension", "is not a task: write NAME"),
        ("chain_extension[OH", "is not a task: write NAME"),
        ("fragment_duplication[Br]", "fragment_duplication: unknown fragment 'Br': use one of .*COOH"),
        ("fragment_duplication[diacid]", "unknown fragment 'diacid'"),
        ("fragment_duplication[H]", "'H' is the bare end of a chain, not a fragment: use one of OH"),
        ("fragment_duplication[OH,NH2]", "takes 1 parameter: write fragment_duplication.FRAGMENT"),
        ("fragment_duplication[]", "has an empty parameter"),
        ("fragment_combination[OH]", "takes 2 parameters: write fragment_combination.FIRST,SECOND"),
        ("fragment_combination[OH,]", "has an empty parameter"),
        ("fragment_combination[OH,alcohol]", "both fragments are OH: give two different ones"),
        ("fragment_transfer[alkane,OH]", "'alkane' is the bare end"),
        ("chain_extension[ketone]", "chain_extension: unknown family 'ketone': use one of alkane, .*amino_acid"),
        ("chain_extension[OH,OH,OH]", "unknown family 'OH,OH,OH'"),
        ("random_frames[x]", "the parameter seed is 'x': give a number"),
        ("random_frames[-1]", "seed -1 is negative"),
        ("oracle", r"oracle is made of a task and needs one: write oracle\(TASK\)"),
        ("pretraining", r"write pretraining\(TASK\)"),
        ("pretraining(oracle(fragment_fusion))", "name the task itself"),
        ("pretraining(fragment_fusion,seed=1)", "it has no seed"),
        ("oracle(zzz)", "no such task 'zzz'"),
        ("oracle(fragment_fusion,seed=1)", "it has no seed: leave that out"),
        ("oracle(control_random(fragment_fusion))", "a control of a control"),
        ("pretraining(few_shot(fragment_fusion))", "a control of a control"),
        ("control_random(oracle(fragment_fusion),seed=1)", "a control of a control"),
        ("control_random(fragment_fusion,seed=-1)", "seed '-1' is not a whole number"),
        ("control_random(fragment_fusion,seed=x)", "seed 'x' is not a whole number"),
        ("control_random(fragment_fusion,seed=)", "seed '' is not a whole number"),
    ],
)
def test_errors_are_one_line_that_says_how_to_mend(text, message):
    with pytest.raises(TaskError, match=message) as caught:
        get_task(text)
    assert "\n" not in str(caught.value)
