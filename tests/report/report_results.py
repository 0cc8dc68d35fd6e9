"""Results for tests of the report: the committed ones, some with other names, seeds and showcases."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "mini"
HOSTILE = "<script>alert(1)</script>"


def benchmark(name):
    """A program of ``benchmarks/`` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def showcase(seed=0):
    """A showcase of one water-like molecule with a hostile name."""
    rng = np.random.default_rng(seed)
    points = {"label": [int(x) for x in rng.integers(-900, 900, 60)]}
    points["prediction"] = [x + int(d) for x, d in zip(points["label"], rng.integers(-40, 40, 60), strict=True)]
    frame = {
        "name": f"ethanol {HOSTILE}",
        "smiles": "CCO",
        "frame": 3,
        "force_mae": 0.123,
        "numbers": [8, 1, 1],
        "bonds": [[0, 1], [0, 2]],
        "positions": [[0.0, 0.0, 0.1], [0.0, 0.8, -0.5], [0.0, -0.8, -0.5]],
        "label": [[0.1, 0.2, 0.9], [0.0, -0.4, 0.1], [0.0, 0.5, 0.1]],
        "prediction": [[0.2, 0.2, 0.7], [0.0, -0.3, 0.1], [0.1, 0.5, 0.3]],
    }
    both = {"forces": points, "energy": points}
    return {
        "schema_version": 1,
        "parity": {"id": both, "ood": both},
        "worst": {"id": [frame], "ood": [frame]},
    }


def copy_results(source, folder, *, model=None, seed=None, factor=1.0, shown=False, config=None):
    """Copy a folder of results under another model name, seed or settings, its OOD force sums scaled."""
    shutil.copytree(source, folder)
    file = folder / "results.json"
    results = json.loads(file.read_text())
    if model is not None:
        results["model"] = results["config"]["preset"] = model
    results["config"] |= config or {}
    if seed is not None:
        results["seed"] = results["config"]["seed"] = seed
    if factor != 1.0:
        column = results["molecule_sums"]["columns"].index("abs_force")
        for row in results["molecule_sums"]["ood"].values():
            row[column] *= factor
    file.write_text(json.dumps(results))
    if shown:
        (folder / "showcase.json").write_text(json.dumps(showcase(seed or 0)))
    return folder
