"""How far the atom environments of the OOD molecules are from those of the training molecules.

Divergence of two distributions P (train) and Q (OOD) over environments, by the Chernoff coefficient, as in
Keysers et al. 2020 (arXiv 1912.09713)::

    C_α(P ‖ Q) = Σ_k p_k^α q_k^(1 − α)        D_A = 1 − C_0.5        D_C = 1 − C_0.1

D_A compares the two distributions evenly. D_C, with its small α on train, asks whether an OOD environment occurs in
train and hardly how often. Both are 0 for equal distributions and 1 for disjoint ones. Keysers et al. take D_A over
the smallest units and D_C over their combinations; here both are given at every radius, and the radius plays that
part: 0 is an atom by itself, 4 is nearly all of a small molecule.

Each molecule has mass 1, shared equally by its atoms, so that large molecules do not drown small ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compbench_jax.molecules.molecule import MAX_RADIUS, MolecularGraph

ATOM_ALPHA = 0.5
COMPOUND_ALPHA = 0.1
ROUNDING = 1e-12
"""A standard deviation of D_C below this is rounding: the random splits are all alike."""


@dataclass(frozen=True)
class RadiusRow:
    """Divergences of the atom environments of one radius.

    Attributes:
        radius: in bonds.
        atom_divergence: D_A = 1 − C_0.5, in [0, 1].
        compound_divergence: D_C = 1 − C_0.1, in [0, 1].
        novel_mass: ν, the part of the OOD mass in environments that no training molecule has, in [0, 1].
        random_mean: mean of D_C over random molecule-disjoint splits of the same molecules and sizes.
        random_std: their standard deviation (with n − 1).
        z_score: (D_C − mean) / standard deviation.

    The last three are None where there are no random splits, the last where all of them are alike.
    """

    radius: int
    atom_divergence: float
    compound_divergence: float
    novel_mass: float
    random_mean: float | None = None
    random_std: float | None = None
    z_score: float | None = None


def environment_masses(graphs: Sequence[MolecularGraph], radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Environments of one radius and how each molecule's mass of 1 is distributed over them.

    Returns:
        identifiers of the environments, uint32 ``[n_environments]``, ascending;
        masses, float64 ``[n_molecules, n_environments]``, every row summing to 1.
    """
    columns = [graph.environments[:, radius] for graph in graphs]
    identifiers, index = np.unique(np.concatenate(columns), return_inverse=True)
    owner = np.repeat(np.arange(len(graphs)), [len(column) for column in columns])
    counts = np.zeros((len(graphs), len(identifiers)))
    np.add.at(counts, (owner, index), 1.0)
    return identifiers, counts / counts.sum(axis=1, keepdims=True)


def chernoff_coefficient(p: np.ndarray, q: np.ndarray, alpha: float) -> np.ndarray:
    """C_α(P ‖ Q) = Σ_k p_k^α q_k^(1 − α) along the last axis, for 0 < α < 1.

    Args:
        p: train, non-negative, normalised here, ``[..., n]``.
        q: OOD, likewise.
        alpha: weight of train; Keysers et al. 2020 use 0.5 for atoms and 0.1 for compounds.
    """
    p = p / p.sum(axis=-1, keepdims=True)
    q = q / q.sum(axis=-1, keepdims=True)
    return (p**alpha * q ** (1 - alpha)).sum(axis=-1)


def divergence(p: np.ndarray, q: np.ndarray, alpha: float) -> np.ndarray:
    """1 − C_α(P ‖ Q), kept in [0, 1] against rounding."""
    return np.clip(1 - chernoff_coefficient(p, q, alpha), 0, 1)


def novel_mass(p: np.ndarray, q: np.ndarray) -> float:
    """ν: the part of the mass of Q (OOD) where P (train) has none."""
    return float(q[p == 0].sum() / q.sum())


def radius_profile(
    train: Sequence[MolecularGraph], ood: Sequence[MolecularGraph], draws: int = 200, seed: int = 0
) -> tuple[RadiusRow, ...]:
    """Divergences at radius 0 … 4, and how they compare with random molecule-disjoint splits.

    Args:
        train: the training molecules, each once.
        ood: the held-out molecules, each once.
        draws: random splits of ``train`` and ``ood`` together, of the same sizes, for all radii: two at least,
            since one has no standard deviation, or 0 to leave the comparison out (as it must be when a molecule is on
            both sides, for then no split is molecule-disjoint).
        seed: of the random splits.
    """
    rng = np.random.default_rng(seed)
    together = [*train, *ood]
    orders = [rng.permutation(len(together)) for _ in range(draws)]
    in_train = np.zeros((1 + draws, len(together)))
    in_train[0, : len(train)] = 1
    for row, order in enumerate(orders, start=1):
        in_train[row, order[: len(train)]] = 1
    rows = []
    for radius in range(MAX_RADIUS + 1):
        _, masses = environment_masses(together, radius)
        p, q = in_train @ masses, (1 - in_train) @ masses
        compound = divergence(p, q, COMPOUND_ALPHA)
        rows.append(
            RadiusRow(
                radius,
                atom_divergence=float(divergence(p[0], q[0], ATOM_ALPHA)),
                compound_divergence=float(compound[0]),
                novel_mass=novel_mass(p[0], q[0]),
                **(compare(float(compound[0]), compound[1:]) if draws else {}),
            )
        )
    return tuple(rows)


def compare(value: float, others: np.ndarray) -> dict[str, float | None]:
    """Mean and standard deviation (n − 1) of D_C of random splits, and where among them a value lies."""
    mean, std = float(others.mean()), float(others.std(ddof=1))
    z_score = (value - mean) / std if std > ROUNDING else None
    return {"random_mean": mean, "random_std": std, "z_score": z_score}
