"""Damage files of every kind, one at a time, and give them to the command that reads them.

    python benchmarks/fuzz.py --inputs 1200

Passes (exit code 0) if each input ends, within a minute, in success or in one line and exit code 2, and if no damage to
a data set or the results of a submission is accepted, nor one of a checkpoint that changes a number. All happens in
copies; the same seed makes the same inputs.
"""

import argparse
import collections
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from compbench_jax.cli import evaluate, train
from compbench_jax.cli.exit_code import exit_code_of
from compbench_jax.cli.main import run_command

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "mini" / "chain_extension-mace-seed0"
DATA = ROOT / "data" / "mini"
SECONDS = 60
"""After which an input counts as one that hangs."""

WORDS = (None, True, -1, 0, 1.5, 10**400, 1e308, "", "x", "\ud800", [], {}, [[]], 2**63)
"""What an entry of a JSON file is replaced by."""


@dataclass(frozen=True)
class Target:
    """A file and the command that reads it.

    Attributes:
        name: in the summary.
        folder: intact files, relative to the prepared ones.
        file: the one to damage, relative to ``folder``.
        words: command; ``{}`` is the copy of ``folder``.
        exact: damage must not be accepted.
        share: of the inputs.
    """

    name: str
    folder: str
    file: str
    words: tuple[str, ...]
    exact: bool = False
    share: float = 1.0


def prepare(folder: Path) -> None:
    """Intact files: labelled frames, a data set, a trained run, results, a submission."""
    (folder / "frames").mkdir()
    images = []
    for k in range(4):
        atoms = molecule("CH3CH2OH")
        atoms.rattle(0.02, seed=k)
        atoms.calc = SinglePointCalculator(atoms, energy=-100.0 - k, forces=0.1 * atoms.positions)
        images.append(atoms)
    for end in ("extxyz", "traj", "db"):
        write(folder / "frames" / f"frames.{end}", images)
    forces = np.array([atoms.get_forces() for atoms in images])
    arrays = {"z": images[0].numbers, "R": np.array([atoms.positions for atoms in images]), "F": forces}
    np.savez(folder / "frames" / "frames.npz", E=np.arange(4.0)[:, None], **arrays)
    shutil.copytree(RESULTS, folder / "results" / "run")
    shutil.copytree(ROOT / "leaderboard" / "mace", folder / "submission" / "mace")
    source = folder / "frames" / "frames.extxyz"
    run("import", str(source), "--out", str(folder / "store" / "store"), *UNITS)
    words = ("--task", "chain_extension", "--steps", "4", "--batch-size", "4")
    run("train.py", *words, "--data", str(DATA), "--out", str(folder / "run" / "run"), "model:schnet")
    run("evaluate.py", "--run", str(folder / "run" / "run"), "--max-frames", "4", "--out", str(folder / "intact"))


UNITS = ("--energy-unit", "eV", "--length-unit", "Ang")


def targets(prepared: Path) -> list[Target]:
    """Every kind of file that a command reads."""
    verify = ("verify", "{}/store", "--sample", "0")
    report = ("report", "{}/run", "--out", "{}/site")
    item = "mace/chain_extension-seed0"
    test = ("evaluate.py", "--run", "{}/run", "--max-frames", "4", "--out", "{}/out")
    step = max((prepared / "run" / "run" / "checkpoints").iterdir(), key=lambda path: path.name)
    arrays = sorted(path for path in step.rglob("*") if path.is_file() and path.stat().st_size)
    config = ("train.py", "--config", "{}/run/config.json", "--data", "{}/nothing", "--out", "{}/out")
    return [
        # Its hash is the name of the data set: one that still fits the arrays is another data set.
        Target("manifest", "store", "store/manifest.json", verify),
        *(
            Target(
                f"data set, {path.name}",
                "store",
                f"store/{path.name}",
                ("verify", "{}/store", "--sample", "0"),
                True,
                0.3,
            )
            for path in sorted((prepared / "store" / "store").glob("*.npy"))
        ),
        Target("results: table", "results", "run/results.json", ("table", "{}/run")),
        Target("results: explain", "results", "run/results.json", ("explain", "{}/run")),
        Target("results: figure", "results", "run/results.json", ("figure", "{}/run", "--out", "{}/f.png"), share=0.3),
        Target("results: findings", "results", "run/results.json", ("findings", "{}/run")),
        Target("results: report", "results", "run/results.json", report, share=0.5),
        Target("log: compare", "results", "run/log.jsonl", ("compare", "{}/run", str(RESULTS))),
        Target("log: findings", "results", "run/log.jsonl", ("findings", "{}/run")),
        Target("audit: explain", "results", "run/audit.json", ("explain", "{}/run")),
        Target("audit: report", "results", "run/audit.json", report, share=0.5),
        Target("showcase: report", "results", "run/showcase.json", report, share=0.5),
        Target("configuration: train", "results", "run/config.json", config),
        Target("submission", "submission", "mace/submission.json", ("validate", "{}/mace")),
        Target("submitted results", "submission", f"{item}/results.json", ("validate", "{}/mace"), True),
        Target("submitted audit", "submission", f"{item}/audit.json", ("validate", "{}/mace")),
        *(
            Target(f"run, {name}: evaluate", "run", f"run/{name}", test, share=0.2)
            for name in ("config.json", "potential.json", "split.json", "log.jsonl")
        ),
        *(
            Target("checkpoint: evaluate", "run", str(path.relative_to(prepared / "run")), test, True, 1 / len(arrays))
            for path in arrays
        ),
        *(
            Target(f"import {end}", "frames", f"frames.{end}", ("import", "{}/frames." + end, "--out", "{}/o", *UNITS))
            for end in ("extxyz", "traj", "db", "npz")
        ),
    ]


def damage(path: Path, dice: random.Random) -> str:
    """Damage a file; returns how."""
    content = path.read_bytes()
    ways: list[Callable[[], bytes]] = [
        lambda: flipped(content, dice),
        lambda: content[: dice.randrange(len(content))],
        lambda: content[: (k := dice.randrange(len(content)))] + content[k + dice.randint(1, 64) :],
        lambda: content[: (k := dice.randrange(len(content)))] + dice.randbytes(dice.randint(1, 16)) + content[k:],
    ]
    names = ["flipped a bit", "cut the end", "cut some bytes out", "put bytes in"]
    if path.suffix in (".json", ".jsonl"):
        ways += 3 * [lambda: changed(content, dice)] + [lambda: b"[" * 100_000, lambda: b'{"a":' * 100_000]
        names += 3 * ["changed an entry"] + ["nested deeply", "nested deeply"]
    elif path.suffix == ".extxyz":
        ways.append(lambda: other_word(content, dice))
        names.append("changed a word")
    rare = dice.random()
    if rare < 0.06:
        path.unlink()
        if rare < 0.02:
            path.mkdir()
            return "a folder in its place"
        if rare < 0.04:
            os.mkfifo(path)
            return "a pipe in its place"
        path.symlink_to(path.with_name("nowhere"))
        return "a link to nothing in its place"
    which = dice.randrange(len(ways))
    new = ways[which]()
    path.write_bytes(new)
    return names[which] if new != content else "nothing"


def flipped(content: bytes, dice: random.Random) -> bytes:
    """One bit flipped."""
    k = dice.randrange(len(content))
    return content[:k] + bytes([content[k] ^ (1 << dice.randrange(8))]) + content[k + 1 :]


def changed(content: bytes, dice: random.Random) -> bytes:
    """One entry of a JSON file (of a line, for JSON lines) replaced, taken out, or renamed."""
    lines = content.split(b"\n") if b"\n{" in content and content.startswith(b'{"') else [content]
    k = dice.randrange(len(lines))
    try:
        value = json.loads(lines[k])
    except ValueError:
        return flipped(content, dice)
    places: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        part = waiting.pop()
        for key in list(part) if isinstance(part, dict) else range(len(part)):
            places.append((part, key))
            if isinstance(part[key], dict | list):
                waiting.append(part[key])
    if not places:
        return flipped(content, dice)
    part, key = dice.choice(places)
    how = dice.random()
    if how < 0.2:
        del part[key]
    elif how < 0.3 and isinstance(part, dict):
        part[f"{key}x"] = part.pop(key)
    elif how < 0.5 and isinstance(part[key], int | float):
        part[key] = part[key] * 1.5 + 1
    else:
        part[key] = dice.choice(WORDS)
    lines[k] = json.dumps(value).encode()
    return b"\n".join(lines)


def other_word(content: bytes, dice: random.Random) -> bytes:
    """One word of a text replaced."""
    words = content.split(b" ")
    words[dice.randrange(len(words))] = dice.choice([b"nan", b"inf", b"1e400", b"X", b"", b"-", b"\xff", b'"'])
    return b" ".join(words)


class TooLongError(BaseException):
    """An input took longer than ``SECONDS``."""


def too_long(*_: object) -> None:
    """What the alarm does."""
    raise TooLongError


def run(*words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command, in this process."""
    out, err = io.StringIO(), io.StringIO()
    programs = {"train.py": train.wire, "evaluate.py": evaluate.wire}
    sys.argv = list(words)
    function = programs.get(words[0]) or (lambda: run_command(list(words)))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = exit_code_of(function)
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 2
    return code, out.getvalue(), err.getvalue()


def sums(folder: Path) -> str:
    """What an evaluation found, without its date."""
    path = folder / "results.json"
    return path.read_text().partition('"columns"')[2].partition('"versions"')[0] if path.exists() else ""


def refuse_targets_that_read_nothing(chosen: Sequence[Target], prepared: Path) -> None:
    """Intact files must be accepted (a configuration: up to the data set, which is not there), or nothing is tested."""
    for target in chosen:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / target.folder
            shutil.copytree(prepared / target.folder, folder)
            code, _, err = run(*(word.replace("{}", str(folder)) for word in target.words))
        if code != 0 and not (code == 2 and "no data set at" in err):
            sys.exit(f"{target.name}: the intact file is refused: {err}")


def verdict(target: Target, prepared: Path, dice: random.Random) -> tuple[str, str]:
    """What one input led to: ``refused``, ``accepted``, or what is wrong; and how to see it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / target.folder
        shutil.copytree(prepared / target.folder, folder)
        how = damage(folder / target.file, dice)
        signal.alarm(SECONDS)
        try:
            code, out, err = run(*(word.replace("{}", str(folder)) for word in target.words))
            same = target.folder == "run" and sums(folder / "out") == sums(prepared / "intact")
        except TooLongError:
            return "HANGS", how
        except BaseException:
            return "TRACEBACK", f"{how}\n{traceback.format_exc(limit=-4)}"
        finally:
            signal.alarm(0)
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    if code == 2:
        return ("refused", "") if len(errors) == 1 else ("NOT ONE LINE", f"{how}: {err[-2000:]}")
    if code != 0:
        return f"EXIT CODE {code}", f"{how}: {err[-2000:]}"
    named = "is damaged" in err or "left out" in err
    if target.exact and how != "nothing" and not (named or same):
        return "ACCEPTED", f"{how}: {out[-300:]}"
    return "accepted", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name holds this")
    arguments = parser.parse_args()
    signal.signal(signal.SIGALRM, too_long)
    found: dict[str, collections.Counter[str]] = {}
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch)
        prepare(prepared)
        chosen = [item for item in targets(prepared) if arguments.only in item.name]
        total = sum(item.share for item in chosen)
        refuse_targets_that_read_nothing(chosen, prepared)
        for target in chosen:
            for k in range(max(1, round(arguments.inputs * target.share / total))):
                outcome, how = verdict(
                    target, prepared, random.Random(f"{arguments.seed} {target.file} {target.name} {k}")
                )
                found.setdefault(target.name, collections.Counter())[outcome] += 1
                if how:
                    wrong += 1
                    print(f"{target.name}, input {k}: {outcome}: {how}", flush=True)
            counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found[target.name].items()))
            print(f"{target.name}: {counts}", file=sys.stderr, flush=True)
    print(f"{sum(sum(item.values()) for item in found.values())} inputs, {wrong} wrong")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
