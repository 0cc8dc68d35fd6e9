"""Several processes that train one run together, one on each host: how they find each other and agree."""

import os
import re
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from compbench_jax.errors import RunError
from compbench_jax.training.settings import ProcessSettings

AGREE_SECONDS = 2.0
"""Seconds between agreements of the processes, about: so long may a signal wait."""


def connect(settings: ProcessSettings, distributed: bool) -> None:
    """Join the other processes of the run, before JAX is first used.

    Args:
        settings: an explicit coordinator.
        distributed: find the coordinator in the environment: SLURM, Cloud TPU, Open MPI.

    Raises:
        RunError: incomplete settings, or no coordinator can be found or reached.
    """
    if not settings.coordinator and not distributed:
        return
    explicit: dict[str, Any] = {}
    if settings.coordinator:
        if not re.fullmatch(r"\S+:\d+", settings.coordinator):
            raise RunError(f"--coordinator is {settings.coordinator!r}: give HOST:PORT of process 0")
        if not 0 <= settings.process_id < settings.num_processes:
            raise RunError(
                f"--process-id is {settings.process_id} of --num-processes {settings.num_processes}: with a "
                "coordinator give the number of processes and a different number from 0 to each"
            )
        explicit = {
            "coordinator_address": settings.coordinator,
            "num_processes": settings.num_processes,
            "process_id": settings.process_id,
        }
    # On CPUs collectives need a library of their own; the setting is ignored elsewhere.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(**explicit)
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise RunError(f"the processes of the run cannot find each other ({text}): check --coordinator") from error


def launched_together(environment: Mapping[str, str] | None = None) -> bool:
    """Whether a scheduler started several processes for one job: SLURM's ``srun``, or a Cloud TPU slice."""
    environment = os.environ if environment is None else environment
    tasks = environment.get("SLURM_NTASKS", "1") if "SLURM_STEP_NODELIST" in environment else "1"
    hosts = environment.get("TPU_WORKER_HOSTNAMES", "")
    return (tasks.isdigit() and int(tasks) > 1) or "," in hosts


def is_first() -> bool:
    """Whether this process writes logs and files."""
    return jax.process_index() == 0


def wait_for_all(what: str) -> None:
    """Return once every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)


def largest(values: list[int]) -> list[int]:
    """The largest of each number over all processes."""
    if jax.process_count() == 1:
        return values
    gathered = multihost_utils.process_allgather(np.array(values, np.int32))
    return [int(x) for x in np.asarray(gathered).reshape(-1, len(values)).max(axis=0)]


def from_first(tree: Any) -> Any:
    """Arrays of process 0, in every process."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


class Agreement:
    """The largest of some numbers over all processes, asked for after every dispatch and known now and then.

    An agreement is a collective: one before every dispatch would keep the devices waiting. After each the processes
    agree on how many dispatches there are to the next, by the rate since the last.
    """

    def __init__(self) -> None:
        self.waited, self.until, self.last = 0, 1, time.monotonic()

    def largest(self, values: list[int]) -> list[int]:
        """The largest of each number over all processes; zeros where it is not yet time to agree.

        One process always agrees with itself.
        """
        if jax.process_count() == 1:
            return values
        self.waited += 1
        if self.waited < self.until:
            return [0] * len(values)
        now = time.monotonic()
        most = int(AGREE_SECONDS * self.waited / max(now - self.last, 1e-6))
        # At most four times as many as before: the first dispatch, which compiles, says nothing of the rate.
        *agreed, fewest = largest([*values, -max(1, min(most, 4 * self.waited))])
        self.waited, self.until, self.last = 0, -fewest, time.monotonic()
        return agreed
