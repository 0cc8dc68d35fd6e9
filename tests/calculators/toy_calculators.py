"""ASE calculators for tests, loaded by path in worker processes: right, and wrong in every way. No library imports."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

CUTOFF, SCALE, STRENGTH = 2.5, 2.0, 0.3
REFERENCES = {1: (0, -13.0), 6: (1, -1030.0), 8: (2, -2040.0)}


class Pairs(Calculator):
    """The pair potential of ``toy_store``, in NumPy."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def __init__(self, log="", prefix=""):
        super().__init__()
        self.log = log
        assert not prefix or sys.prefix == prefix, sys.prefix
        assert not {"jax", "compbench_jax", "results", "predict"} & set(sys.modules)
        assert os.environ["OMP_NUM_THREADS"] == "1"

    def misbehave(self, atoms):
        """Nothing here."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if self.log:
            with open(self.log, "a") as handle:
                handle.write("computed\n")
        self.misbehave(atoms)
        vectors = atoms.positions[:, None] - atoms.positions[None]
        square = (vectors**2).sum(-1)
        kinds = 1 + np.array([REFERENCES[z][0] for z in atoms.numbers])
        weight = SCALE * STRENGTH * np.outer(kinds, kinds) * np.exp(-square)
        weight[(square >= CUTOFF**2) | (square == 0)] = 0
        energy = 0.5 * weight.sum() + sum(REFERENCES[z][1] for z in atoms.numbers)
        self.results = {"energy": energy, "forces": 2 * (weight[:, :, None] * vectors).sum(1)}


class Shouting(Pairs):
    """Prints, from Python and below it, to what it takes for standard output."""

    def misbehave(self, atoms):
        print("SCF converged\nCBW1 and so on")
        os.write(1, b"CBW1\x10\x00\x00\x00from below Python")


class _OnLarge(Pairs):
    """Misbehaves on frames of so many atoms, once or always."""

    def __init__(self, n_atoms=6, once="", **keywords):
        super().__init__(**keywords)
        self.n_atoms, self.once = n_atoms, once

    def misbehave(self, atoms):
        if len(atoms) != self.n_atoms:
            return
        if self.once:
            try:
                Path(self.once).touch(exist_ok=False)
            except FileExistsError:
                return
        self.do(atoms)


class Killed(_OnLarge):
    def do(self, atoms):
        os.kill(os.getpid(), signal.SIGKILL)


class Hanging(_OnLarge):
    def do(self, atoms):
        time.sleep(1000)


class Vandal(_OnLarge):
    """Writes into every open file, the protocol's among them."""

    def do(self, atoms):
        for descriptor in range(3, 30):
            try:
                os.write(descriptor, b"Segmentation fault? No, just garbage on the pipe.")
            except OSError:
                continue


class NotANumber(_OnLarge):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(atoms) == self.n_atoms:
            self.results["forces"][0, 0] = np.nan

    def do(self, atoms):
        pass


class WrongShape(Pairs):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = self.results["forces"][:-1]


class NoOxygen(Pairs):
    def misbehave(self, atoms):
        if 8 in atoms.numbers:
            raise NotImplementedError("no parameters for oxygen")


def dies_at_start():
    os._exit(3)


def first_fails_others_hang(flag, started):
    """The first fails as soon as another one says that it is starting, and never ends."""
    try:
        Path(flag).touch(exist_ok=False)
    except FileExistsError:
        Path(started + ".part").write_text(str(os.getpid()))
        os.replace(started + ".part", started)
        time.sleep(100)
    while not Path(started).exists():
        time.sleep(0.05)
    raise RuntimeError("no weights")
