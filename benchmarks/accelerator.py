"""Speed on an accelerator: precisions, batch sizes, seeds and backends, and mlip, within a time limit, in one file.

    benchmarks/accelerator.sh speed.json                  # ten minutes at most; once more to go on
    python benchmarks/accelerator.py --json-file speed.json --models mace-64 --batches 64 --minutes 5

The work is that of ``benchmarks/throughput.py``. The first value of each option makes the base; measured are first the
base, then what differs from it in one option, in two, and so on. The file is written after each measurement, and those
that it holds are not repeated. A measurement that fails, for want of memory say, is kept with its error. mlip is
measured where the environment has it, in a process of its own, with its own arithmetic.
"""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import against_peers
import jax
import throughput
import tyro

from compbench_jax.files import write_atomically


@dataclass(frozen=True)
class Arguments:
    """Measure throughput on the accelerator of this machine."""

    json_file: Path
    """Where measurements are kept."""
    models: tuple[str, ...] = ("mace-64", "painn-128", "nequip-64", "schnet-128")
    """Presets of ``throughput.py``."""
    kinds: tuple[str, ...] = ("train", "energy_and_forces")
    """Kinds of step."""
    batches: tuple[int, ...] = (64, 8, 256)
    """Mean numbers of structures per batch."""
    seeds: tuple[int, ...] = (1, 8)
    """Numbers of members trained or evaluated at once."""
    precisions: tuple[str, ...] = ("float32", "tensorfloat32", "bfloat16")
    """Of the arithmetic."""
    backends: tuple[str, ...] = ("plain", "chunks", "e3j")
    """Of the equivariant products; e3j where it is installed."""
    structures: int = 1024
    """Conformers in the set."""
    steps: int = 20
    """Timed steps of each measurement."""
    minutes: float = 9.0
    """No measurement begins after so many minutes."""


@dataclass(frozen=True)
class Setting:
    """What is measured: one value of each option."""

    model: str
    kind: str
    batch: int
    seeds: int
    precision: str
    backend: str
    program: str = "compbench_jax"

    @property
    def name(self) -> str:
        """Its key in the file."""
        return " ".join(map(str, vars(self).values()))


def settings(arguments: Arguments) -> Iterator[Setting]:
    """All, ordered by how many options differ from the base; mlip's next to the same of ours."""
    backends = tuple(name for name in arguments.backends if name != "e3j" or find_spec("e3j_ops"))
    values = (arguments.models, arguments.kinds, arguments.batches, arguments.seeds, arguments.precisions, backends)
    base = tuple(options[0] for options in values)
    everything = itertools.product(*values)
    for chosen in sorted(everything, key=lambda each: sum(a != b for a, b in zip(each, base, strict=True))):
        setting = Setting(*chosen)
        yield setting
        if chosen[3:] == base[3:] and "mlip" in against_peers.CASES.get(setting.model, ()) and find_spec("mlip"):
            yield Setting(*chosen, program="mlip")


def measure(setting: Setting, arguments: Arguments) -> dict[str, Any]:
    """Structures per second (of all seeds together), seconds to compile, and memory."""
    frames = throughput.alkane_frames(arguments.structures)
    options = {"seeds": setting.seeds, "precision": setting.precision, "backend": setting.backend}
    work = throughput.work_of(throughput.PRESETS[setting.model], frames, setting.batch, **options)
    call = work.train if setting.kind == "train" else work.evaluate
    found = throughput.measure(call, work.batches, arguments.steps)
    for key in ("structures_per_second", "lower_quartile", "upper_quartile"):
        found[key] = round(found[key] * setting.seeds, 2)
    memory = jax.devices()[0].memory_stats() or {}
    return found | {"memory_in_use_mb": memory.get("bytes_in_use", 0) >> 20, "padding": round(work.padding[1], 4)}


def measure_mlip(setting: Setting, arguments: Arguments) -> dict[str, Any]:
    """The same of mlip."""
    options = against_peers.Arguments(
        environment=(f"mlip={sys.prefix}",), batch_size=setting.batch, platform=jax.default_backend()
    )
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "structures.npz"
        against_peers.write_structures(data, arguments.structures)
        worker = against_peers.Worker("mlip", setting.model, setting.kind, data, options)
        try:
            worker.take(arguments.steps)
            return worker.finish()
        finally:
            worker.process.kill()


def run(arguments: Arguments) -> dict[str, Any]:
    """Measure what the file lacks, as far as the time goes."""
    end = time.monotonic() + 60 * arguments.minutes
    conditions = {
        "device": jax.devices()[0].device_kind,
        "platform": jax.default_backend(),
        "jax": jax.__version__,
        "structures": arguments.structures,
    }
    content: dict[str, Any] = {"conditions": conditions, "measured": {}}
    if arguments.json_file.exists():
        content = json.loads(arguments.json_file.read_text(encoding="utf-8"))
        if content["conditions"] != conditions:
            sys.exit(f"{arguments.json_file} is of {content['conditions']}, this is {conditions}: give another file")
    for setting in settings(arguments):
        if time.monotonic() > end:
            print("time is up: call again to go on", file=sys.stderr)
            break
        if setting.name in content["measured"]:
            continue
        try:
            found = (measure if setting.program == "compbench_jax" else measure_mlip)(setting, arguments)
        except (jax.errors.JaxRuntimeError, SystemExit) as error:
            found = {"error": str(error).splitlines()[0][:200]}
        jax.clear_caches()
        content["measured"][setting.name] = vars(setting) | found
        write_atomically(arguments.json_file, json.dumps(content, indent=1).encode() + b"\n")
        print(f"{setting.name}: {found.get('structures_per_second', found.get('error'))}", file=sys.stderr)
    return content


def main() -> None:
    """Command line."""
    run(tyro.cli(Arguments))


if __name__ == "__main__":
    main()
