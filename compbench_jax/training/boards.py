"""TensorBoard and Weights & Biases: they are told the records of ``log.jsonl`` as they are written."""

import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from compbench_jax.errors import RunError, optional_import, suggestion
from compbench_jax.files import read_text, write_atomically


class Board(Protocol):
    """What is told the records of a run."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record: ``event``, ``step`` and its values."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class TensorBoard:
    """Event files in ``RUN/tensorboard``: a scalar for each number, a text for each record without numbers.

    Args:
        run: folder of the run.
        settings: its configuration, JSON values.
        step: to go on after; later steps of an earlier stretch are hidden.
    """

    def __init__(self, run: Path, settings: Mapping[str, Any], step: int):
        import tensorboardX

        self.writer = tensorboardX.SummaryWriter(
            str(run / "tensorboard"), purge_step=step + 1 if step else None, filename_suffix=f".{step}"
        )
        self.writer.add_text("configuration", f"```json\n{json.dumps(settings, indent=1)}\n```", step)

    def write(self, record: Mapping[str, Any]) -> None:
        """Add the record's numbers as ``EVENT/KEY``, with ``memberK/`` before it in runs of several members."""
        for name, value in named(record).items():
            if isinstance(value, bool | int | float):
                self.writer.add_scalar(name, value, record["step"])
        if record["event"] in ("start", "nonfinite"):
            self.writer.add_text(record["event"], json.dumps(record, ensure_ascii=False), record["step"])

    def close(self) -> None:
        """Flush and close."""
        self.writer.close()


class WandB:
    """A run of Weights & Biases in ``RUN/wandb``, without network unless ``WANDB_MODE`` says otherwise.

    A resumed run goes on under the same number.

    Args:
        run: folder of the run.
        settings: its configuration, JSON values.
        step: to go on after; nothing of it is hidden.
    """

    def __init__(self, run: Path, settings: Mapping[str, Any], step: int):
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        number = run / "wandb" / "id"
        if not number.is_file():
            number.parent.mkdir(exist_ok=True)
            write_atomically(number, secrets.token_hex(8).encode())
        try:
            self.run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "compbench_jax"),
                name=run.resolve().name,
                id=read_text(number).strip(),
                dir=str(run),
                config=dict(settings),
                resume="allow",
                settings=wandb.Settings(
                    console="off",
                    silent=True,
                    save_code=False,
                    disable_git=True,
                    disable_code=True,
                    x_disable_stats=True,
                    x_disable_machine_info=True,
                    x_save_requirements=False,
                ),
            )
        except Exception as error:  # whatever its service raises
            raise RunError(
                f"--log wandb: {' '.join(str(error).split())[:200]}: check WANDB_MODE and its login"
            ) from error
        self.run.define_metric("*", step_metric="step")

    def write(self, record: Mapping[str, Any]) -> None:
        """Log the record's values as ``EVENT/KEY``, by ``step``."""
        self.run.log({**named(record), "step": record["step"]})

    def close(self) -> None:
        """Finish the run."""
        self.run.finish()


BOARDS: dict[str, Callable[[Path, Mapping[str, Any], int], Board]] = {"tensorboard": TensorBoard, "wandb": WandB}
"""By the name that ``--log`` takes, which is that of the extra too."""

PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


def named(record: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a record as ``EVENT/KEY``, or ``memberK/EVENT/KEY``."""
    start = f"member{record['member']}/" if "member" in record else ""
    left_out = ("event", "step", "member")
    return {f"{start}{record['event']}/{key}": value for key, value in record.items() if key not in left_out}


def board_names(text: str) -> tuple[str, ...]:
    """The names in a text such as ``"tensorboard,wandb"``.

    Raises:
        CompBenchError: there is no such board, or its package is not installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in BOARDS:
            raise RunError(f"--log has {name!r}: {suggestion(name, BOARDS)}")
        optional_import(PACKAGES[name], name, f"--log {name}")
    return names


class Told:
    """Boards that are told every record. One that fails is left out of what follows, as a line says."""

    def __init__(self, boards: Mapping[str, Board]):
        self.boards = dict(boards)

    def write(self, record: Mapping[str, Any]) -> None:
        """Tell all boards."""
        self._each(lambda board: board.write(record))

    def close(self) -> None:
        """Close all boards."""
        self._each(lambda board: board.close())

    def _each(self, act: Callable[[Board], None]) -> None:
        for name, board in list(self.boards.items()):
            try:
                act(board)
            except Exception as error:  # training is worth more than what watches it
                del self.boards[name]
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                print(f"warning: {name} is left out from here on ({reason})", file=sys.stderr)


def open_boards(names: tuple[str, ...], run: Path, settings: Mapping[str, Any], step: int) -> Told:
    """Open boards.

    Args:
        names: of ``BOARDS``.
        run: folder of the run.
        settings: its configuration, JSON values.
        step: to go on after.

    Raises:
        RunError: a board does not start.
    """
    return Told({name: BOARDS[name](run, settings, step) for name in names})
