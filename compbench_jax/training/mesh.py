"""Devices of a run as a mesh with two axes: members of the run along ``seed``, parts of each batch along ``batch``."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from compbench_jax.errors import RunError

SEED, BATCH = "seed", "batch"
MEMBERS = PartitionSpec(SEED)
"""Of arrays with a leading axis of members."""

BATCHES = PartitionSpec(None, SEED, BATCH)
"""Of arrays ``[n_steps, n_members, n_parts, …]``."""

OUTPUTS = PartitionSpec(None, SEED)
"""Of arrays ``[n_steps, n_members, …]``."""

TABLES = PartitionSpec(SEED, BATCH)
"""Of arrays ``[n_members, n_batch, …]``."""

SHARES = PartitionSpec(BATCH)
"""Of arrays ``[n_batch, …]``, the same for all members."""

SHARED = PartitionSpec()
"""Of arrays that every device has as a whole."""


@dataclass(frozen=True)
class Layout:
    """Where arrays live. With one device there is no mesh, and programs are compiled as if there were no others.

    Attributes:
        mesh: axes ``seed`` and ``batch``; None for one device.
        n_seed: devices that seeds are distributed over.
        n_batch: devices that each batch is distributed over.
    """

    mesh: Mesh | None
    n_seed: int
    n_batch: int

    def sharding(self, spec: PartitionSpec) -> Any:
        """How arrays of this kind lie on the devices."""
        return None if self.mesh is None else NamedSharding(self.mesh, spec)

    def put(self, tree: Any, spec: PartitionSpec = SHARED) -> Any:
        """Put arrays of the host, the same in every process, on the devices; each process serves its own."""
        if self.mesh is None:
            return jax.device_put(tree)
        sharding = NamedSharding(self.mesh, spec)

        def place(array: Any) -> jax.Array:
            array = np.asarray(array)
            return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

        return jax.tree.map(place, tree)

    def put_own(self, grid: Sequence[int], spec: PartitionSpec, make: Callable[..., Any]) -> Any:
        """Arrays ``[*grid, …]`` on the devices, each process making only what its own devices need.

        Args:
            grid: the leading axes, over which the arrays are spread.
            spec: how.
            make: ``make(*indices of each leading axis)``, each a range, gives these entries as a tree of NumPy arrays.
        """
        sharding = self.sharding(spec)
        if sharding is None:
            return jax.device_put(make(*map(range, grid)))
        made: dict[tuple[range, ...], Any] = {}
        placed = []
        for device, index in sharding.addressable_devices_indices_map(tuple(grid)).items():
            key = tuple(range(n)[piece] for n, piece in zip(grid, index, strict=True))
            if key not in made:
                made[key] = make(*key)
            placed.append(jax.device_put(made[key], device))
        leaves = [jax.tree.leaves(tree) for tree in placed]
        arrays = [
            jax.make_array_from_single_device_arrays((*grid, *shards[0].shape[len(grid) :]), sharding, list(shards))
            for shards in zip(*leaves, strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(placed[0]), arrays)

    def get(self, tree: Any) -> Any:
        """Arrays on the devices as NumPy arrays, whole, in every process (all of which must call this)."""
        return jax.device_get(self.gathered(tree))

    def gathered(self, tree: Any) -> Any:
        """The same arrays, whole on every device."""
        if self.mesh is None or all(leaf.is_fully_addressable for leaf in jax.tree.leaves(tree)):
            return tree
        return jax.jit(lambda x: x, out_shardings=NamedSharding(self.mesh, SHARED))(tree)

    def shared_out(self, function: Callable[..., Any], inputs: Sequence[Any], outputs: Any) -> Callable[..., Any]:
        """The function, run by every device on its shard of the arguments; itself for one device."""
        if self.mesh is None:
            return function
        # Custom derivatives do not say over which axes their results vary: the check would reject them.
        return jax.shard_map(function, mesh=self.mesh, in_specs=tuple(inputs), out_specs=outputs, check_vma=False)


ALONE = Layout(None, 1, 1)
"""One device."""


def make_layout(setting: str, n_members: int, devices: Sequence[Any] | None = None) -> Layout:
    """Lay out a run on the devices of all processes.

    Args:
        setting: ``"auto"`` or ``"SEEDxBATCH"``.
        n_members: of the run.
        devices: by default all.

    Raises:
        RunError: the setting is not of this form, asks for another number of devices, or does not divide the members.
    """
    devices = list(jax.devices() if devices is None else devices)
    if setting == "auto":
        n_seed = math.gcd(n_members, len(devices))
        n_batch = len(devices) // n_seed
    else:
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", setting)
        if match is None:
            raise RunError(f"--device.mesh is {setting!r}: give auto or two numbers of devices, e.g. 2x4")
        n_seed, n_batch = int(match[1]), int(match[2])
    if n_members % n_seed:
        raise RunError(
            f"--device.mesh {setting} distributes {n_members} seeds over {n_seed} devices: give a first number that "
            "divides the number of seeds"
        )
    wanted = n_seed * n_batch
    if wanted > len(devices) or (wanted < len(devices) and jax.process_count() > 1):
        raise RunError(f"--device.mesh {setting} needs {wanted} devices, there are {len(devices)}: give auto or fewer")
    if wanted == 1:
        return ALONE
    grid = np.array(devices[:wanted], dtype=object).reshape(n_seed, n_batch)
    return Layout(Mesh(grid, (SEED, BATCH)), n_seed, n_batch)
