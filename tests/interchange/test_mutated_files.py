"""Files and stores with random bytes changed, cut out or put in: read, or refused in one line; never a traceback."""

import random
import shutil

import numpy as np
import pytest
from foreign_files import frames_of, write_ase, write_npz, write_spice

from compbench_jax.errors import CompBenchError
from compbench_jax.interchange.export import export_extxyz
from compbench_jax.interchange.hdf5 import read_hdf5
from compbench_jax.interchange.labels import ANY_KEYS
from compbench_jax.interchange.sources import READERS
from compbench_jax.store.store import open_store

COUNTS = [40, pytest.param(1000, marks=pytest.mark.slow)]


def mutated(content, rng):
    """Up to five changes of one kind."""
    result, kind = bytearray(content), rng.randrange(4)
    for _ in range(rng.randrange(1, 6)):
        i = rng.randrange(len(result))
        if kind == 0:
            result[i] ^= 1 << rng.randrange(8)
        elif kind == 1 and len(result) > 100:
            del result[i : i + rng.randrange(1, 40)]
        elif kind == 2:
            result[i:i] = rng.randbytes(rng.randrange(1, 9))
        else:
            result[i : i + 4] = rng.choice([b"\xff\xff\xff\xff", b"-1  ", b"nan ", b"1e99"])
    return bytes(result)


def refused(function):
    """Whether it is refused, in one line."""
    try:
        function()
    except CompBenchError as error:
        message = str(error)
    else:
        return False
    assert "\n" not in message
    return True


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("suffix", sorted(set(READERS) - {".hdf5"}))
def test_files(part, tmp_path, suffix, count):
    frames = frames_of(part, 0, "primary").take(slice(0, 3))
    path = tmp_path / f"x{suffix}"
    if READERS[suffix][0] is read_hdf5:
        write_spice(path, {"x": frames})
    elif suffix == ".npz":
        write_npz(path, frames, e_unit="eV", r_unit="Ang", charge=0)
    elif suffix == ".extxyz":
        export_extxyz(part, path)
    else:
        write_ase(path, frames)
    if suffix in (".h5", ".aselmdb"):  # each file is read by a process of its own
        count //= 5
    content, rng = path.read_bytes(), random.Random(0)
    outcomes = []
    for _ in range(count):
        path.write_bytes(mutated(content, rng))
        outcomes.append(refused(lambda: list(READERS[suffix][0](path, ANY_KEYS))))
    assert any(outcomes)


@pytest.mark.parametrize("count", COUNTS)
def test_stores(part_folder, tmp_path, count):
    folder = shutil.copytree(part_folder, tmp_path / "store")
    names, rng = sorted(p.name for p in folder.iterdir()), random.Random(0)
    for _ in range(count):
        name = rng.choice([*names, *["manifest.json"] * len(names)])
        (folder / name).write_bytes(mutated((part_folder / name).read_bytes(), rng))
        if refused(lambda: open_store(folder, checksums=True)):
            shutil.copy(part_folder / name, folder / name)
            continue
        same = (folder / name).read_bytes() == (part_folder / name).read_bytes()
        assert same or name == "manifest.json"
        store, before = open_store(folder), open_store(part_folder)
        for key in ("energy", "positions", "forces", "molecule", "set", "offsets"):
            np.testing.assert_array_equal(getattr(store, key), getattr(before, key))
        shutil.copy(part_folder / name, folder / name)
