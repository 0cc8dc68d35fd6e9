"""Files of a run folder that hold anything: one line that names the file, at once."""

import os

import pytest

from compbench_jax.calculators.log import read_part
from compbench_jax.errors import RunError
from compbench_jax.evaluation.evaluate import PREDICTIONS
from compbench_jax.evaluation.inputs import check_split
from compbench_jax.evaluation.result_file import read_result
from compbench_jax.evaluation.saved import load_saved
from compbench_jax.report.receptive_field import AUDIT, read_audit
from compbench_jax.training import configuration, potential_file
from compbench_jax.training.run_folder import SPLIT_FILE

READERS = {
    configuration.FILE: lambda folder: configuration.read(folder / configuration.FILE),
    potential_file.FILE: potential_file.read,
    "results.json": read_result,
    SPLIT_FILE: lambda folder: check_split(folder, None, None, None),
}
CONTENTS = {
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "nested": lambda path: path.write_text("[" * 100_000),
    "cut": lambda path: path.write_text('{"format": "compb'),
    "not UTF-8": lambda path: path.write_bytes(b'{"format": "\xff"}'),
    "a list": lambda path: path.write_text("[]"),
    "an object": lambda path: path.write_text("{}"),
    "not finite": lambda path: path.write_text('{"format": NaN}'),
    "other types": lambda path: path.write_text('{"schema_version": "1", "columns": 3, "sums": 4, "sets": 5}'),
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", READERS)
def test_a_file_that_holds_something_else_is_one_line(tmp_path, name, content):
    CONTENTS[content](tmp_path / name)
    with pytest.raises(RunError, match=name) as caught:
        READERS[name](tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", CONTENTS)
def test_predictions_that_hold_something_else_are_one_line(tmp_path, content):
    (tmp_path / PREDICTIONS).mkdir()
    readers = {"id_energy.npy": lambda path: load_saved(tmp_path, "id"), "000001.npz": read_part}
    for name, read in readers.items():
        path = tmp_path / PREDICTIONS / name
        CONTENTS[content](path)
        with pytest.raises(RunError, match=name) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", CONTENTS)
def test_an_audit_that_holds_something_else_is_no_audit(tmp_path, content):
    CONTENTS[content](tmp_path / AUDIT)
    assert read_audit(tmp_path, {"task": "chain_extension", "data": "abc"}) is None
