"""Settings of the sampling, with the reason of each, and the three presets."""

import math
from dataclasses import dataclass, replace

from compbench_jax.errors import CompBenchError


@dataclass(frozen=True)
class SamplingSettings:
    """How the geometries of one molecule are sampled. Units: K, fs.

    Each molecule gets a primary and a secondary set; each set is several short Langevin segments that start from
    different ETKDG conformers, since one trajectory of a few picoseconds stays in the torsional basin it started in.
    """

    primary_frames: int = 300
    """Frames of the primary set (training, and the OOD test)."""

    primary_segments: int = 10
    """Trajectories, each from its own conformer, that the primary set is made of. 1 gives the paper's single one."""

    secondary_frames: int = 150
    """Frames of the secondary set (validation and ID test)."""

    secondary_segments: int = 5
    """Trajectories of the secondary set; its seeds are disjoint from the primary set's."""

    tuning_frames: int = 30
    """Leading frames of the secondary set used for tuning; whole segments, so that none is shared with the ID test."""

    temperature: float = 300.0
    """K. Room temperature: the paper's condition, bonds stay whole."""

    time_step: float = 0.5
    """fs. A twentieth of the shortest period (O-H, N-H, C-H stretches: 9 to 11 fs); kinetic energies 1% low at most."""

    friction: float = 0.02
    """1/fs. Velocities forget themselves in 50 fs: quick thermalisation, vibrations still underdamped."""

    equilibration: float = 150.0
    """fs before the first frame of each segment: three times the memory of the thermostat."""

    scf_looseness: float = 1.0
    """Factor on the SCF thresholds of the level along trajectories, where only sampling matters; labels keep theirs."""

    spacing: float = 10.0
    """fs between frames: about one period of the fastest vibration; closer frames would be near copies."""

    half_step_temperature: bool = False
    """Measure kinetic temperatures between the two half kicks of a step, where BAOAB is exact for a harmonic vibration
    of any frequency ω; at whole steps it is low by (ω Δt)² / 4, 0.7% over all vibrations at 0.5 fs and 3% at 1 fs."""

    max_attempts: int = 20
    """Seeds tried for a segment before giving up, when bonds keep breaking."""

    seed: int = 2605
    """Root of every random number: conformers, initial velocities, thermostat."""

    def __post_init__(self) -> None:
        """Check what can be checked without running."""
        positive = ("primary_frames", "primary_segments", "secondary_frames", "secondary_segments", "tuning_frames",
                    "temperature", "time_step", "friction", "scf_looseness", "max_attempts")  # fmt: skip
        for name, value in vars(self).items():
            if not 0 <= value < math.inf:  # false for NaN too
                raise CompBenchError(f"setting {name} is {value}: it must be a finite number, not negative")
        for name in positive:
            if not getattr(self, name) > 0:
                raise CompBenchError(f"setting {name} is {getattr(self, name)}: it must be positive")
        if self.spacing < 10.0:
            raise CompBenchError(f"setting spacing is {self.spacing} fs: frames closer than 10 fs are near copies")
        for name in ("spacing", "equilibration"):
            steps = getattr(self, name) / self.time_step
            whole = math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-6) and (round(steps) > 0 or steps == 0)
            if not whole:
                raise CompBenchError(f"setting {name} is {getattr(self, name)} fs: not a multiple of the time step")
        if self.primary_segments > self.primary_frames or self.secondary_segments > self.secondary_frames:
            raise CompBenchError("more segments than frames: lower the number of segments")
        if self.tuning_frames >= self.secondary_frames:
            raise CompBenchError(
                f"tuning_frames {self.tuning_frames} leaves none of {self.secondary_frames} frames for the ID test"
            )

    def segments(self, set: str) -> list[int]:
        """Number of frames of each segment of ``"primary"`` or ``"secondary"``."""
        frames, count = {
            "primary": (self.primary_frames, self.primary_segments),
            "secondary": (self.secondary_frames, self.secondary_segments),
        }[set]
        return [frames // count + (k < frames % count) for k in range(count)]

    def with_segments(self, count: int) -> "SamplingSettings":
        """The same with this many segments in both sets (1: the single trajectories of the paper)."""
        return replace(self, primary_segments=count, secondary_segments=count)


PRESETS = {
    # Six secondary segments of five frames, so that the ten tuning frames are two whole segments.
    "mini": SamplingSettings(
        primary_frames=40, secondary_frames=30, secondary_segments=6, tuning_frames=10, equilibration=60.0
    ),
    # What BAOAB samples does not depend on the time step as long as vibrations are harmonic (benchmarks/time_step.py).
    # Forces along the trajectory within 1e-3 eV/Å of converged ones save another fifth of the time.
    "standard": SamplingSettings(time_step=1.0, half_step_temperature=True, scf_looseness=10.0),
    "paper": SamplingSettings(primary_frames=2013, secondary_frames=500, tuning_frames=100, equilibration=500.0),
}
"""mini: a laptop's, committed. standard: a few hours on two cores. paper: the sizes of arXiv 2605.08988."""
