"""A module imports only from its own package and from packages before it, and no modules import each other."""

import ast
import graphlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = [
    "molecules", "labelling", "store", "interchange", "splits", "batching", "models",
    "metrics", "training", "evaluation", "calculators", "foundation", "deploy", "dynamics", "report", "suites", "cli",
]  # fmt: skip
COMMON = {"errors", "files", "json_text", "own_code", "runtime", "_version"}
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
    return sorted(path for path in (ROOT / "compbench_jax").rglob("*.py") if len(path.relative_to(ROOT).parts) > 2)


def test_every_folder_is_a_package():
    folders = {p.name for p in (ROOT / "compbench_jax").iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(PACKAGES)


@pytest.mark.parametrize("path", modules(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_imports_go_one_way(path):
    package = path.relative_to(ROOT / "compbench_jax").parts[0]
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in HEAVY:
            assert package in HEAVY[parts[0]], f"{path} imports {name}"
        if parts[0] != "compbench_jax" or len(parts) == 1 or parts[1] in COMMON:
            continue
        if parts[1] == "tasks":
            assert package == "cli", f"{path} imports a task; only the entry points join library and tasks"
            continue
        assert PACKAGES.index(parts[1]) <= PACKAGES.index(package), f"{path} imports {name} from a later package"


@pytest.mark.parametrize("path", sorted((ROOT / "tasks").glob("*.py")), ids=lambda p: p.stem)
def test_tasks_know_molecules_store_and_splits_only(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "compbench_jax" and len(parts) > 1:
            assert parts[1] in COMMON | {"tasks", "molecules", "store", "splits"}, f"{path} imports {name}"


def test_common_modules_import_no_package():
    for name in COMMON - {"_version"}:
        for module in imports(ROOT / "compbench_jax" / f"{name}.py"):
            assert not module.startswith("compbench_jax.") or module.split(".")[1] in COMMON


def test_no_pickle():
    for path in [*modules(), *(ROOT / "compbench_jax").glob("*.py"), *(ROOT / "tasks").glob("*.py")]:
        text = path.read_text()
        assert "allow_pickle=True" not in text, path
        assert not {"pickle", "cloudpickle", "dill", "joblib"} & set(imports(path)), path


def test_no_modules_import_each_other():
    """The graph of imports of the library has no circle, imports inside functions counted (but for types alone)."""
    paths = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in (ROOT / "compbench_jax").rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    graph = {}
    for name, path in paths.items():
        found = set()
        for node in without_types(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {
                    f"{node.module}.{a.name}" if f"{node.module}.{a.name}" in paths else node.module for a in node.names
                }
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        graph[name] = found & set(paths) - {name}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def without_types(tree):
    """All nodes of a module but those under ``if TYPE_CHECKING``."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if not (isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"):
            yield node
            waiting.extend(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", [p for p in modules() if p.name == "__init__.py"], ids=lambda p: p.parent.name)
def test_the_readme_of_a_package_names_its_files(path):
    listed = re.findall(r"^\| `(\w+\.py)` \| \S", (path.parent / "README.md").read_text(), re.MULTILINE)
    assert listed == sorted(p.name for p in path.parent.glob("*.py") if p.name != "__init__.py")


def test_no_program_depends_on_the_environment():
    """What is traced is a function of its arguments: no potential, metric or batch reads an environment variable."""
    for folder in ("models", "metrics", "batching"):
        for path in (ROOT / "compbench_jax" / folder).rglob("*.py"):
            assert "environ" not in re.findall(r"\bos\.(\w+)", path.read_text()), path
