"""How long a large report takes to build, and how large it is: 7 potentials, 4 tasks, 5 seeds of committed results.

python benchmarks/report.py
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

from compbench_jax.cli.report import Arguments, run

MINI = Path(__file__).parent.parent / "results" / "mini"


def copies(folder: Path, models: int, seeds: int) -> None:
    """Results of that many models and seeds on every task, copied from the committed ones."""
    for source in sorted(MINI.glob("*-mace-seed0")):
        for model in range(models):
            for seed in range(seeds):
                target = folder / f"{source.name}-{model}-{seed}"
                shutil.copytree(source, target)
                results = json.loads((target / "results.json").read_text())
                results["model"] = results["config"]["preset"] = f"potential {model}"
                results["seed"] = results["config"]["seed"] = seed
                (target / "results.json").write_text(json.dumps(results))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results, report = Path(folder) / "results", Path(folder) / "report"
        copies(results, arguments.models, arguments.seeds)
        wall, processor = time.perf_counter(), time.process_time()
        run(Arguments(results=(results,), out=report))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        size = sum(path.stat().st_size for path in report.rglob("*") if path.is_file())
    print(f"{wall:.1f} s ({processor:.1f} s of the processor), {size / 2**20:.1f} MB")


if __name__ == "__main__":
    main()
