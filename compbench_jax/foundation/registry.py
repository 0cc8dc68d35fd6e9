"""Foundation potentials by name: what to install, how to call it, and what a row in a table must say of it.

``compbench foundation install`` makes an environment of their ``packages``. Some carry their weights there; those with
``fetches`` download them when first used, which needs internet access.
"""

from dataclasses import dataclass, field
from typing import Any

from compbench_jax.errors import CompBenchError, suggestion


@dataclass(frozen=True)
class Foundation:
    """A pre-trained potential.

    Attributes:
        name: on the command line.
        summary: what it is, in a line.
        calculator: ``module:callable``, or the name of a file in this folder with ``:callable``.
        keywords: of the callable.
        level: level of theory of its training labels.
        elements: symbols it knows.
        trained_on: its training data in words.
        units: of what the calculator returns.
        charge: what it makes of charge and spin.
        licence: of code and weights.
        citation: where it was published.
        packages: pinned requirements after torch.
        distributions: whose versions are recorded.
        fetches: what is downloaded when it is first used, and what that takes; empty: nothing.
        energies: what its energies mean.
        info: what goes to ``atoms.info``.
        heavy_atoms: molecules of up to so many may be in its training data; 0: not known.
        checkpoint: keyword that names a file of weights, where there are none of its own.
    """

    name: str
    summary: str
    calculator: str
    level: str
    elements: str
    trained_on: str
    licence: str
    citation: str
    keywords: dict[str, Any] = field(default_factory=dict)
    units: str = "eV, eV/angstrom"
    charge: str = "neutral singlets only"
    packages: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    fetches: str = ""
    energies: str = "total energies"
    info: dict[str, Any] = field(default_factory=lambda: {"charge": 0, "spin": 1})
    heavy_atoms: int = 0
    checkpoint: str = ""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements it knows, ascending."""
        from ase.data import atomic_numbers

        if self.elements.startswith("Z = "):
            ranges = [part.split("-") for part in self.elements.removeprefix("Z = ").split(", ")]
            return tuple(z for first, last in ranges for z in range(int(first), int(last) + 1))
        return tuple(sorted(atomic_numbers[symbol] for symbol in self.elements.split()))


FOUNDATIONS: dict[str, Foundation] = {
    item.name: item
    for item in (
        Foundation(
            "so3lr",
            "SO3LR: So3krates with long-range electrostatics and dispersion, for organic molecules",
            "so3krates_torch.calculator.so3:SO3LRCalculator",
            # The default long-range cutoff of 12 Å shifts gas-phase forces by tenths of an eV/Å, through the charges;
            # float64 because an offset of −164 eV per atom would cost float32 its meV.
            keywords={"r_max_lr": 1000.0, "dispersion_energy_cutoff_lr_damping": 2.0, "default_dtype": "float64"},
            level="PBE0+MBD",
            elements="H C N O F P S Cl",
            trained_on="about 4 million neutral and charged fragments and complexes, QM7-X among them: molecules of up "
            "to seven heavy atoms may have been seen",
            charge="total charge read from atoms.info['charge']",
            licence="MIT",
            citation="Kabylda et al., J. Am. Chem. Soc. 2025; Frank et al., Nat. Commun. 15, 6539 (2024)",
            packages=("so3krates-torch==0.2.1",),
            distributions=("so3krates-torch", "torch"),
            energies="trained on forces, dipoles and Hirshfeld ratios, not on energies: only relative energies mean "
            "anything",
            heavy_atoms=7,
        ),
        Foundation(
            "7net-0",
            "SevenNet-0: a universal potential for inorganic materials, far from its training set here",
            "sevenn.calculator:SevenNetCalculator",
            keywords={"model": "7net-0", "device": "cpu"},
            level="PBE (with U for some oxides), plane waves, no dispersion",
            elements="Z = 1-83, 89-94",
            trained_on="MPtrj: relaxations of inorganic crystals in the Materials Project",
            charge="ignored",
            licence="MIT",
            citation="Park, Kim, Hwang and Han, J. Chem. Theory Comput. 20, 4857 (2024)",
            packages=("sevenn==0.13.0",),
            distributions=("sevenn", "torch"),
        ),
        Foundation(
            "ani-1x",
            "ANI-1x: an ensemble of eight invariant networks for organic molecules",
            "ani.py:ANI1x",
            level="wB97X/6-31G(d)",
            elements="H C N O",
            trained_on="about 5 million conformations of molecules of up to eight heavy atoms, by active learning",
            licence="MIT",
            citation="Smith et al., J. Chem. Phys. 148, 241733 (2018)",
            packages=("torchani==2.2.4", "ase==3.29.0", "setuptools<81"),
            distributions=("torchani", "torch"),
            heavy_atoms=8,
        ),
        Foundation(
            "mace",
            "MACE of a checkpoint file: MACE-OFF23, MACE-MP-0, your own; `convert mace FILE.model` makes a run of it",
            "mace.calculators:MACECalculator",
            checkpoint="model_paths",
            level="that of the checkpoint",
            elements="Z = 1-118",
            trained_on="the data of the checkpoint: molecules tested here may be among them",
            licence="code MIT, weights as their authors say",
            citation="Batatia et al., NeurIPS 2022, arXiv 2206.07697",
            packages=("mace-torch==0.3.16",),
            distributions=("mace-torch", "torch"),
        ),
        Foundation(
            "mace-off",
            "MACE-OFF23: MACE for organic molecules (medium)",
            "mace.calculators:mace_off",
            keywords={"model": "medium", "device": "cpu", "default_dtype": "float64"},
            level="wB97M-D3(BJ)/def2-TZVPPD",
            elements="H C N O F P S Cl Br I",
            trained_on="SPICE and parts of QMugs and solvated clusters: molecules tested here may be among them",
            licence="code MIT, weights Academic Software License",
            citation="Kovács et al., J. Am. Chem. Soc. 147, 17598 (2025)",
            distributions=("mace-torch", "torch"),
            packages=("mace-torch==0.3.16",),
            fetches="the weights, from GitHub",
        ),
        Foundation(
            "aimnet2",
            "AIMNet2: message passing with charge equilibration, for neutral and charged molecules",
            "aimnet.calculators:AIMNet2ASE",
            keywords={"base_calc": "aimnet2"},
            level="wB97M-D3/def2-TZVPP",
            elements="H B C N O F Si P S Cl As Se Br I",
            trained_on="about 20 million conformations of molecules",
            charge="total charge is a keyword of the calculator",
            licence="MIT",
            citation="Anstine, Zubatyuk and Isayev, Chem. Sci. 16, 10228 (2025)",
            distributions=("aimnet", "torch"),
            packages=("aimnet[ase]==0.2.6",),
            fetches="the weights, from Google Cloud Storage",
        ),
        Foundation(
            "orb-v3-omol",
            "Orb v3, conservative, trained on OMol25",
            "orb.py:make",
            level="wB97M-V/def2-TZVPD",
            elements="Z = 1-83",
            trained_on="OMol25: about 100 million molecular calculations; molecules tested here may be among them",
            charge="atoms.info['charge'] and atoms.info['spin'], the multiplicity",
            licence="Apache-2.0",
            citation="Rhodes et al., arXiv 2504.06231 (2025)",
            distributions=("orb-models", "torch"),
            packages=("orb-models==0.5.5",),
            fetches="the weights, from Amazon S3",
        ),
        Foundation(
            "uma",
            "UMA: a mixture of linear experts for molecules, materials and catalysts (small, molecules)",
            "uma.py:make",
            level="wB97M-V/def2-TZVPD",
            elements="Z = 1-83",
            trained_on="OMol25 and others, about 500 million calculations; molecules tested here may be among them",
            charge="atoms.info['charge'] and atoms.info['spin'], the multiplicity",
            licence="code MIT, weights FAIR Chemistry License (gated download)",
            citation="Wood et al., arXiv 2506.23971 (2025)",
            distributions=("fairchem-core", "torch"),
            packages=("fairchem-core==2.24.0",),
            fetches="the weights, from the Hugging Face hub: accept their licence there, then `hf auth login`",
        ),
    )
}


def get_foundation(name: str) -> Foundation:
    """The foundation potential of this name.

    Raises:
        CompBenchError: there is none.
    """
    if name not in FOUNDATIONS:
        raise CompBenchError(f"no such foundation potential {name!r}: {suggestion(name, FOUNDATIONS)}")
    return FOUNDATIONS[name]
