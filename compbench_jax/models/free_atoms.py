"""Polarisabilities and C6 coefficients of free atoms, hydrogen to xenon, that scaled dispersion models start from.

The values are those that SO3LR's program tabulates, which follow Tkatchenko and Scheffler, Phys. Rev. Lett. 102, 073005
(2009), rounded to float32 as there.
"""

from collections.abc import Sequence

import numpy as np

from compbench_jax.errors import CompBenchError

# fmt: off
_POLARISABILITIES = (
    4.5, 1.38, 164.2, 38, 21, 12, 7.4, 5.4, 3.8, 2.67, 162.7, 71,
    60, 37, 25, 19.6, 15, 11.1, 292.9, 160, 120, 98, 84, 78,
    63, 56, 50, 48, 42, 40, 60, 41, 29, 25, 20, 16.8,
    319.2, 199, 126.74, 119.97, 101.6, 88.42, 80.08, 65.89, 56.1, 23.68, 50.6, 39.7,
    70.22, 55.95, 43.67, 37.65, 35, 27.3,
)
_COEFFICIENTS = (
    6.5, 1.46, 1387, 214, 99.5, 46.6, 24.2, 15.6, 9.52, 6.38, 1556, 627,
    528, 305, 185, 134, 94.6, 64.3, 3897, 2221, 1383, 1044, 832, 602,
    552, 482, 408, 373, 253, 284, 498, 354, 246, 210, 162, 129.6,
    4691, 3170, 1968.58, 1677.91, 1263.61, 1028.73, 1390.87, 609.75, 469, 157.5, 339, 452,
    707.05, 587.42, 459.32, 396, 385, 285.9,
)
# fmt: on


def free_atoms(elements: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Polarisabilities, Bohr³, and C6 coefficients, Hartree Bohr⁶, float32 ``[n_elements]`` each.

    Raises:
        CompBenchError: an element beyond xenon.
    """
    beyond = [z for z in elements if not 1 <= z <= len(_POLARISABILITIES)]
    if beyond:
        raise CompBenchError(
            f"there are no dispersion coefficients for atomic number {beyond[0]}: take a potential without dispersion"
        )
    rows = np.array(elements) - 1
    return np.array(_POLARISABILITIES, np.float32)[rows], np.array(_COEFFICIENTS, np.float32)[rows]
