"""Writes a trained potential as one program that runs without its code, see :mod:`exported_potential`."""

import json
import math
import platform
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from compbench_jax._version import __version__
from compbench_jax.batching.arrays import graph_of
from compbench_jax.batching.packing import BatchShape
from compbench_jax.batching.topology import MAX_BONDS
from compbench_jax.deploy.exported import FORMAT, HEADER, PROGRAM, VERSION
from compbench_jax.errors import RunError, optional_import
from compbench_jax.files import atomic_file
from compbench_jax.models.precision import dtype_of
from compbench_jax.training.loaded_run import LoadedRun

PLATFORMS = ("cpu", "cuda", "tpu")
ATOMS = 32
"""Atoms per structure that a batch has room for if nobody says otherwise: those of undecane fit."""

MEANING = {
    "positions": "angstrom; zero on padding",
    "species": "index into elements; zero on padding",
    "senders": "nodes that edges start from; padding edges join the first padding node to itself",
    "receivers": "nodes that edges end at, ascending; every pair closer than the cutoff is there in both directions",
    "n_node": "nodes of each graph: the real ones, then one padding graph with the rest, then zeros",
    "triplets": "edges that end at each node, then the number of edges",
    "neighbours": "nodes bonded to each node, then the node itself; the node itself on padding",
    "keys": "names of each node's bonded environment; zero on padding",
}


@dataclass(frozen=True)
class Sizes:
    """Arrays of an exported program.

    Attributes:
        batch: structures per batch.
        nodes: atoms in all structures of a batch; None: ``ATOMS`` for each.
        edges: edges in all structures of a batch; None: those of 1.5 times the mean number of neighbours in training.
        incoming: most neighbours of an atom, for potentials that see angles; None: 2.5 times that mean.
        symbolic: leave batch, nodes and edges open; each new size is compiled when it is met.
    """

    batch: int = 8
    nodes: int | None = None
    edges: int | None = None
    incoming: int | None = None
    symbolic: bool = False


def export_program(run: LoadedRun, sizes: Sizes, path: Path) -> dict[str, Any]:
    """Lower energy and forces of a trained potential for every platform and write them to a file.

    Returns:
        the header of the file.

    Raises:
        RunError: sizes that are none, or symbolic sizes that the potential cannot take.
    """
    optional_import("flatbuffers", "export", "exporting a program")
    shape = shape_of(run, sizes)
    names, specs = inputs_for(run, shape, sizes.symbolic)
    try:
        with without_locations():
            program = jax.export.export(jax.jit(function_of(run, names)), platforms=PLATFORMS)(*specs)
    except Exception as error:  # whatever tracing with unknown sizes trips over
        if not sizes.symbolic:
            raise
        raise RunError(
            f"{run.config['preset']} needs to know the sizes of its arrays ({type(error).__name__}): leave out "
            "--symbolic, and give --batch, --nodes and --edges"
        ) from error
    header = header_of(run, sizes, shape, names, program)
    with atomic_file(path) as handle, zipfile.ZipFile(handle, "w") as archive:
        for name, content in (
            (HEADER, (json.dumps(header, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()),
            (PROGRAM, bytes(program.serialize())),
        ):
            archive.writestr(zipfile.ZipInfo(name), content)  # without the time: the same run, the same bytes
    return header


@contextmanager
def without_locations() -> Iterator[None]:
    """Trace without noting which line of which file each operation comes from: paths of this machine."""
    name = "jax_traceback_in_locations_limit"
    before = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, before)


def function_of(run: LoadedRun, names: Sequence[str]) -> Any:
    """Energy and forces of a batch given as plain arrays in this order; the parameters are part of the function."""
    params = jax.tree.map(jnp.asarray, run.params)

    def energy_and_forces(*arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
        return run.potential.energy_and_forces(params, graph_of(dict(zip(names, arrays, strict=True))))

    return energy_and_forces


def shape_of(run: LoadedRun, sizes: Sizes) -> BatchShape:
    """Array sizes, with room for the padding graph and its node.

    Raises:
        RunError: a size below 1.
    """
    given = {"batch": sizes.batch, "nodes": sizes.nodes, "edges": sizes.edges, "incoming": sizes.incoming}
    for name, value in given.items():
        if value is not None and value < 1:
            raise RunError(f"--{name} is {value}: give 1 or more")
    neighbours = run.potential.normalisation.average_neighbours
    nodes = sizes.nodes or ATOMS * sizes.batch
    edges = sizes.edges or math.ceil(1.5 * neighbours * nodes)
    incoming = (sizes.incoming or math.ceil(2.5 * neighbours)) if run.potential.triplets else 0
    return BatchShape(nodes + 1, edges, sizes.batch + 1, incoming)


def inputs_for(run: LoadedRun, shape: BatchShape, symbolic: bool) -> tuple[list[str], list[jax.ShapeDtypeStruct]]:
    """Names, shapes and dtypes of the program's arguments."""
    n_node, n_edge, n_graph, n_incoming = tuple[Any, ...](shape)
    if symbolic:
        n_node, n_edge, n_graph, n_incoming = jax.export.symbolic_shape("n_node, n_edge, n_graph, n_incoming")
    real, whole = dtype_of(run.potential.precision), np.int32
    shapes: list[tuple[str, tuple[Any, ...], Any]] = [
        ("positions", (n_node, 3), real),
        ("species", (n_node,), whole),
        ("senders", (n_edge,), whole),
        ("receivers", (n_edge,), whole),
        ("n_node", (n_graph,), whole),
    ]
    if run.potential.triplets:
        shapes.append(("triplets", (n_node, n_incoming), whole))
    if run.potential.needs_bonds:
        shapes += [("neighbours", (n_node, MAX_BONDS), whole), ("keys", (n_node, 2), whole)]
    return [name for name, *_ in shapes], [jax.ShapeDtypeStruct(size, dtype) for _, size, dtype in shapes]


def header_of(
    run: LoadedRun, sizes: Sizes, shape: BatchShape, names: list[str], program: jax.export.Exported
) -> dict[str, Any]:
    """What the file says about itself, as JSON values."""

    def described(name: str, aval: Any) -> dict[str, Any]:
        return {
            "name": name,
            "shape": [n if isinstance(n, int) else str(n) for n in aval.shape],
            "dtype": str(aval.dtype),
        }

    normalisation, config = run.potential.normalisation, run.config
    energy, forces = program.out_avals
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": config["model"]["model"],
        "preset": config["preset"],
        "prior": config.get("prior", "none"),
        "task": config["task"],
        "data": config["data_hash"],
        "seed": run.seed,
        "step": run.step,
        "elements": list(normalisation.elements),
        "reference_energies": list(normalisation.reference_energies),
        "cutoff": run.potential.cutoff,
        "long_range": run.potential.long_range,
        "units": {"positions": "angstrom", "energy": "eV", "forces": "eV/angstrom", "reference_energies": "eV"},
        "dtype": np.dtype(dtype_of(run.potential.precision)).name,
        "precision": run.potential.precision,
        "inputs": [
            {**described(name, aval), "meaning": MEANING[name]}
            for name, aval in zip(names, program.in_avals, strict=True)
        ],
        "outputs": [
            {**described("energy", energy), "meaning": "eV; total energy minus the reference energies of the atoms"},
            {**described("forces", forces), "meaning": "eV/angstrom; zero or meaningless on padding"},
        ],
        "batch": sizes.batch,
        "sizes": None if sizes.symbolic else shape._asdict(),
        "platforms": list(program.platforms),
        "versions": {"compbench_jax": __version__, "jax": jax.__version__, "python": platform.python_version()},
    }
