"""Trained potentials, read from their run folders."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.models.potential import PRIOR, Params, Potential
from compbench_jax.models.precision import cast_params, prepare_precision
from compbench_jax.training import configuration, potential_file, prior
from compbench_jax.training.checkpoint import FOLDER, Checkpoints


@dataclass(frozen=True)
class LoadedRun:
    """A trained potential: one member of a run.

    Attributes:
        config: contents of the run's ``config.json``.
        potential: the potential with its normalisation.
        params: its parameters, NumPy.
        step: after which step.
        member: which of the run's members, from 0.
        seed: of this member.
        learning_rate: of this member.
        validation_loss: the lowest that this member reached; infinity before the first validation.
        stopped: step at which its loss or gradient was not finite for the second time, while others went on; 0: none.
        damaged: steps of later checkpoints, which are damaged, so that this one was read in their place.
    """

    config: dict[str, Any]
    potential: Potential
    params: Params
    step: int
    member: int = 0
    seed: int = 0
    learning_rate: float = 0.0
    validation_loss: float = float("inf")
    stopped: int = 0
    damaged: tuple[int, ...] = ()

    @cached_property
    def fast_params(self) -> Params:
        """The parameters for many energies and forces, see :meth:`.Potential.for_inference`."""
        return self.potential.for_inference(self.params)


def load_run(run: str | Path, which: str = "best", member: int | None = None) -> LoadedRun:
    """One potential that a run trained.

    Args:
        run: folder of the run.
        which: see :func:`load_members`.
        member: which of the run's members, from 0; None: the one with the lowest validation loss, of those that did not
            stop.

    Raises:
        RunError: no such run or member, or a run without a checkpoint that can be read.
    """
    return pick_member(load_members(run, which), run, member)


def pick_member(members: Sequence[LoadedRun], run: str | Path, member: int | None = None) -> LoadedRun:
    """One of all members of a run; see :func:`load_run`.

    Raises:
        RunError: no such member; ``run`` names the folder.
    """
    if member is None:
        return min(running(members), key=lambda item: item.validation_loss)
    if not 0 <= member < len(members):
        raise RunError(f"{run} has no ensemble member {member}: give a number from 0 to {len(members) - 1}")
    return members[member]


def running(members: Sequence[LoadedRun]) -> list[LoadedRun]:
    """The members that were trained to the end; all, if none was."""
    return [item for item in members if not item.stopped] or list(members)


def load_members(run: str | Path, which: str = "best") -> list[LoadedRun]:
    """All potentials that a run trained.

    Args:
        run: folder of the run.
        which: ``"best"``, the moving average of the parameters at the validation with the lowest loss, or
            ``"latest"``, that of the last checkpoint.

    Raises:
        RunError: no such run, or one without a checkpoint that can be read.
    """
    run = Path(run)
    if which not in ("best", "latest"):
        raise RunError(f"no parameters are called {which!r}: choose best or latest")
    if not run.is_dir():
        raise RunError(f"there is no run at {run}: train one with `python train.py --out {run} …`")
    if not (run / configuration.FILE).is_file():
        raise RunError(
            f"{run} is not a run folder, it has no {configuration.FILE}: train with `python train.py --out {run} …`"
        )
    settings = configuration.read(run / configuration.FILE)
    config = configuration.to_json(settings)
    checkpoints = Checkpoints(run, read_only=True) if (run / FOLDER).is_dir() else None
    if checkpoints is None or not checkpoints.steps():
        raise RunError(f"{run} has no checkpoint: train it first with `python train.py --out {run} …`")
    found = checkpoints.parameters(which)
    potential = replace(potential_file.read(run), precision=settings.precision)
    more: Params = {}
    if settings.prior != "none":
        potential, more = prior.with_prior(potential, run)
    members = settings.members()
    if len(members) != len(found):
        raise RunError(
            f"{run} has checkpoints of {len(found)} ensemble members, its configuration has {len(members)}: train again"
        )
    return [
        LoadedRun(
            config,
            potential,
            {**params, **more},
            step,
            k,
            members[k].seed,
            members[k].learning_rate,
            loss,
            stopped,
            checkpoints.damaged,
        )
        for k, (step, loss, stopped, params) in enumerate(found)
    ]


def with_precision(run: LoadedRun, precision: str | None = None) -> LoadedRun:
    """The same trained potential with JAX prepared for its precision, or for another one if that is given.

    Raises:
        RunError: no such precision.
    """
    precision = precision or run.potential.precision
    prepare_precision(precision)
    potential = replace(run.potential, precision=precision)
    return replace(run, potential=potential, params=cast_params(run.params, precision))


def without_prior(run: LoadedRun) -> LoadedRun:
    """The network of a run by itself."""
    params = {name: item for name, item in run.params.items() if name != PRIOR}
    return replace(run, potential=replace(run.potential, prior=None), params=params)
