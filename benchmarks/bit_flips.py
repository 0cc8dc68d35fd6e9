"""Flip single bits in the files of a run's last checkpoint, and read it as ``evaluate.py`` and a resumed run do.

    python benchmarks/bit_flips.py runs/chain_extension-schnet-seed0

Every file of the checkpoint gets its share of the flips, at random places, one at a time, in a copy of the run. Passes
(exit code 0) if each is noticed (an error of one line, or a warning and the checkpoint before) or leaves every array as
it was.
"""

import argparse
import collections
import contextlib
import io
import random
import shutil
import sys
import tempfile
from pathlib import Path

from compbench_jax.errors import CompBenchError
from compbench_jax.training.checkpoint import FOLDER, Checkpoints, checksum
from compbench_jax.training.loaded_run import load_run

ITEMS = ("parameters", "state")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a trained run, which is left as it is")
    parser.add_argument("--flips", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0, help="of the places")
    return parser.parse_args()


def outcome(run: Path, intact: tuple[str, ...]) -> str:
    """What reading a run leads to: ``refused``, ``older``, ``without effect``, or ``SILENT``."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = contents(run)
    except CompBenchError as error:
        return "refused" if "\n" not in str(error) else "SILENT"
    if found == intact:
        return "without effect"
    return "older" if "is damaged" in said.getvalue() else "SILENT"


def contents(run: Path) -> tuple[str, ...]:
    """Checksums of what an evaluation and a resumed run take from a run folder."""
    trained = load_run(run)
    step, read = Checkpoints(run, read_only=True).read_latest(*ITEMS)
    return str(trained.step), checksum(trained.params), str(step), *(checksum(read[item]) for item in ITEMS)


def flip(run: Path, flips: int, seed: int) -> collections.Counter[tuple[str, str]]:
    """How many flips ended how, by file; those in the contents of arrays are one entry."""
    intact, random_ = contents(run), random.Random(seed)
    checkpoint = run / FOLDER / str(max(int(path.name) for path in (run / FOLDER).iterdir() if path.name.isdigit()))
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.stat().st_size)
    outcomes: collections.Counter[tuple[str, str]] = collections.Counter()
    for number in range(flips):
        path = files[number % len(files)]
        good = path.read_bytes()
        damaged = bytearray(good)
        damaged[random_.randrange(len(good))] ^= 1 << random_.randrange(8)
        path.write_bytes(damaged)
        name = path.relative_to(checkpoint)
        outcomes["arrays" if path.parent.name == "d" else str(name), outcome(run, intact)] += 1
        path.write_bytes(good)
    return outcomes


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        shutil.copytree(arguments.run, run)
        outcomes = flip(run, arguments.flips, arguments.seed)
    for (name, how), count in sorted(outcomes.items()):
        print(f"{name:40} {how:15} {count}")
    silent = sum(count for (_, how), count in outcomes.items() if how == "SILENT")
    print(f"{sum(outcomes.values())} bits flipped, {silent} in silence")
    sys.exit(1 if silent else 0)


if __name__ == "__main__":
    main()
