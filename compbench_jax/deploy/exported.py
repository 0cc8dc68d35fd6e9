"""A potential as ``compbench export RUN`` wrote it: a program for any platform, and what to feed it. No model's code.

The file is a zip archive of two members: ``header.json`` (inputs, outputs, units, elements, reference energies, cutoff,
array sizes) and ``program.bin``, StableHLO with the parameters in it, serialised by ``jax.export`` and lowered for cpu,
cuda and tpu.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.export
import numpy as np

from compbench_jax.batching.arrays import arrays_of
from compbench_jax.batching.dataset import GraphDataset
from compbench_jax.batching.geometry import centred, refuse_overlapping, refuse_unresolved
from compbench_jax.batching.packing import BatchShape
from compbench_jax.batching.topology import given_graphs
from compbench_jax.deploy.forked import refuse_fork
from compbench_jax.errors import DataError, optional_import
from compbench_jax.files import parse_json
from compbench_jax.molecules.molecule import MolecularGraph
from compbench_jax.store.frames import Frames, unlabelled

FORMAT, VERSION = "compbench-program", 1
HEADER, PROGRAM = "header.json", "program.bin"

Structure = tuple[np.ndarray, np.ndarray]
"""Atomic numbers ``[n_atoms]`` and positions ``[n_atoms, 3]``, Å."""


class ExportedPotential:
    """Energies and forces by an exported program; made by :func:`load`. Threads may share it.

    A pickle of it is the path of its file, which whoever unpickles it loads again.

    Attributes:
        path: of the file.
        header: what the file says about itself.
    """

    def __init__(self, path: Path, header: dict[str, Any], program: jax.export.Exported):
        self.path, self.header = path, header
        self._call = jax.jit(program.call)

    def __reduce__(self) -> tuple[Any, ...]:
        """The file that it was loaded from."""
        return load, (self.path,)

    def call(self, batch: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
        """One padded batch, as ``docs/conventions.md`` lays it out.

        Args:
            batch: arrays by the names and of the shapes that ``header["inputs"]`` lists.

        Returns:
            interaction energies, eV ``[n_graph]`` (without reference energies), and forces, eV/Å ``[n_node, 3]``.

        Raises:
            DataError: an array is missing.
            CompBenchError: this process was forked after JAX had started.
        """
        refuse_fork()
        names = [item["name"] for item in self.header["inputs"]]
        missing = [name for name in names if name not in batch]
        if missing:
            raise DataError(f"the batch has no array {missing[0]!r}: the program takes {', '.join(names)}")
        return self._call(*(batch[name] for name in names))

    def energies_and_forces(
        self, structures: Sequence[Structure], graphs: Sequence[MolecularGraph] | None = None
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Neighbour lists, batches, program, reference energies.

        Args:
            structures: atomic numbers and positions (Å) of each, at least one.
            graphs: of each the molecule with its bonds in the order of its atoms, for potentials that are told bonds.
                Without them: perceived from each geometry, which needs RDKit.

        Returns:
            total energies, eV, float64 ``[n_structures]``, and the forces of each, eV/Å ``[n_atoms, 3]``.

        Raises:
            DataError: an element that the potential does not know, a structure larger than the program's arrays,
                positions that are not finite or not resolved, atoms nearer than 0.2 Å to each other, or bonds that
                are needed and not known.
        """
        dataset = self._dataset(frames_of(structures), graphs)
        energies = np.array(dataset.reference, np.float64)
        forces: list[Any] = [None] * len(structures)
        for item in dataset.sequential():
            energy, force = self.call(arrays_of(dataset.batch(item)))
            rows = np.split(np.asarray(force), np.cumsum(dataset.frames.n_atoms[item.indices]))
            energies[item.indices] += np.asarray(energy, np.float64)[: len(item.indices)]
            for index, part in zip(item.indices, rows, strict=False):
                forces[index] = part
        return energies, forces

    def _dataset(self, frames: Frames, graphs: Sequence[MolecularGraph] | None = None) -> GraphDataset:
        """The structures with neighbours and a shape of batches that the program takes."""
        header = self.header
        refuse_unresolved(frames)
        names = [item["name"] for item in header["inputs"]]
        settings: dict[str, Any] = {
            "elements": header["elements"],
            "reference_energies": header["reference_energies"],
            "cutoff": header["cutoff"],
            "batch_size": min(frames.n_frames, header["batch"]),
            "triplets": "triplets" in names,
            "graphs": given_graphs(frames, graphs) if "neighbours" in names else None,
            "dtype": np.dtype(header["dtype"]).type,
        }
        sizes = header["sizes"]
        dataset = GraphDataset.build(frames, **settings, shape=None if sizes is None else BatchShape(**sizes))
        refuse_overlapping(frames, dataset.edges)
        # Programs written before the header said so may be of a potential with long-range terms.
        whole = header.get("long_range", True)
        bonds = None if dataset.topology is None else dataset.topology.neighbours
        return replace(dataset, frames=centred(frames, dataset.edges, settings["dtype"], whole=whole, bonds=bonds))


def load(path: str | Path) -> ExportedPotential:
    """Read a program that ``compbench export RUN --out FILE`` wrote.

    Raises:
        DataError: no such file, one that is none of these or damaged, or one that this JAX cannot run.
        CompBenchError: this process was forked after JAX had started.
    """
    path = Path(path).absolute()
    refuse_fork()
    optional_import("flatbuffers", "export", "reading an exported program")
    if not path.is_file():  # a pipe would be waited for
        raise DataError(f"there is no file {path}: write one with `compbench export RUN --out {path}`")
    try:
        with zipfile.ZipFile(path) as archive:
            header = parse_json(archive.read(HEADER).decode())
            content = archive.read(PROGRAM)
    except Exception as error:  # of zipfile, zlib, lzma, struct: whatever the damage leads to
        raise DataError(f"{path} is no exported program, or damaged ({error}): export it again") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"{path} is no exported program: write one with `compbench export RUN --out FILE`")
    if header["version"] > VERSION:
        raise DataError(f"{path} has version {header['version']}, this program reads up to {VERSION}: upgrade")
    if header["dtype"] == "float64" and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise DataError(f"{path} computes in float64: set JAX_ENABLE_X64=1")
    try:
        program = jax.export.deserialize(bytearray(content))
    except Exception as error:  # flatbuffers and XLA raise whatever they like for what they do not understand
        text = " ".join(str(error).split())[:160]
        raise DataError(
            f"the program in {path} cannot be read by jax {jax.__version__} ({text}): it was written with "
            f"jax {header['versions']['jax']}; export it again"
        ) from error
    return ExportedPotential(path, header, program)


def frames_of(structures: Sequence[Structure]) -> Frames:
    """Structures as frames without labels.

    Raises:
        DataError: no structures, or arrays of other shapes than said.
    """
    if not structures:
        raise DataError("there are no structures: give at least one")
    for k, (numbers, positions) in enumerate(structures):
        if np.shape(positions) != (np.size(numbers), 3) or np.ndim(numbers) != 1:
            raise DataError(
                f"structure {k} has numbers {np.shape(numbers)}, positions {np.shape(positions)}: give [n] and [n, 3]"
            )
    positions = np.concatenate([np.asarray(positions, np.float64) for _, positions in structures])
    elements = [numbers for numbers, _ in structures]
    return unlabelled(np.concatenate(elements), positions, [len(item) for item in elements])
