"""A ``where.json`` as evaluate.py writes it, with sums that are easy to add up."""

import numpy as np

from compbench_jax.metrics.sums import ATOM_COLUMNS


def row(atoms, error):
    """Sums of so many atoms, all with this error (eV/Å) on every component."""
    values = {"atoms": atoms, "abs_force": 3 * atoms * error, "squared_force": 3 * atoms * error**2}
    return [float(values.get(name, 1.0)) for name in ATOM_COLUMNS]


def make_where(results, scale=1.0):
    """Breakdown of the molecules of these results: 8 H and 4 C each; OOD carbons are novel and 3 times worse."""
    sums = {}
    for part in ("id", "ood"):
        keys = list(results["by_molecule"][part])
        errors = {key: scale * (0.01 + 0.001 * index) for index, key in enumerate(keys)}
        worse = 3 if part == "ood" else 1
        hydrogens = {key: row(8, error) for key, error in errors.items()}
        carbons = {key: row(4, worse * error) for key, error in errors.items()}
        total = {key: np.add(hydrogens[key], carbons[key]).tolist() for key in keys}
        sums[part] = {"element": {"H": hydrogens, "C": carbons}, "force": {"0–0.25": total}}
        if part == "ood":
            sums[part] |= {"distance": {"0": carbons, "1": hydrogens}, "contact": {"known": total}}
    return {
        "schema_version": 1,
        **{key: results[key] for key in ("task", "model", "seed", "data", "bootstrap")},
        "columns": ATOM_COLUMNS,
        "units": "eV/angstrom",
        "molecules": {
            part: {
                key: {**{k: item[k] for k in ("name", "family", "n")}, "ends": item["ends"], "ch2": item["n"] - 2}
                for key, item in results["by_molecule"][part].items()
            }
            for part in ("id", "ood")
        },
        "sums": sums,
    }
