import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.store.export import export_extxyz
from compbench_jax.store.store import open_store


def test_extxyz_holds_every_frame(toy_store, tmp_path):
    from ase.io import read

    store = open_store(toy_store)
    assert export_extxyz(store, tmp_path / "sub" / "all.xyz") == store.n_frames
    images = read(tmp_path / "sub" / "all.xyz", ":")
    assert len(images) == store.n_frames
    for k, atoms in enumerate(images):
        rows = slice(store.offsets[k], store.offsets[k + 1])
        np.testing.assert_array_equal(atoms.numbers, store.graphs[store.molecule[k]].numbers)
        np.testing.assert_allclose(atoms.positions, store.positions[rows], atol=1e-7)
        np.testing.assert_allclose(atoms.get_forces(), store.forces[rows], atol=1e-7)
        assert atoms.get_potential_energy() == pytest.approx(store.energy[k], abs=1e-9)
        assert atoms.info["set"] == ("primary", "secondary")[store.set[k]]
        assert atoms.info["inchikey"] == store.graphs[store.molecule[k]].molecule.inchikey
        assert atoms.info["segment"] == store.segment[k]


def test_nothing_is_overwritten(toy_store, tmp_path):
    (tmp_path / "all.xyz").write_text("mine")
    with pytest.raises(CompBenchError, match="exists"):
        export_extxyz(open_store(toy_store), tmp_path / "all.xyz")
    assert (tmp_path / "all.xyz").read_text() == "mine"
