"""Dynamics at constant energy: velocity Verlet for a batch of molecules in one compiled program.

Swope, Andersen, Berens, Wilson, J. Chem. Phys. 76, 637 (1982). Of second order, time-reversible and symplectic: what
drifts is the potential's doing (forces that are no gradient, kinks, the precision of the arithmetic), not the
integrator's.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.dynamics.engine import Engine
from compbench_jax.dynamics.system import Layout, Room, System, energy_and_forces_at
from compbench_jax.dynamics.trajectory import SAVE_SECONDS, Trajectory, read_trajectory
from compbench_jax.models.potential import Params, Potential

SEGMENT = 200
"""Steps (or one record, if that is longer) a call of the compiled program: between two, Ctrl-C is heard."""


def integrate(
    engine: Engine,
    system: System,
    positions: np.ndarray,
    velocities: np.ndarray,
    masses: np.ndarray,
    *,
    time_step: float,
    stride: int,
    records: int,
    path: Path | None = None,
    progress: Callable[[int, int], Any] | None = None,
) -> Trajectory:
    """Velocity Verlet from these states.

    Args:
        engine: the potential.
        system: the molecules.
        positions: Å, ``[n_atoms, 3]``.
        velocities: ASE units, ``[n_atoms, 3]``.
        masses: u, ``[n_atoms]``.
        time_step: ASE units.
        stride: steps a record.
        records: without that of the start.
        path: where the unfinished trajectory is kept now and then, when interrupted, and when it is finished; what is
            there already is gone on from.
        progress: called with records done and in all.
    """
    done = None if path is None else read_trajectory(path, system.n_atoms, len(system.graphs))
    if done is None:
        done = Trajectory(
            positions[None].astype(np.float32),
            np.full((1, len(system.graphs)), np.nan),  # the first call says it
            kinetic_energies(system, velocities, masses)[None],
            np.stack([positions, velocities]),
        )
    at_once = max(1, SEGMENT // stride)
    step = engine.program(_segment, stride, at_once)
    mass = system.pad(masses)
    mass[system.n_atoms :] = 1.0
    arrays = (mass, mass.dtype.type(time_step))
    saved = time.monotonic()
    try:
        while len(done.potential) <= records:
            if progress is not None:
                progress(len(done.potential) - 1, records)
            state = tuple(system.pad(item) for item in done.state)
            before, more = _advance(engine, system, step, arrays, state)
            if len(done.potential) == 1:
                done = replace(done, potential=before[None])
            done = done.extended(more)
            if path is not None and time.monotonic() - saved > SAVE_SECONDS:
                done.save(path)
                saved = time.monotonic()
    finally:
        if path is not None and len(done.potential) > 1:
            done.save(path)
    return Trajectory(
        done.positions[: records + 1], done.potential[: records + 1], done.kinetic[: records + 1], done.state
    )


def kinetic_energies(system: System, velocities: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Kinetic energy of each molecule, eV float64 ``[n_molecules]``."""
    own = 0.5 * masses * (velocities.astype(np.float64) ** 2).sum(axis=1)
    return np.array([item.sum() for item in system.split(own)])


def _advance(engine: Engine, system: System, step: Any, arrays: Any, state: Any) -> tuple[np.ndarray, Trajectory]:
    """One call of the program, again with more room if a molecule has folded: energies before it, records after."""

    def call(room: Room) -> tuple[Any, np.ndarray]:
        found = jax.device_get(step(engine.params, system.layout, room, *arrays, *state))
        return found[:-1], found[-1]

    before, last, velocity, positions, potential, kinetic = system.settle(call, state[0])
    n_atoms, n_molecules = system.n_atoms, len(system.graphs)
    records = Trajectory(
        positions[:, :n_atoms].astype(np.float32),
        potential[:, :n_molecules].astype(np.float64),
        kinetic[:, :n_molecules].astype(np.float64),
        np.stack([last, velocity])[:, :n_atoms].astype(np.float64),
    )
    return before[:n_molecules].astype(np.float64), records


def _segment(
    potential: Potential,
    stride: int,
    records: int,
    params: Params,
    layout: Layout,
    room: Room,
    masses: jax.Array,
    time_step: jax.Array,
    positions: jax.Array,
    velocities: jax.Array,
) -> tuple[jax.Array, ...]:
    """``records`` records of ``stride`` steps: energies before, last state, records, and what was needed."""
    n_graph = layout.n_node.shape[0]

    def evaluate(at: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        energy, forces, needed = energy_and_forces_at(potential, params, layout, room, at)
        return energy, forces / masses[:, None], needed

    def move(_: Any, state: Any) -> Any:
        at, velocity, acceleration, _, most = state
        velocity = velocity + 0.5 * time_step * acceleration
        at = at + time_step * velocity
        energy, acceleration, needed = evaluate(at)
        velocity = velocity + 0.5 * time_step * acceleration
        return at, velocity, acceleration, energy, jnp.maximum(most, needed)

    def record(state: Any, _: None) -> Any:
        state = jax.lax.fori_loop(0, stride, move, state)
        at, velocity, _, energy, _ = state
        of_nodes = 0.5 * masses * (velocity**2).sum(axis=1)
        kinetic = jax.ops.segment_sum(of_nodes, layout.owner, n_graph, indices_are_sorted=True)
        return state, (at, energy, kinetic)

    energy, acceleration, needed = evaluate(positions)
    start = (positions, velocities, acceleration, energy, needed)
    (at, velocity, _, _, most), found = jax.lax.scan(record, start, None, records)
    return energy, at, velocity, *found, most
