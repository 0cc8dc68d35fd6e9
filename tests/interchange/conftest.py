"""Real frames: a few molecules of the committed mini set, as a store of their own."""

import foreign_files
import pytest

from compbench_jax.store.store import open_store


@pytest.fixture(scope="session")
def part_folder(tmp_path_factory):
    return foreign_files.write_part(tmp_path_factory.mktemp("part") / "store")


@pytest.fixture(scope="session")
def part(part_folder):
    return open_store(part_folder)


@pytest.fixture
def ethanol(part):
    """Positions, forces and energies of ethanol's frames, and its atomic numbers."""
    return foreign_files.frames_of(part, 1, "primary")
