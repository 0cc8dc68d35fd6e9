"""What is measured, and how long."""

from dataclasses import asdict, dataclass
from typing import Any

from compbench_jax.errors import RunError

PROPERTIES = ("curl", "extensivity", "locality", "stretch", "torsion", "folding", "modes", "nve")
"""In the order they are measured: the longest last."""

SCANS = ("stretch", "torsion", "folding")
NEED_REFERENCE = (*SCANS, "modes")
"""Properties that are nothing without the labels' level. The trajectories are shown without it too."""


@dataclass(frozen=True)
class Settings:
    """What to measure.

    Attributes:
        properties: names out of ``PROPERTIES``.
        molecules: of each test set.
        picoseconds: length of the trajectories.
        time_step: fs.
        spacing: fs between records.
        temperature: K, of the initial velocities.
        seed: of frames and velocities.
    """

    properties: tuple[str, ...] = PROPERTIES
    molecules: int = 2
    picoseconds: float = 5.0
    time_step: float = 0.5
    spacing: float = 5.0
    temperature: float = 300.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            RunError: names the setting.
        """
        unknown = [name for name in self.properties if name not in PROPERTIES]
        if unknown or not self.properties:
            what = f"no property is called {unknown[0]!r}" if unknown else "no property is named"
            raise RunError(f"{what}: choose from {', '.join(PROPERTIES)}")
        for name in ("picoseconds", "time_step", "spacing", "temperature"):
            if not 0 < getattr(self, name) < float("inf"):
                raise RunError(f"--{name.replace('_', '-')} is {getattr(self, name)}: give a positive number")
        if self.molecules < 1 or self.seed < 0:
            raise RunError(
                f"--molecules {self.molecules} --seed {self.seed}: give 1 molecule or more, and a seed of 0 or more"
            )
        if self.stride < 1 or abs(self.stride * self.time_step - self.spacing) > 1e-6 * self.spacing:
            raise RunError(f"records every {self.spacing} fs are no multiple of the time step {self.time_step} fs")
        if self.records < 1:
            raise RunError(f"--picoseconds is {self.picoseconds}: records are {self.spacing} fs apart, give more")

    @property
    def stride(self) -> int:
        """Steps a record."""
        return round(self.spacing / self.time_step)

    @property
    def records(self) -> int:
        """Records without that of the start."""
        return round(1000.0 * self.picoseconds / self.spacing)

    def of(self, property: str) -> dict[str, Any]:
        """The settings that the values of a property depend on."""
        names = ["seed"]
        if property == "nve":
            names += ["picoseconds", "time_step", "spacing", "temperature"]
        return {name: asdict(self)[name] for name in names}
