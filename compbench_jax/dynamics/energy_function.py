"""A trained potential as a function of positions in JAX, for programs that differentiate it themselves (JAX MD)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ase import Atoms

from compbench_jax.dynamics.system import Room, System, graph_at
from compbench_jax.errors import CompBenchError
from compbench_jax.models.precision import refuse_unprepared
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.training.loaded_run import LoadedRun


def energy_function(run: LoadedRun, atoms: Atoms, graph: MolecularGraph | None = None) -> Callable[..., jax.Array]:
    """The energy of one isolated molecule, for ``jax.grad``, ``jax.hessian`` or ``jax_md.simulate``.

    Neighbours are searched among all pairs at every call, on the device: for molecules of up to some hundred atoms.

    Args:
        run: whose precision it has.
        atoms: the molecule; its positions are used only to perceive bonds.
        graph: the molecule with its bonds in the order of the atoms, for potentials that are told bonds. Without it:
            perceived from the positions, which needs RDKit.

    Returns:
        ``energy(positions, **ignored)``: positions Å ``[n_atoms, 3]`` in, interaction energy in eV out: the total
        energy less the reference energies of the atoms, a constant. It ignores keywords, which JAX MD passes.

    Raises:
        CompBenchError: a periodic cell, no atoms, an element that is not known, direct forces, which are no gradient of
            this energy, or bonds that are needed but not known.
    """
    potential = run.potential
    refuse_unprepared(potential.precision)
    if atoms.pbc.any() or not len(atoms):
        raise CompBenchError("the geometry has a periodic cell or no atoms: only molecules are supported")
    if potential.direct:
        raise CompBenchError("the potential predicts its forces, which are no gradient of its energy: train another")
    if graph is None and potential.needs_bonds:
        from compbench_jax.molecules.identify import identify

        graph = identify(atoms.numbers, atoms.positions).graph
    if graph is None:  # the atoms alone
        nothing = np.zeros((0, 2), np.int32)
        graph = MolecularGraph(
            Molecule(str(atoms.symbols), "", "", ""), atoms.numbers.astype(np.int32), nothing, nothing
        )
    system, n = System(potential, [graph]), len(atoms)
    room = Room(max(1, n * (n - 1)), max(1, n - 1) if potential.triplets else 0)
    params = jax.device_put(run.params)

    def energy(positions: jax.Array, **ignored: Any) -> jax.Array:
        centred = positions - positions.mean(axis=0)  # far from the origin float32 resolves no bond
        nodes = jnp.concatenate([centred, jnp.zeros((1, 3), centred.dtype)])
        return potential.energy(params, graph_at(potential, system.layout, room, nodes)[0])[0]

    return energy
