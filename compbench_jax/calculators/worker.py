"""Worker program that drives one ASE calculator, in a process and (if asked) a Python environment of its own.

It is run by path and needs NumPy, ASE and the calculator, nothing of this library; the parent imports this file
for the protocol. The protocol, version 1, is spoken over the worker's standard input and output. A message is

    4 bytes ``CBW1``, uint32 little-endian length of the header, the header (a JSON object in UTF-8), the arrays

where ``header["arrays"]`` lists ``[name, shape]`` of each array, and the arrays follow in that order, row-major
little-endian float64 with nothing between them. Nothing is ever pickled. Kinds of message (``header["kind"]``):

- ``hello`` (parent, once): ``protocol``, ``calculator`` (``module:callable`` or ``FILE.py:callable``), ``keywords`` (of
  the callable), ``path`` (folders to import from), ``packages`` (distributions whose versions are wanted);
- ``ready`` (worker): ``protocol``, ``python``, ``versions``, ``files`` (paths of what the calculator was made from:
  source files, and what was read while it was made); or ``refused``: ``reason`` in one line, and it ends;
- ``frame`` (parent): ``id``, ``numbers`` (list of Z), ``info`` (goes to ``atoms.info``: ``charge``, ``spin`` = 2S + 1),
  array ``positions`` ``[n, 3]`` in Å; other arrays ``[n, …]`` go to ``atoms.arrays``;
- ``result`` (worker): ``id``, ``seconds``, arrays ``energy`` ``[1]`` in eV and ``forces`` ``[n, 3]`` in eV/Å; or
  ``failed``: ``id``, ``reason`` in one line. A frame that failed leaves the worker ready for the next.

The worker ends when its standard input does. What the calculator prints, in Python or below it, goes to standard error.
"""

import importlib
import importlib.util
import json
import math
import os
import platform
import site
import struct
import sys
import threading
import time
from typing import Any

PROTOCOL = 1
MAGIC = b"CBW1"
LONGEST_HEADER = 1 << 22
MOST_NUMBERS = 1 << 27
"""Bounds on a message, so that garbage on the pipe is not taken for a length and waited for."""


class ProtocolError(Exception):
    """What came over the pipe is no message of this protocol."""


def write_message(stream, header, arrays=()):
    """Write one message. ``arrays`` are pairs of a name and an array."""
    import numpy as np

    plain = [(name, np.ascontiguousarray(array, "<f8")) for name, array in arrays]
    text = json.dumps({**header, "arrays": [[name, list(array.shape)] for name, array in plain]}).encode()
    stream.write(b"".join([MAGIC, struct.pack("<I", len(text)), text, *(array.tobytes() for _, array in plain)]))
    stream.flush()


def read_message(stream):
    """Read one message: its header and its arrays by name; ``(None, {})`` where the stream ends between two.

    Raises:
        ProtocolError: the bytes are no message.
    """
    import numpy as np

    start = stream.read(8)
    if not start:
        return None, {}
    if len(start) < 8 or start[:4] != MAGIC:
        raise ProtocolError(f"expected a message, found {start[:8]!r}")
    (length,) = struct.unpack("<I", start[4:])
    if length > LONGEST_HEADER:
        raise ProtocolError(f"a header of {length} bytes")
    try:
        header = json.loads(_exactly(stream, length))
        shapes = [(str(name), tuple(int(n) for n in shape)) for name, shape in header["arrays"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError(f"a header that cannot be read ({type(error).__name__})") from error
    arrays = {}
    for name, shape in shapes:
        size = math.prod(shape)
        if min(shape, default=0) < 0 or size > MOST_NUMBERS:
            raise ProtocolError(f"an array of shape {shape}")
        arrays[name] = np.frombuffer(_exactly(stream, 8 * size), "<f8").reshape(shape)
    return header, arrays


def _exactly(stream, count):
    content = stream.read(count)
    if len(content) < count:
        raise ProtocolError("a message that breaks off")
    return content


def one_line(error):
    """An exception in one line."""
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def make_calculator(name, keywords) -> Any:
    """The calculator that ``module:callable`` or ``FILE.py:callable`` returns for these keywords."""
    place, _, attribute = name.rpartition(":")
    target: Any
    spec: Any
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("calculator_file", place)
        target = sys.modules["calculator_file"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(target)
    else:
        target = importlib.import_module(place)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target(**keywords)


def versions(packages, module=""):
    """Versions of these distributions, of NumPy, of ASE and of what holds the module, where they are installed."""
    from importlib import metadata

    found = {}
    holders = metadata.packages_distributions().get(module, ()) if sys.version_info >= (3, 10) else ()
    for package in ("numpy", "ase", *packages, *holders):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def note_reading():
    """From now on, note the files that Python code of this process opens for reading, in the list returned."""
    noted: list[str] = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            name, mode, flags = arguments
            writes = any(letter in mode for letter in "wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
            if not writes:
                noted.append(os.path.abspath(os.fsdecode(name)))

    sys.addaudithook(hook)
    return noted


def made_from(place, opened):
    """Files that determine a calculator: modules of its package, and other modules and files outside installations.

    Args:
        place (str): the module or file of the calculator.
        opened (set[str]): files read while it was made.
    """
    package = "calculator_file" if place.endswith(".py") else place.partition(".")[0]
    folders = ("/dev", "/proc", "/sys", sys.prefix, sys.base_prefix, site.getusersitepackages())
    installed = tuple(os.path.abspath(folder) + os.sep for folder in folders)
    files = {name for name in opened if not name.startswith(installed)}
    for name, module in list(sys.modules.items()):
        source = os.path.abspath(getattr(module, "__file__", None) or os.devnull)
        if name != "__main__" and (name.partition(".")[0] == package or not source.startswith(installed)):
            files.add(source)
    return sorted(name for name in files if os.path.isfile(name) and not name.endswith(".pyc"))


def compute(calculator, header, arrays):
    """Energy (eV) and forces (eV/Å ``[n, 3]``) of one frame.

    Raises:
        ValueError: the calculator returned something else than a finite energy and as many finite forces as atoms.
    """
    import numpy as np
    from ase import Atoms

    atoms = Atoms(header["numbers"], arrays["positions"].copy())
    atoms.info.update(header.get("info", {}))
    for name, array in arrays.items():
        if name != "positions":
            atoms.set_array(name, array.copy())
    atoms.calc = calculator
    # Forces first: calculators that compute both at once then do so, and are not asked twice.
    forces = np.asarray(atoms.get_forces(), np.float64)
    energy = np.asarray(atoms.get_potential_energy(), np.float64)
    if forces.shape != (len(atoms), 3) or energy.size != 1:
        raise ValueError(
            f"the calculator returned forces of shape {forces.shape} and {energy.size} energies for {len(atoms)} atoms"
        )
    if not (np.isfinite(forces).all() and np.isfinite(energy).all()):
        raise ValueError("the calculator returned an energy or forces that are not finite")
    return energy.reshape(1), forces


def serve(requests, answers):
    """Answer messages until the stream of requests ends."""
    header, _ = read_message(requests)
    if header is None:
        return
    try:
        if header.get("protocol") != PROTOCOL:
            raise ProtocolError(f"the parent speaks protocol {header.get('protocol')}, the worker {PROTOCOL}")
        sys.path[:0] = [str(folder) for folder in header["path"]]
        opened = note_reading()
        calculator = make_calculator(header["calculator"], header["keywords"])
        _one_thread()
        place = header["calculator"].rpartition(":")[0]
        ready = {
            "protocol": PROTOCOL,
            "python": platform.python_version(),
            "files": made_from(place, list(opened)),
            "versions": versions(header["packages"], place.partition(".")[0]),
        }
    except BaseException as error:  # SystemExit too: some packages leave on a missing file
        write_message(answers, {"kind": "refused", "reason": one_line(error)})
        raise
    write_message(answers, {"kind": "ready", **ready})
    while True:
        header, arrays = read_message(requests)
        if header is None:
            return
        began = time.perf_counter()
        try:
            energy, forces = compute(calculator, header, arrays)
        except Exception as error:
            write_message(answers, {"kind": "failed", "id": header["id"], "reason": one_line(error)})
            continue
        seconds = time.perf_counter() - began
        write_message(
            answers,
            {"kind": "result", "id": header["id"], "seconds": seconds},
            [("energy", energy), ("forces", forces)],
        )


def _one_thread():
    """Torch does not always take the hint of the environment."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def _end_with(parent):
    """End when the parent has, even in the middle of a frame."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def main():
    """Take the pipe away from everything else in this process, then serve."""
    # sys.path[0] is the folder of this file, whose modules are not for the calculator to find.
    sys.path.pop(0)
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(requests, answers)


if __name__ == "__main__":
    main()
