import stat

import numpy as np
import pytest

from compbench_jax.errors import CompBenchError
from compbench_jax.labelling.levels import LEVELS, get_level

NUMBERS, POSITIONS = np.array([8, 1, 1]), np.array([[0, 0, 0.1193], [0, 0.7632, -0.4770], [0, -0.7632, -0.4770]])


def test_input_names_the_level_and_holds_the_geometry(tmp_path):
    text = LEVELS["orca-pbe-d3bj"].write_input(NUMBERS, POSITIONS, tmp_path).read_text()
    first = text.splitlines()[0].split()
    assert first[0].lstrip("!") in ("", "PBE")
    assert {"D3BJ", "def2-TZVP", "def2/J", "RI", "TightSCF", "EnGrad"} <= set(text.split())
    start = text.index("*xyz 0 1")  # neutral singlet
    rows = [line.split() for line in text[start:].splitlines()[1:4]]
    assert [row[0] for row in rows] == ["O", "H", "H"]
    np.testing.assert_allclose(np.array([row[1:] for row in rows], float), POSITIONS)


def test_without_the_program_there_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CompBenchError, match="use --level pbe-d3bj"):
        get_level("orca-pbe-d3bj").describe()
    # A program of that name that is not the quantum chemistry package (a screen reader is called orca too).
    other = tmp_path / "orca"
    other.write_text("#!/bin/sh\necho 46.1\n")
    other.chmod(other.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(CompBenchError, match="quantum chemistry package ORCA is not on PATH"):
        get_level("orca-pbe-d3bj").label(NUMBERS, POSITIONS)


def test_energy_and_gradient_are_read_in_ase_units(monkeypatch, tmp_path):
    """A stand-in that prints what ORCA prints: units and signs of the reader, not chemistry."""
    program = tmp_path / "orca"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --version ]; then echo "ORCA, a quantum chemistry package. Program Version 6.0.0"; exit; fi\n'
        "cat <<'EOF'\nNumber of atoms                             ...      3\n"
        "CARTESIAN COORDINATES (ANGSTROEM)\n---\n  O 0 0 0.1193\n  H 0 0.7632 -0.4770\n  H 0 -0.7632 -0.4770\n\n"
        "FINAL SINGLE POINT ENERGY       -76.400000000\n"
        "****ORCA TERMINATED NORMALLY****\nEOF\n"
        "cat > orca.engrad <<'EOF'\n#\n# Number of atoms\n#\n 3\n#\n# The current total energy in Eh\n#\n"
        "    -76.400000000\n#\n# The current gradient in Eh/bohr\n#\n"
        "0.1\n0.0\n0.0\n-0.1\n0.0\n0.0\n0.0\n0.0\n0.0\n#\n# The atomic numbers and current coordinates in Bohr\n#\n"
        "8 0 0 0\n1 0 0 0\n1 0 0 0\nEOF\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    level = get_level("orca-pbe-d3bj")
    assert level.describe()["version"] == "6.0.0"
    energy, forces = level.label(NUMBERS, POSITIONS)
    assert energy == pytest.approx(-76.4 * 27.211386, abs=1e-3)
    assert forces[0, 0] == pytest.approx(-0.1 * 27.211386 / 0.529177, abs=1e-4)
