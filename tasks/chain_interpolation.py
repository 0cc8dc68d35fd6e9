"""Extension task ``chain_interpolation``: unseen lengths between trained ones, the control for length itself."""

from dataclasses import dataclass
from typing import ClassVar

from compbench_jax.tasks.chain_extension import ChainExtension


@dataclass(frozen=True)
class ChainInterpolation(ChainExtension):
    """Train on a family at n = 2–5 and 10–13, test on the same family at n = 6–9."""

    kind: ClassVar[str] = "chain_interpolation"
    principle: ClassVar[str] = "control: length itself"
    question: ClassVar[str] = "Is an unseen chain length hard even between lengths that were trained on?"
    trained_on: ClassVar[str] = "{family} at n = 2–5 and 10–13"
    tested_on: ClassVar[str] = "{family} at n = 6–9"
    paper_name: ClassVar[str] = ""
    public: ClassVar[str] = ""
    train_lengths: ClassVar[frozenset[int]] = frozenset((*range(2, 6), *range(10, 14)))
    ood_lengths: ClassVar[frozenset[int]] = frozenset(range(6, 10))
