"""Results for tests of the report: the committed ones, some with other names, seeds and showcases."""

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np

from compbench_jax.evaluation.identity import kind_of
from compbench_jax.evaluation.result_file import read_result, write_result
from compbench_jax.splits.roles import role_of

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results" / "mini"
HOSTILE = "<script>alert(1)</script>"


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


def copy_results(source, folder, *, model=None, seed=None, factor=1.0, shown=False, config=None, task=None, **more):
    """Copy a folder of results under another model name, seed, task or settings, its OOD force sums scaled."""
    shutil.copytree(source, folder)
    result = read_result(folder)
    config = result.config | ({} if model is None else {"preset": model}) | (config or {})
    if seed is not None:
        config["seed"] = seed
    task = task or result.task
    ood = result.ood
    if factor != 1.0:
        column = result.columns.frames.index("abs_force")
        scaled = [[value * factor if k == column else value for k, value in enumerate(row)] for row in ood.sums]
        ood = msgspec.structs.replace(ood, sums=scaled)
    changed = msgspec.structs.replace(
        result,
        model=model or result.model,
        seed=result.seed if seed is None else seed,
        task=task,
        role=role_of(task),
        kind=kind_of(task, config),
        config=config,
        ood=ood,
        **more,
    )
    write_result(folder / "results.json", changed)
    if shown:
        (folder / "showcase.json").write_text(json.dumps(showcase(seed or 0)))
    return folder
