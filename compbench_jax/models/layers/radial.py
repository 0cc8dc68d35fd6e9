"""Radial bases and cutoff functions. Lengths and cutoffs are in Å.

Every cutoff function has f(c) = f′(c) = 0, so that energies and forces are continuous as an atom crosses the cutoff.
Every cutoff function is zero at length zero as well: only padding edges have that length, and so they carry nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np

from compbench_jax.models.layers.safe import safe_divide


def bessel_basis(lengths: jax.Array, cutoff: float, n_basis: int) -> jax.Array:
    """Radial Bessel functions, ``[...] -> [..., n_basis]`` (Gasteiger et al. 2020, arXiv 2003.03123, eq. 7).

    b_n(r) = √(2/c) sin(nπr/c) / r for n = 1 … n_basis; zero at length zero.
    """
    with jax.named_scope("radial_basis"):
        frequencies = jnp.asarray(np.pi / cutoff * np.arange(1, n_basis + 1), lengths.dtype)
        r = lengths[..., None]
        return safe_divide((2.0 / cutoff) ** 0.5 * jnp.sin(frequencies * r), r)


def gaussian_basis(lengths: jax.Array, cutoff: float, n_basis: int, width: float = 1.0) -> jax.Array:
    """Gaussians on a uniform grid, ``[...] -> [..., n_basis]`` (Schütt et al. 2017, arXiv 1706.08566, section 4.1).

    g_k(r) = exp(−(r − μ_k)² / (2Δ²)) with the centres μ_k evenly over [0, c], Δ their distance times ``width``.
    """
    with jax.named_scope("radial_basis"):
        centres = np.linspace(0.0, cutoff, n_basis)
        scaled = (lengths[..., None] - jnp.asarray(centres, lengths.dtype)) / float(width * (centres[1] - centres[0]))
        return jnp.exp(-0.5 * scaled * scaled)


def cosine_cutoff(lengths: jax.Array, cutoff: float) -> jax.Array:
    """f(r) = ½ (cos(πr/c) + 1) for 0 < r < c, else 0 (Behler 2011, J. Chem. Phys. 134, 074106, eq. 4)."""
    with jax.named_scope("radial_basis"):
        inside = (lengths > 0) & (lengths < cutoff)
        return jnp.where(inside, 0.5 * (jnp.cos(lengths * (np.pi / cutoff)) + 1.0), 0.0)


def polynomial_envelope(lengths: jax.Array, cutoff: float | jax.Array, p: int = 6) -> jax.Array:
    """Polynomial envelope (Gasteiger et al. 2020, arXiv 2003.03123, eq. 8), also MACE's.

    u(x) = 1 − (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) − p(p+1)/2 x^(p+2) with x = r/c, for 0 < r < c, else 0.
    At the cutoff u, u′ and u″ vanish.
    """
    with jax.named_scope("radial_basis"):
        x = lengths / cutoff
        power = x**p
        value = 1.0 + power * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - x * (p * (p + 1) / 2)))
        return jnp.where((lengths > 0) & (lengths < cutoff), value, 0.0)


AGNESI = (0.9183, 4.5791, 1.0805)
"""q, p and a of :func:`agnesi_transform`, ACEpotentials' and mace-torch's."""


def agnesi_transform(lengths: jax.Array, unit: jax.Array) -> jax.Array:
    """Distances relative to a length of each pair, ``[...] -> [...]`` from 1 at length zero towards 0.

    1 / (1 + a x^p / (1 + x^(p − q))) with x = r / unit (Witt et al., J. Chem. Phys. 159, 164101 (2023)), where
    ``unit`` (Å) is half the sum of the covalent radii.
    """
    q, p, a = AGNESI
    x = lengths / unit
    return 1 / (1 + a * x**p / (1 + x ** (p - q)))
