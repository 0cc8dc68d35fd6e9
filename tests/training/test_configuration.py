import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compbench_jax.errors import CompBenchError, RunError
from compbench_jax.models.registry import MODELS, RECIPES, Recipe
from compbench_jax.training import arguments as command_line
from compbench_jax.training import configuration as config_file
from compbench_jax.training.configuration import (
    LossSettings,
    OptimiserSettings,
    RunConfig,
    WatchSettings,
    check,
    difference,
    from_json,
    to_json,
)

BASE = RunConfig("chain_extension", "data/mini", "abc", "mace", MODELS["mace"], 0, 100, 8)
COMMAND = ["--task", "chain_extension", "--data", "data/mini"]


@given(
    seed=st.integers(0, 2**31 - 1),
    rate=st.floats(1e-9, 10.0),
    weight=st.floats(0, 1e6),
    preset=st.sampled_from(sorted(MODELS)),
)
def test_json_gives_back_the_same_configuration(seed, rate, weight, preset):
    configuration = replace(
        BASE,
        seed=seed,
        preset=preset,
        model=MODELS[preset],
        optimiser=OptimiserSettings(learning_rate=rate),
        loss=LossSettings(energy_weight=weight),
    )
    assert from_json(json.loads(json.dumps(to_json(configuration))), Path("x")) == configuration


def test_difference_names_the_setting_and_passes_over_free_ones():
    assert difference(BASE, BASE) is None
    moved = replace(BASE, data="elsewhere", watch=WatchSettings(checkpoint_seconds=1.0))
    assert difference(BASE, moved) is None
    assert difference(BASE, replace(BASE, steps=200)) == ("steps", 100, 200)
    assert difference(BASE, replace(BASE, data_hash="def")) == ("data_hash", "abc", "def")
    wider = replace(BASE, model=replace(BASE.model, radial_mlp=(8, 8)))
    assert difference(BASE, wider) == ("model.radial_mlp", [64, 64, 64], [8, 8])
    other = replace(BASE, preset="schnet", model=MODELS["schnet"])
    assert difference(BASE, other) == ("preset", "mace", "schnet")


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"steps": 0}, "--steps"),
        ({"batch_size": 0}, "--batch-size"),
        ({"seed": -1}, "--seed"),
        ({"optimiser": OptimiserSettings(learning_rate=-1e-3)}, "--optimiser.learning-rate"),
        ({"optimiser": OptimiserSettings(learning_rate=float("inf"))}, "--optimiser.learning-rate"),
        ({"optimiser": OptimiserSettings(ema_decay=1.0)}, "--optimiser.ema-decay"),
        ({"optimiser": OptimiserSettings(clip_norm=float("nan"))}, "--optimiser.clip-norm"),
        ({"loss": LossSettings(force_weight=-1.0)}, "--loss.force-weight"),
        ({"loss": LossSettings(energy_weight=0.0, force_weight=0.0)}, "both 0"),
        ({"watch": WatchSettings(log_every=0)}, "--watch.log-every"),
        ({"watch": WatchSettings(validate_every=0)}, "--watch.validate-every"),
        ({"watch": WatchSettings(monitor_frames=-1)}, "--watch.monitor-frames"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, flag):
    check(BASE)
    with pytest.raises(RunError, match=flag):
        check(replace(BASE, **changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no configuration at"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "not the configuration"),
        ('{"format": "compbench-run", "version": 99}', "version 99"),
        ('{"format": "compbench-run", "version": 1, "task": "x"}', "does not fit this version"),
    ],
)
def test_bad_files_are_one_line(tmp_path, text, message):
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CompBenchError, match=message) as caught:
        config_file.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("loss.energy", "zzz", "loss.energy is 'zzz': choose one of mae, huber, mse"),
        ("loss.force", "l2_mae", "did you mean 'l2-mae'"),
        ("loss.energy_per", "atoms", "did you mean 'atom'"),
        ("optimiser.name", "adem", "did you mean 'adam'"),
        ("optimiser.schedule", "cosin", "did you mean 'cosine'"),
        ("device.data", "hots", "did you mean 'host'"),
        ("precision", "float23", "did you mean 'float32'"),
        ("model.model", "mase", "did you mean 'mace'"),
        ("preset", "mase", "did you mean 'mace'"),
        ("optimiser.momentum", 0.9, "optimiser.momentum is no setting"),
        ("optimiser.schedul", "cosine", "did you mean 'schedule'"),
        ("model.chanels", 3, "did you mean 'channels'"),
        ("stepps", 3, "did you mean 'steps'"),
        ("steps", "many", "steps is 'many': give a value of type int"),
        ("steps", True, "steps is True: give a value of type int"),
        ("steps", 3.5, "steps is 3.5: give a value of type int"),
        ("watch", [], r"watch is \[\]: give a value of type WatchSettings"),
        ("learning_rates", [0.1, None], "learning_rates is None: give a value of type float"),
        ("model.radial_mlp", 64, "model.radial_mlp is 64"),
        ("model", None, "a potential is None"),
    ],
)
def test_unknown_words_and_values_of_a_file_are_refused_with_a_suggestion(tmp_path, name, value, message):
    content = to_json(BASE)
    *group, key = name.split(".")
    (content[group[0]] if group else content)[key] = value
    path = tmp_path / "config.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=message) as caught:
        command_line.parse(["--config", str(path)])
    assert str(path) in str(caught.value)


def test_a_run_of_an_older_version_lacks_fields_that_came_later(tmp_path):
    """SchNet's ``filters`` came after version 1: as many as features, as it was without the field."""
    model = replace(MODELS["schnet"], features=8)
    content = to_json(replace(BASE, preset="schnet", model=model))
    del content["model"]["filters"], content["watch"]["patience"], content["freeze"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    old = config_file.read(tmp_path / "config.json")
    assert old.model == model and old.model.filters is None
    assert difference(old, replace(BASE, preset="schnet", model=model)) is None


def test_command_line_becomes_a_configuration():
    words = [*COMMAND, "--seed", "3", "model:mace-paper", "--model.channels", "64", "--optimiser.learning-rate", "0.1"]
    words += ["--prior", "classical"]
    arguments = command_line.parse(words)
    configuration = command_line.configure(arguments, "chain_extension", "abc")
    assert configuration == replace(
        BASE,
        seed=3,
        steps=arguments.steps,
        preset="mace-paper",
        model=replace(MODELS["mace-paper"], channels=64),
        optimiser=OptimiserSettings(learning_rate=0.1),
        prior="classical",
    )
    assert arguments.resume
    assert arguments.out is None
    assert not command_line.parse([*COMMAND, "--no-resume", "model:schnet"]).resume


def test_the_recipe_is_that_of_the_preset_unless_one_is_given(tmp_path):
    def optimiser(*words):
        arguments = command_line.parse([*COMMAND, *words])
        return command_line.configure(arguments, "chain_extension", "abc").optimiser

    def recipe(*words):
        chosen = optimiser(*words)
        return Recipe(chosen.name, chosen.learning_rate, chosen.matrix_rate)

    assert set(RECIPES) <= set(MODELS)
    for preset in ("mace", "schnet", "mace-paper"):
        assert recipe(f"model:{preset}") == RECIPES[preset]
    assert recipe("model:mace-paper", "--model.channels", "64") == RECIPES["mace-paper"]
    assert recipe("model:composition") == Recipe()
    assert recipe("model:mace").optimiser == "muon"
    assert recipe("model:mace", "--init-from", "run").optimiser == "adam"
    assert recipe("model:mace", "--init-from", "run", "--optimiser.name", "muon").optimiser == "muon"
    assert optimiser("model:dimenet", "--optimiser.learning-rate", "0.1").learning_rate == 0.1
    config_file.write(tmp_path / "config.json", replace(BASE, optimiser=OptimiserSettings(learning_rate=0.02)))
    assert optimiser("--config", str(tmp_path / "config.json"), "model:mace").learning_rate == 0.02


def test_a_run_of_a_version_without_a_choice_of_optimiser_had_adam(tmp_path):
    content = to_json(replace(BASE, optimiser=OptimiserSettings(name="adam")))
    del content["optimiser"]["name"], content["optimiser"]["matrix_rate"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert config_file.read(tmp_path / "config.json").optimiser.name == "adam"


@pytest.mark.parametrize("preset", sorted(MODELS))
def test_every_preset_is_a_subcommand_as_it_is_named_and_as_the_help_writes_it(preset):
    for word in {preset, preset.replace("_", "-")}:
        arguments = command_line.parse([*COMMAND, f"model:{word}"])
        assert (arguments.model, arguments.preset) == (MODELS[preset], preset)


def test_a_folder_that_is_called_as_a_preset_is_none():
    assert command_line.parse([*COMMAND, "model:mace", "--out", "mace-paper"]).preset == "mace"


def test_a_file_gives_defaults_and_flags_come_before_it(tmp_path):
    path = tmp_path / "config.json"
    saved = replace(BASE, steps=77, preset="mace-paper", model=replace(MODELS["mace-paper"], channels=16), seed=5)
    config_file.write(path, saved)

    def configured(*words):
        arguments = command_line.parse(["--config", str(path), *words])
        return command_line.configure(arguments, arguments.task, "abc")

    assert configured() == saved
    assert configured("model:mace-paper") == saved
    assert configured("--seed", "6") == replace(saved, seed=6)
    assert configured("--model.l-max", "1").model == replace(saved.model, l_max=1)
    assert configured("model:schnet") == replace(saved, preset="schnet", model=MODELS["schnet"])
    assert configured("model:mace") == replace(saved, preset="mace", model=MODELS["mace"])


def test_a_missing_model_and_a_bad_value_leave_with_code_2(capsys):
    for words in (COMMAND, [*COMMAND, "--steps", "many", "model:mace"], ["model:mace"], [*COMMAND, "model:none"]):
        with pytest.raises(SystemExit) as caught:
            command_line.parse(words)
        assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        command_line.parse(["--help"])
    assert caught.value.code == 0
    assert "model:schnet" in capsys.readouterr().out


def test_the_docs_have_the_recipes():
    text = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if " | Muon | " in line or " | Adam | " in line]
    listed = {}
    for presets, name, rate, *matrix in rows:
        for preset in re.findall("`([^`]+)`", presets):
            listed[preset] = (name.lower(), float(rate), float(matrix[0]) if matrix and matrix[0].strip() else None)
    for preset, recipe in RECIPES.items():
        name, rate, matrix = listed["-paper" if preset.endswith("-paper") else preset]
        assert (recipe.optimiser, recipe.learning_rate) == (name, rate), preset
        assert matrix is None or recipe.matrix_rate == matrix, preset
