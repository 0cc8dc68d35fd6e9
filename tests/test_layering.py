"""The rooms of the house: a module imports only from its own room and from rooms before it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = [
    "molecules", "labelling", "store", "interchange", "splits", "batching", "models",
    "metrics", "training", "evaluation", "dynamics", "report", "suites", "cli",
]  # fmt: skip
COMMON = {"errors", "files", "runtime", "_version"}
HEAVY = {
    "rdkit": {"molecules"},
    "tblite": {"labelling"},
    "pyscf": {"labelling"},
    "dask": {"labelling"},
    "distributed": {"labelling"},
    "matplotlib": {"report"},
    "jraph": {"batching", "models", "metrics", "dynamics"},
}


def imports(path):
    """Modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def modules():
    return sorted((ROOT / "compbench_jax").glob("*/*.py"))


def test_every_folder_is_a_room():
    folders = {p.name for p in (ROOT / "compbench_jax").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("path", modules(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_imports_go_one_way(path):
    room = path.parent.name
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in HEAVY:
            assert room in HEAVY[parts[0]], f"{path} imports {name}"
        if parts[0] != "compbench_jax" or len(parts) == 1 or parts[1] in COMMON:
            continue
        if parts[1] == "tasks":
            assert room == "cli", f"{path} imports a task; only the entry points join library and tasks"
            continue
        assert ROOMS.index(parts[1]) <= ROOMS.index(room), f"{path} imports {name} from a later room"


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=lambda p: p.stem)
def test_tasks_know_molecules_store_and_splits_only(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "compbench_jax" and len(parts) > 1:
            assert parts[1] in COMMON | {"tasks", "molecules", "store", "splits"}, f"{path} imports {name}"


def test_common_modules_import_no_room():
    for name in COMMON - {"_version"}:
        for module in imports(ROOT / "compbench_jax" / f"{name}.py"):
            assert not module.startswith("compbench_jax.") or module.split(".")[1] in COMMON


def test_no_pickle():
    for path in [*modules(), *(ROOT / "compbench_jax").glob("*.py"), *(ROOT / "tasks").glob("*.py")]:
        text = path.read_text()
        assert "allow_pickle=True" not in text, path
        assert not {"pickle", "cloudpickle", "dill", "joblib"} & set(imports(path)), path
