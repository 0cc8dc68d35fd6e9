"""Where the time of a train step goes, by kind of operation.

    python benchmarks/operations.py --model mace-64

The work is that of throughput.py, on one core (``taskset -c 0``) to see each operation's own time. The names are XLA's:
a fusion is called after what it is made of. Times are of the operations themselves, without those inside them.
"""

import gzip
import json
import re
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import jax
import tyro
from throughput import PRESETS, alkane_frames, work_of

from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.training.profile import traces, tracing


@dataclass(frozen=True)
class Arguments:
    """Profile the train step of a potential."""

    model: str = "mace-64"
    """Preset of the registry, or mace-64."""
    batch_size: int = 8
    """Mean number of structures per batch."""
    steps: int = 10
    """Steps in the trace, after two to warm up."""
    forces: bool = False
    """Energies and forces in place of a train step."""
    most: int = 25
    """Lines to print."""


def own_times(trace: Path) -> Counter[str]:
    """Seconds by operation, that of the operations inside taken out, of the thread that ran XLA's program."""
    events = json.loads(gzip.decompress(trace.read_bytes()))
    events = events if isinstance(events, list) else events["traceEvents"]
    threads: dict[tuple[int, int], list[tuple[float, float, str]]] = {}
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            key = event["pid"], event["tid"]
            threads.setdefault(key, []).append((event["ts"], event["dur"], event["args"]["hlo_op"]))
    times: Counter[str] = Counter()
    for spans in threads.values():
        open_spans: list[tuple[float, str]] = []
        for start, duration, name in sorted(spans, key=lambda span: (span[0], -span[1])):
            while open_spans and open_spans[-1][0] <= start:
                open_spans.pop()
            if open_spans:
                times[open_spans[-1][1]] -= duration * 1e-6
            times[name] += duration * 1e-6
            open_spans.append((start + duration, name))
    return times


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    if arguments.model not in PRESETS:
        sys.exit(f"no potential is called {arguments.model!r}: choose one of {', '.join(sorted(PRESETS))}")
    work = work_of(PRESETS[arguments.model], alkane_frames(256), arguments.batch_size)
    call = work.evaluate if arguments.forces else work.train
    for graph in work.batches[:2]:
        call(graph)
    with tempfile.TemporaryDirectory() as folder:
        with tracing(Path(folder)):
            for step in range(arguments.steps):
                call(work.batches[step % len(work.batches)])
        times = own_times(traces(Path(folder))[-1])
    kinds: Counter[str] = Counter()
    for name, seconds in times.items():
        kinds[re.sub(r"[._]?\d+|\.clone", "", name)] += 1000 * seconds / arguments.steps
    total = sum(kinds.values())
    print(f"{arguments.model}: {total:.1f} ms a step in operations, jax {jax.__version__}")
    for name, milliseconds in kinds.most_common(arguments.most):
        print(f"{milliseconds:8.2f} ms {100 * milliseconds / total:5.1f}%  {name}")


if __name__ == "__main__":
    main()
