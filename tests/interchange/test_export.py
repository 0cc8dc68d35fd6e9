import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.interchange.export import export_extxyz, quoted
from compbench_jax.interchange.extended_xyz import parse_comment


def test_extxyz_holds_every_frame(part, tmp_path):
    from ase.io import read

    assert export_extxyz(part, tmp_path / "sub" / "all.xyz") == part.n_frames
    images = read(tmp_path / "sub" / "all.xyz", ":")
    assert len(images) == part.n_frames
    for k, atoms in enumerate(images):
        rows = slice(part.offsets[k], part.offsets[k + 1])
        np.testing.assert_array_equal(atoms.numbers, part.graphs[part.molecule[k]].numbers)
        np.testing.assert_array_equal(atoms.positions.astype(np.float32), part.positions[rows])
        np.testing.assert_array_equal(atoms.get_forces().astype(np.float32), part.forces[rows])
        assert atoms.get_potential_energy() == part.energy[k]
        assert atoms.info["set"] == ("primary", "secondary")[part.set[k]]
        assert atoms.info["inchikey"] == part.graphs[part.molecule[k]].molecule.inchikey
        assert atoms.info["smiles"] == part.graphs[part.molecule[k]].molecule.smiles
        assert atoms.info["molecule"] == part.graphs[part.molecule[k]].molecule.name
        assert atoms.info["segment"] == part.segment[k]
        assert np.float32(atoms.info["time"]) == part.time[k]
        assert not atoms.pbc.any()


def test_nothing_is_overwritten(part, tmp_path):
    (tmp_path / "all.xyz").write_text("mine")
    with pytest.raises(CompBenchError, match="exists"):
        export_extxyz(part, tmp_path / "all.xyz")
    assert (tmp_path / "all.xyz").read_text() == "mine"


@pytest.mark.parametrize("text", ["plain", "two words", 'a "quote"', "O=C(O)C", "back\\slash", "N[C@@H]C", "", "a,b"])
def test_values_survive_the_comment_line(text):
    from ase.io.extxyz import key_val_str_to_dict

    line = f"first=1 key={quoted(text)} last=x"
    assert parse_comment(line) == {"first": "1", "key": text, "last": "x"}
    if text not in ("", "a,b"):  # what ASE makes of these is its own affair
        assert key_val_str_to_dict(line)["key"] == text
