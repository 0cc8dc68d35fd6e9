"""A trained potential with its compiled programs: energies and forces, Jacobians, of many molecules at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.dynamics.system import Layout, Room, System, energy_and_forces_at
from compbench_jax.models.potential import Params, Potential


class Engine:
    """A potential and its parameters on the device.

    Args:
        potential: of a run; JAX must be prepared for its precision.
        params: its parameters.
    """

    def __init__(self, potential: Potential, params: Params):
        self.potential, self.params = potential, jax.device_put(params)
        self._programs: dict[Any, Any] = {}
        self._forces = jax.jit(partial(energy_and_forces_at, potential), static_argnums=2)
        self._jacobian = jax.jit(self._jacobian_rows, static_argnums=(2, 3))

    def program(self, function: Callable[..., Any], *static: Any) -> Any:
        """``function(potential, *static, params, layout, room, …)`` compiled, the same one at every call."""
        key = (function, *static)
        if key not in self._programs:
            self._programs[key] = jax.jit(partial(function, self.potential, *static), static_argnums=2)
        return self._programs[key]

    def energy_and_forces(self, system: System, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Interaction energies, eV float64 ``[n_molecules]``, and forces, eV/Å float64 ``[n_atoms, 3]``.

        Args:
            system: the molecules.
            positions: Å, ``[n_atoms, 3]``.
        """
        nodes = system.pad(positions)

        def call(room: Room) -> tuple[Any, np.ndarray]:
            energy, forces, needed = jax.device_get(self._forces(self.params, system.layout, room, nodes))
            return (energy, forces), needed

        energy, forces = system.settle(call, nodes)
        return energy[: len(system.graphs)].astype(np.float64), forces[: system.n_atoms].astype(np.float64)

    def jacobians(self, system: System, positions: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Forces, eV/Å ``[n, 3]``, and their Jacobians ∂F_i/∂r_j, eV/Å² ``[3 n, 3 n]`` of each molecule, float64.

        The Jacobian of a batch has a block for each molecule: one pull-back of a vector that holds the same row of all
        molecules gives that row of all blocks, so a batch costs as many pull-backs as its largest molecule has
        coordinates.
        """
        nodes = system.pad(positions)
        most = max(graph.n_atoms for graph in system.graphs)

        def call(room: Room) -> tuple[Any, np.ndarray]:
            forces, rows, needed = self._jacobian(self.params, system.layout, room, most, nodes)
            return jax.device_get((forces, rows)), jax.device_get(needed)

        forces, rows = system.settle(call, nodes)
        matrices = []
        for first, graph in zip(system.offsets, system.graphs, strict=False):
            own = rows[: graph.n_atoms, :, first : first + graph.n_atoms]
            matrices.append(own.reshape(3 * graph.n_atoms, 3 * graph.n_atoms).astype(np.float64))
        return system.split(forces.astype(np.float64)), matrices

    def _jacobian_rows(
        self, params: Params, layout: Layout, room: Room, most: int, positions: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Forces, rows of the Jacobians ``[most, 3, n_node, 3]``, and what was needed."""

        def of_positions(at: jax.Array) -> tuple[jax.Array, jax.Array]:
            _, forces, needed = energy_and_forces_at(self.potential, params, layout, room, at)
            return forces, needed

        forces, pull_back, needed = jax.vjp(of_positions, positions, has_aux=True)
        # Number of each node within its molecule; padding nodes have none.
        first = jnp.cumsum(jnp.asarray(layout.n_node)) - layout.n_node
        number = jnp.where(layout.real, jnp.arange(layout.species.shape[0]) - first[layout.owner], -1)

        def row(index: jax.Array) -> jax.Array:
            seed = (number == index // 3)[:, None] & (jnp.arange(3) == index % 3)[None]
            return pull_back(seed.astype(forces.dtype))[0]

        rows = jax.lax.map(row, jnp.arange(3 * most))
        return forces, rows.reshape(most, 3, *forces.shape), needed
