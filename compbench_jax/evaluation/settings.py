"""How to evaluate."""

from dataclasses import dataclass

from compbench_jax.errors import RunError


@dataclass(frozen=True)
class Settings:
    """Frames and batches. ``fit_frames`` changes the referenced energies, ``max_frames`` every value, ``samples``
    intervals of ensemble uncertainties only.

    Attributes:
        samples: bootstrap draws of the intervals of ensemble uncertainties.
        seed: of the draws, and of the choice of train frames.
        batch_size: mean number of structures per batch.
        fit_frames: maximum number of train frames in the per-element fit of energy errors.
        max_frames: maximum number of frames of each test set, evenly over its molecules; None for all.
    """

    samples: int = 1000
    seed: int = 0
    batch_size: int = 64
    fit_frames: int = 512
    max_frames: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RunError: names the setting.
        """
        for name, least in (("samples", 1), ("seed", 0), ("batch_size", 1), ("fit_frames", 1), ("max_frames", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise RunError(f"--{name.replace('_', '-')} is {value}: give {least} or more")
