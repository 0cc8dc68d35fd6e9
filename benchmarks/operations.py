"""Where the time of a step goes, by part of the network: multiplications, memory traffic and time of each.

    python benchmarks/operations.py --model mace-64
    python benchmarks/operations.py --model painn-128 --forces --kinds

The work is that of throughput.py, on one core (``taskset -c 0``) to see each operation's own time. A part is a module
or a named scope, layers taken together; its derivatives count with it.

Multiplications and bytes are counted in the program that XLA has compiled. XLA's own cost analysis counts the body of
a loop once, and all of an array where a few rows are read or written; here the body counts as often as it runs, and
the rows as they are. A product of matrices counts its multiplications, any other operation one for each number that it
multiplies, divides or puts through a function; additions are free. Bytes are what each operation reads and writes: in
the small pieces of a convolution that is traffic of the caches, not of the memory.

``--kinds`` lists XLA's operations by name instead. Times are of the operations themselves, without those inside them.
"""

import gzip
import json
import math
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import tyro
from throughput import PRESETS, alkane_frames, work_of

from compbench_jax.runtime import apply_allocator_settings
from compbench_jax.training.profile import traces, tracing

ARITHMETIC = {"multiply", "divide", "power", "sqrt", "rsqrt", "cbrt", "exponential", "exponential-minus-one", "log"}
ARITHMETIC |= {"log-plus-one", "logistic", "tanh", "sine", "cosine", "tan", "atan2", "erf"}
"""Operations that count one multiplication for each number of their result."""

FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all", "opt-barrier"}
FREE |= {"conditional", "call", "while", "partition-id", "replica-id", "iota"}
"""Operations that move nothing themselves."""

SCOPES = {"pairs", "radial_basis", "radial_table", "harmonics"}
"""Parts that are not divided further."""

BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}

STRUCTURE = re.compile(r"while|body|cond|closed_call|branch_\d+_fun|checkpoint|rematted_computation|custom_\w+")
"""Words of an operation's path that name no part."""


@dataclass(frozen=True)
class Arguments:
    """Profile a step of a potential."""

    model: str = "mace-64"
    """Preset of the registry, or one of mace-64, nequip-64, painn-128, schnet-128 (``throughput.py``)."""
    batch_size: int = 8
    """Mean number of structures per batch."""
    steps: int = 10
    """Steps in the trace, after two to warm up."""
    structures: int = 256
    """Conformers in the set."""
    forces: bool = False
    """Energies and forces in place of a train step."""
    kinds: bool = False
    """Times by XLA's name of the operation in place of the table by part."""
    most: int = 25
    """Lines to print."""


class Instruction(NamedTuple):
    """A line of XLA's text.

    Attributes:
        name: of its result.
        shape: of its result, as text: ``f32[8,3]{1,0}``, or several in parentheses.
        opcode: what it does.
        operands: names.
        called: computations that it calls.
        trips: how often a loop runs.
        path: where in the source it comes from: modules, scopes, and the operation of JAX.
        root: whether it is the result of its computation.
        text: all of it.
    """

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    called: tuple[str, ...]
    trips: int
    path: str
    root: bool
    text: str


class Cost(NamedTuple):
    """What one instruction costs a step."""

    name: str
    path: str
    multiplications: float
    bytes: float


LINE = re.compile(r"\s*(ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$")
CALLED = re.compile(r"\b(?:calls|to_apply|body|branch_computations|\w+_computation)=(?:\{([^}]*)\}|%?([\w.-]+))")


def parse(text: str) -> dict[str, dict[str, Instruction]]:
    """Instructions of each computation, by name, of a compiled program's text; the main one is called ``""``."""
    computations: dict[str, dict[str, Instruction]] = {}
    own: dict[str, Instruction] = {}
    for line in text.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.-]+) \(.*\{$", line)
        if head:
            own = computations["" if head[1] else head[2]] = {}
        found = LINE.match(re.sub(r"/\*.*?\*/", "", line))
        if head or not found:
            continue
        root, name, shape, opcode, rest = found.groups()
        depth, end = 1, 0
        while depth and end < len(rest):
            depth += {"(": 1, ")": -1}.get(rest[end], 0)
            end += 1
        attributes = rest[end:]
        trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', attributes)
        path = re.search(r'op_name="([^"]*)"', attributes)
        own[name] = Instruction(
            name,
            shape,
            opcode,
            tuple(re.findall(r"%([\w.-]+)", rest[: end - 1])),
            tuple(called for match in CALLED.findall(attributes) for called in re.findall(r"[\w.-]+", "".join(match))),
            int(trips[1]) if trips else 1,
            path[1] if path else "",
            bool(root),
            attributes,
        )
    return computations


def dimensions(shape: str) -> list[int]:
    """Of the first array of a shape."""
    found = re.search(r"\[([\d,]*)\]", shape)
    return [int(n) for n in found[1].split(",") if n] if found else []


def size(shape: str) -> int:
    """Bytes of all arrays of a shape."""
    return sum(
        BYTES.get(kind, 0) * math.prod(int(n) for n in numbers.split(",") if n)
        for kind, numbers in re.findall(r"(\w+)\[([\d,]*)\]", shape)
    )


def multiplications(line: Instruction, own: dict[str, Instruction]) -> float:
    """Of one instruction by itself."""
    if line.opcode == "dot":
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", line.text)
        left = dimensions(own[line.operands[0]].shape)
        inner = math.prod(left[int(d)] for d in contracted[1].split(",") if d) if contracted else 1
        return math.prod(dimensions(line.shape)) * inner
    return math.prod(dimensions(line.shape)) if line.opcode in ARITHMETIC else 0


def moved(line: Instruction, own: dict[str, Instruction], computations: dict[str, dict[str, Instruction]]) -> float:
    """Bytes that an instruction reads and writes; of arrays of which it needs or changes a few rows, those."""
    if line.opcode in ("dynamic-slice", "gather"):
        return 2 * size(line.shape)
    if line.opcode == "dynamic-update-slice":
        return 2 * size(own[line.operands[1]].shape)
    if line.opcode == "scatter":
        return 3 * size(own[line.operands[-1]].shape)
    if line.opcode != "fusion":
        return size(line.shape) + sum(size(own[name].shape) for name in line.operands if name in own)
    inner = computations[line.called[0]]
    total, changed = 0.0, set()
    for item in inner.values():
        if item.opcode in ("dynamic-update-slice", "scatter") and item.root:
            changed.add(item.operands[0])
            total += moved(item, inner, computations)
    for item in inner.values():
        if item.opcode != "parameter" or item.name in changed:
            continue
        users = [user for user in inner.values() if item.name in user.operands]
        if users and all(u.opcode in ("dynamic-slice", "gather") and u.operands[0] == item.name for u in users):
            total += sum(size(user.shape) for user in users)
        else:
            total += size(item.shape)
    return total if changed else total + size(line.shape)


def costs(computations: dict[str, dict[str, Instruction]], name: str = "", times: float = 1) -> Iterator[Cost]:
    """Costs of the instructions of a computation that runs so many times, and of those that it calls."""
    own = computations[name]
    for line in own.values():
        if line.opcode == "fusion":
            yield Cost(line.name, line.path, 0, times * moved(line, own, computations))
            for cost in costs(computations, line.called[0], times):
                yield cost._replace(bytes=0)
        elif line.opcode in ("while", "call", "conditional"):
            for called in line.called:
                yield from costs(computations, called, times * line.trips)
        elif line.opcode not in FREE:
            yield Cost(line.name, line.path, times * multiplications(line, own), times * moved(line, own, computations))


def part_of(path: str) -> str:
    """Part of the network that an operation belongs to: up to two modules or scopes, without numbers and irreps."""
    if not path:
        return "copies"
    while "(" in path:  # jit(step)/transpose(jvp(PaiNN))/… is step/PaiNN/…
        path = re.sub(r"\w*\(([^()]*)\)", r"\1", path)
    words = [word for word in path.split("/") if word and word[0] != "_" and not STRUCTURE.fullmatch(word)]
    network = next((i for i, word in enumerate(words) if word[0].isupper()), None)
    if network is None:
        return "outside the network"
    numbered = [re.sub(r"_?l?\d+[eo]?(?=_|$)", "", word) for word in words[network + 1 : -1]]  # linear_out_2e, l1
    part = ["einsum" if "->" in word else word.rpartition(".")[2] for word in numbered if word]
    return "/".join(part[: 1 if part and part[0] in SCOPES else 2]) or "network itself"


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


@dataclass
class Part:
    """A part of a step: multiplications, bytes, seconds."""

    multiplications: float = 0.0
    bytes: float = 0.0
    seconds: float = 0.0


def by_part(text: str, times: Counter[str]) -> dict[str, Part]:
    """Parts of a compiled program, from its text and the time of each operation, the slowest first."""
    computations, parts = parse(text), dict[str, Part]()
    for cost in costs(computations):
        part = parts.setdefault(part_of(cost.path), Part())
        part.multiplications += cost.multiplications
        part.bytes += cost.bytes
    paths = {name: line.path for own in computations.values() for name, line in own.items()}
    for name, seconds in times.items():
        parts.setdefault(part_of(paths.get(name, "")), Part()).seconds += seconds
    return dict(sorted(parts.items(), key=lambda item: (-item[1].seconds, -item[1].bytes)))


def table(parts: dict[str, Part], most: int) -> str:
    """For people."""
    seconds = sum(part.seconds for part in parts.values()) or 1.0
    rows = ["| part | multiplications (10⁶) | MB | ms | share |", "| --- | --- | --- | --- | --- |"]
    for name, part in list(parts.items())[:most]:
        numbers = f"{part.multiplications * 1e-6:.1f} | {part.bytes * 1e-6:.1f} | {1000 * part.seconds:.2f}"
        rows.append(f"| {name} | {numbers} | {100 * part.seconds / seconds:.0f}% |")
    return "\n".join(rows)


def measure(arguments: Arguments) -> tuple[str, Counter[str]]:
    """Text of the compiled step and seconds per step of its operations."""
    frames = alkane_frames(arguments.structures)
    work = work_of(PRESETS[arguments.model], frames, arguments.batch_size)
    call, program = (work.evaluate, work.programs[0]) if arguments.forces else (work.train, work.programs[1])
    for graph in work.batches[:2]:
        call(graph)
    with tempfile.TemporaryDirectory() as folder:
        with tracing(Path(folder)):
            for step in range(arguments.steps):
                call(work.batches[step % len(work.batches)])
        times = own_times(traces(Path(folder))[-1])
    return program(), Counter({name: seconds / arguments.steps for name, seconds in times.items()})


def main() -> None:
    """Command line."""
    apply_allocator_settings()
    arguments = tyro.cli(Arguments)
    if arguments.model not in PRESETS:
        sys.exit(f"no potential is called {arguments.model!r}: choose one of {', '.join(sorted(PRESETS))}")
    text, times = measure(arguments)
    total = 1000 * sum(times.values())
    what = "energies and forces" if arguments.forces else "train step"
    print(f"{arguments.model}, {what}: {total:.1f} ms in operations, jax {jax.__version__}")
    if not arguments.kinds:
        print(table(by_part(text, times), arguments.most))
        return
    kinds: Counter[str] = Counter()
    for name, seconds in times.items():
        kinds[re.sub(r"[._]?\d+|\.clone", "", name)] += 1000 * seconds
    for name, milliseconds in kinds.most_common(arguments.most):
        print(f"{milliseconds:8.2f} ms {100 * milliseconds / total:5.1f}%  {name}")


if __name__ == "__main__":
    main()
