"""Which molecule is this geometry? Read from its perceived bonds, never from a file name.

Bonds are found by RDKit's ``rdDetermineBonds`` (xyz2mol; Kim and Kim 2015, Bull. Korean Chem. Soc. 36, 1769)
in a worker process that is killed when it takes too long (:mod:`.perception`).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from compbench_jax.errors import DataError, optional_import
from compbench_jax.molecules import perception
from compbench_jax.molecules.graph import explicit_rdmol, graph_from_rdmol
from compbench_jax.molecules.molecule import MolecularGraph, Molecule
from compbench_jax.molecules.registry import registry_by_inchikey

TIMEOUT = 20.0
"""Seconds one geometry may take; registry molecules need about 0.01 s."""

_STARTUP = 120.0
"""Seconds the worker may take to load RDKit, on a busy machine."""


@dataclass(frozen=True, eq=False)
class Identified:
    """A geometry's molecule.

    Attributes:
        molecule: the registry's record where the InChIKey is in the extended registry; else one made from the
            perceived bonds, named by its SMILES, without family, n and ends.
        graph: its graph in the atom order of the geometry.
        order: int64 ``[n_atoms]``, for each atom in the library's order (``molecular_graph(molecule)``) its index
            in the geometry, so that ``positions[order]`` is in the library's order; one of several where
            atoms are equivalent. None for molecules outside the registry.
    """

    molecule: Molecule
    graph: MolecularGraph
    order: np.ndarray | None


def identify(numbers: np.ndarray, positions: np.ndarray, charge: int = 0, timeout: float = TIMEOUT) -> Identified:
    """Return the molecule of one geometry.

    Args:
        numbers: atomic numbers, integers ``[n_atoms]``, hydrogens included.
        positions: ``[n_atoms, 3]`` in Å.
        charge: total charge in e.
        timeout: seconds after which the search for bonds is given up.

    Raises:
        DataError: the arrays do not fit together, the atoms are not one closed-shell molecule of that charge,
            a proton of a registry molecule moved, or the search for its bonds took too long.
        CompBenchError: RDKit is not installed.
    """
    (result,) = identify_many([(numbers, positions)], charge, timeout)
    if isinstance(result, DataError):
        raise result
    return result


def identify_many(
    geometries: Iterable[tuple[np.ndarray, np.ndarray]], charge: int = 0, timeout: float = TIMEOUT
) -> list[Identified | DataError]:
    """Identify several geometries with one worker process, for its start costs far more than a geometry.

    Arguments are those of :func:`identify`, the timeout for each geometry apart.

    Returns:
        for each geometry its molecule or, so that one bad geometry does not hide the others, the error.

    Raises:
        CompBenchError: RDKit is not installed.
    """
    results: list[Identified | DataError] = []
    with Identifier(charge, timeout) as identifier:
        for numbers, positions in geometries:
            try:
                results.append(identifier.identify(numbers, positions))
            except DataError as error:
                results.append(error)
    return results


class Identifier:
    """A context in which geometries are identified one after another by one worker process.

    Arguments are those of :func:`identify`.

    Raises:
        CompBenchError: RDKit is not installed.
    """

    def __init__(self, charge: int = 0, timeout: float = TIMEOUT):
        optional_import("rdkit.Chem.rdDetermineBonds", "generate", "identifying a molecule from its geometry")
        self._charge = charge
        self._worker = _Worker(timeout)

    def __enter__(self) -> "Identifier":
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.__exit__()

    def identify(self, numbers: np.ndarray, positions: np.ndarray) -> Identified:
        """Return the molecule of one geometry; arguments and errors are those of :func:`identify`."""
        return _identify_one(self._worker, np.asarray(numbers), np.asarray(positions), self._charge)


def _identify_one(worker: "_Worker", numbers: np.ndarray, positions: np.ndarray, charge: int) -> Identified:
    n_atoms = len(numbers) if numbers.ndim == 1 else 0
    if n_atoms == 0 or positions.shape != (n_atoms, 3):
        raise DataError(
            "a geometry needs atomic numbers [n_atoms] and positions [n_atoms, 3], "
            f"not {list(numbers.shape)} and {list(positions.shape)}"
        )
    if not np.isfinite(positions).all():
        raise DataError("a position is not a finite number: remove this frame")
    if not np.issubdtype(numbers.dtype, np.integer) or numbers.min() < 1 or numbers.max() > 118:
        raise DataError(f"atomic numbers must be integers from 1 to 118, not {numbers.tolist()}")
    answer = worker.ask(
        {"numbers": numbers.tolist(), "positions": positions.tolist(), "charge": charge}, _hill(numbers)
    )
    chem = optional_import("rdkit.Chem", "generate", "identifying a molecule from its geometry")
    base = optional_import("rdkit.rdBase", "generate", "identifying a molecule from its geometry")
    with base.BlockLogs():  # the remarks of RDKit and InChI on odd molecules are not for our user
        mol = _build(numbers, positions, answer)
        smiles = chem.MolToSmiles(chem.RemoveHs(mol))
        inchikey = chem.MolToInchiKey(mol)
    known = registry_by_inchikey().get(inchikey)
    if known is None:
        molecule = Molecule(smiles, smiles, inchikey, _hill(numbers))
        return Identified(molecule, graph_from_rdmol(mol, molecule), None)
    # InChI treats mobile protons alike, so an amino acid's zwitterion has the key of the neutral molecule.
    order = mol.GetSubstructMatch(explicit_rdmol(known)) if smiles == known.smiles else ()
    if len(order) != n_atoms:
        raise DataError(
            f"the geometry has the InChIKey of {known.name} but the bonds of {smiles}: "
            "a proton moved, remove this frame"
        )
    return Identified(known, graph_from_rdmol(mol, known), np.array(order, np.int64))


def _build(numbers: np.ndarray, positions: np.ndarray, answer: dict) -> Any:
    """Return the sanitised RDKit molecule, all hydrogens explicit, from the worker's answer."""
    chem = optional_import("rdkit.Chem", "generate", "identifying a molecule from its geometry")
    mol = chem.RWMol()
    for number, formal_charge in zip(numbers.tolist(), answer["charges"], strict=True):
        atom = chem.Atom(number)
        atom.SetNoImplicit(True)
        atom.SetFormalCharge(formal_charge)
        mol.AddAtom(atom)
    for i, j, multiplicity in answer["bonds"]:
        mol.AddBond(i, j, chem.BondType.values[multiplicity])
    chem.SanitizeMol(mol)
    geometry = chem.Conformer(len(numbers))
    geometry.SetPositions(np.array(positions, np.float64))
    mol.AddConformer(geometry)
    chem.AssignStereochemistryFrom3D(mol)
    return mol


def _hill(numbers: np.ndarray) -> str:
    """Return the Hill formula: C, H, then the other symbols by alphabet (all by alphabet without carbon)."""
    chem = optional_import("rdkit.Chem", "generate", "identifying a molecule from its geometry")
    table = chem.GetPeriodicTable()
    symbols = [table.GetElementSymbol(number) for number in numbers.tolist()]
    first = ("C", "H") if "C" in symbols else ()
    ordered = [*(s for s in first if s in symbols), *sorted(set(symbols) - set(first))]
    return "".join(s + (str(symbols.count(s)) if symbols.count(s) > 1 else "") for s in ordered)


class _Worker:
    """The perception process: started when first needed, and again after it was killed."""

    def __init__(self, timeout: float):
        self._timeout = timeout
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "_Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def ask(self, request: dict, formula: str) -> dict:
        """Return the worker's answer about a geometry of this formula; DataError if it found no molecule."""
        if self._process is None:
            self._start()
        answer = self._exchange(json.dumps(request), self._timeout)
        if answer is None:
            self._stop()
            raise DataError(
                f"finding the bonds of a geometry {formula} took over {self._timeout:g} s or crashed: "
                "the geometry is too large or too distorted to identify"
            )
        found = json.loads(answer)
        if "error" in found:
            raise DataError(f"a geometry {formula} is not a whole molecule: {found['error']}")
        return found

    def _start(self) -> None:
        # By path and with -P: the worker needs neither this package on its path nor this folder's modules.
        self._process = subprocess.Popen(
            [sys.executable, "-P", perception.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self._exchange(None, _STARTUP) != perception.READY:
            self._stop()
            raise DataError(f"the bond perception worker did not start: run `python {perception.__file__}`")

    def _exchange(self, line: str | None, timeout: float) -> str | None:
        """Send a line, if any, and return the answer; None if the worker died or had to be killed."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        killer = threading.Timer(timeout, process.kill)
        killer.start()
        try:
            if line is not None:
                process.stdin.write(line + "\n")
                process.stdin.flush()
            return process.stdout.readline().strip() or None
        except OSError:  # a broken pipe: it is dead already
            return None
        finally:
            killer.cancel()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
