"""A split: four disjoint sets of frames of one store."""

from dataclasses import dataclass

import numpy as np

PARTS = ("train", "validation", "id_test", "ood_test")


@dataclass(frozen=True, eq=False)
class Split:
    """Frame indices into one store. Molecules of ``ood_test`` occur in no other set.

    Attributes:
        task: canonical task name with its parameters, e.g. ``"fragment_duplication[COOH]"``.
        train: frames to fit parameters and normalisation on, int64 ``[n]``, sorted.
        validation: frames to choose checkpoints and hyper-parameters on.
        id_test: unseen frames of the trained molecules.
        ood_test: frames of molecules that are not trained on.
        molecule_disjoint: False only for the oracle control, whose training set holds (other) frames of the
            molecules of ``ood_test`` on purpose. The frames are disjoint always.
        new_fragments: end fragments that only the OOD molecules have, on purpose, each with the trained fragments that
            it is made of.
    """

    task: str
    train: np.ndarray
    validation: np.ndarray
    id_test: np.ndarray
    ood_test: np.ndarray
    molecule_disjoint: bool = True
    new_fragments: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def parts(self) -> dict[str, np.ndarray]:
        """The four sets by name, in the order of ``PARTS``."""
        return {part: getattr(self, part) for part in PARTS}
