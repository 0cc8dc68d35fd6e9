"""Make one committed cell again from its configuration, and compare every metric with the committed one.

    python benchmarks/rerun.py results/mini/chain_extension-schnet-seed0

Passes (exit code 0) if each lies within the committed 95% interval; says how many are the same to the last digit, which
on the machine that made the cell should be all. Give a core with ``taskset -c 0`` where the suite gave a cell one: the
order of sums depends on the number of threads. Cells that start from another run (``init_from``) need that run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from compbench_jax.evaluation.derived import read_results

ROOT = Path(__file__).resolve().parent.parent


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", type=Path, help="folder with config.json, cell.json and results.json")
    parser.add_argument("--out", type=Path, help="keep the run folder here")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    frames = json.loads((arguments.cell / "cell.json").read_text())["cell"]["frames"]
    with tempfile.TemporaryDirectory() as scratch:
        run = arguments.out or Path(scratch) / "run"
        most = () if frames is None else ("--max-frames", str(frames))
        for words in (
            ("train.py", "--config", str(arguments.cell / "config.json"), "--out", str(run)),
            ("evaluate.py", "--run", str(run), *most),
        ):
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        committed, again = read_results(arguments.cell / "results.json"), read_results(run / "results.json")
    print("metric, set: committed [interval], again")
    compared = same = outside = 0
    for part in ("id", "ood", "ratio"):
        for name, before in committed[part].items():
            if not isinstance(before, dict) or before.get("value") is None:
                continue
            value, low, high = again[part][name]["value"], before.get("low"), before.get("high")
            compared, same = compared + 1, same + (value == before["value"])
            within = low is None or low <= value <= high
            outside += not within
            print(f"{name}, {part}: {before['value']} [{low}, {high}], {value}{'' if within else ' OUTSIDE'}")
    print(f"{compared} compared: {same} the same to the last digit, {outside} outside the committed interval")
    sys.exit(1 if outside or not compared else 0)


if __name__ == "__main__":
    main()
