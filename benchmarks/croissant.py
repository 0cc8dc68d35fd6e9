"""data/croissant.json: the data sets of this repository for programs, as Croissant metadata (MLCommons, version 1.0).

python benchmarks/croissant.py          # writes data/croissant.json from the manifests
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from compbench_jax._version import __version__

DATA = Path(__file__).parent.parent / "data"
SETS = ("mini", "standard", "pairs", "acids", "pbe_mini")
PAPER = "https://arxiv.org/abs/2605.08988"
CONTENT = {
    "positions": "positions of the atoms of all frames, in the order of their molecule",
    "forces": "forces on these atoms",
    "energy": "total energy of each frame",
    "molecule": "index of each frame's molecule in the manifest",
    "set": "0: primary (training, OOD test), 1: secondary (validation, ID test)",
    "segment": "trajectory of each frame",
    "time": "time in the trajectory",
    "temperature": "kinetic temperature of the vibrations",
    "numbers": "atomic numbers of the atoms of all molecules",
    "bonds": "pairs of atoms of all molecules",
    "environments": "Morgan identifiers of the atom environments of radius 0 to 4",
}
TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate separator source "
    "subField transform"
)
FIELDS = {
    "file": "path of the file",
    "dtype": "type of its numbers",
    "shape": "sizes of its axes",
    "unit": "unit of its numbers",
    "content": "what they mean",
}
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
} | {term: f"cr:{term}" for term in TERMS.split()}
"""That of the specification."""


def croissant() -> dict[str, Any]:
    """The metadata: a file for every array, with its sum, and a record for what it holds."""
    files, records, words = [], [], []
    for name in SETS:
        folder = DATA / name
        manifest = json.loads((folder / "manifest.json").read_text())
        level = manifest["level"]
        method = "/".join(word for word in (level["method"], level["basis"]) if word)
        frames = manifest["files"]["energy.npy"]["shape"][0]
        words.append(f"{name}: {frames:,} frames of {len(manifest['molecules'])} molecules at {method}")
        files.append(_file(name, folder / "manifest.json", _sum(folder / "manifest.json")))
        for file, stored in sorted(manifest["files"].items()):
            array = file.removesuffix(".npy")
            files.append(_file(name, folder / file, stored["sha256"]))
            records.append(
                {"arrays/file": f"{name}/{file}", "arrays/dtype": stored["dtype"],
                 "arrays/shape": "×".join(map(str, stored["shape"])), "arrays/unit": manifest["units"].get(array, "1"),
                 "arrays/content": CONTENT[array]}
            )  # fmt: skip
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "compbench_jax",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "description": "Energies and forces of small linear organic molecules in vacuum at 300 K, for benchmarks of "
        f"compositional generalisation of interatomic potentials. {'; '.join(words)}. docs/data.md is the data card.",
        "license": "https://spdx.org/licenses/MIT.html",
        "url": PAPER,
        "citeAs": f"The compbench_jax authors, compbench_jax {__version__}, 2026, after {PAPER}",
        "creator": {"@type": "sc:Organization", "name": "The compbench_jax authors"},
        "datePublished": "2026",
        "version": __version__,
        "distribution": files,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "arrays",
                "name": "arrays",
                "description": "What the files hold.",
                "field": [_field(name, text) for name, text in FIELDS.items()],
                "data": records,
            }
        ],
    }


def _field(name: str, text: str) -> dict[str, str]:
    return {"@type": "cr:Field", "@id": f"arrays/{name}", "name": name, "description": text, "dataType": "sc:Text"}


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _file(name: str, path: Path, digest: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"{name}-{path.stem}",
        "name": f"{name}-{path.stem}",
        "description": f"{name}: {CONTENT.get(path.stem, 'molecules, level of theory, settings, seeds, units, sums')}",
        "contentUrl": f"{name}/{path.name}",
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/json" if path.suffix == ".json" else "application/x-npy",
        "sha256": digest,
    }


def as_text() -> str:
    """As it is stored."""
    return json.dumps(croissant(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (DATA / "croissant.json").write_text(as_text())
    print(DATA / "croissant.json")
