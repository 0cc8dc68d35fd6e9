"""Groups of settings of a training run. The text under each field is its help on the command line."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class LossSettings:
    """What is minimised: an error of energies and an error of forces, weighted."""

    energy_weight: float = 4.0
    """Weight of the energy error (eV a molecule). 4 is the benchmark's."""

    force_weight: float = 100.0
    """Weight of the force error (eV/Å). 100 is the benchmark's."""

    energy: Literal["mae", "huber", "mse"] = "mae"
    """Error of an energy. mae is the benchmark's: a few bad labels do not rule it. mse (eV²) weighs large errors
    more; huber is mse below the delta and mae above."""

    force: Literal["l2-mae", "mae", "huber", "mse"] = "l2-mae"
    """Error of the force on an atom. l2-mae, the length |F̂ − F|, is the benchmark's and does not depend on how the
    molecule is turned; mae and huber take the three components one by one; mse is |F̂ − F|² / 3."""

    energy_per: Literal["molecule", "atom"] = "molecule"
    """Divide the energy error of a molecule by its number of atoms (atom), so that large molecules do not outweigh
    small ones, or do not (molecule, the benchmark's)."""

    huber_delta: float = 0.01
    """Where the Huber loss turns from quadratic to linear, eV and eV/Å. 0.01 is about a good potential's error."""


@dataclass(frozen=True)
class OptimiserSettings:
    """An optimiser of optax with warm-up, a schedule, clipping and a moving average of the parameters."""

    learning_rate: float = 0.0
    """Peak learning rate. 0: that of the preset (docs/models.md). Take a lower one if the loss jumps."""

    final_fraction: float = 0.01
    """Learning rate at the last step, as a fraction of the peak. Not 0, so that the last steps still count."""

    warmup_steps: int = 100
    """Steps of linear warm-up (at most a tenth of all): Adam's moments need about that many to settle."""

    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW). 0 is plain Adam: a potential's weights have no reason to be small."""

    clip_norm: float = 100.0
    """Largest global norm of the gradient. Small MACE stays below it; SchNet's start, several times above, is tamed."""

    ema_decay: float = 0.999
    """Decay of the moving average of parameters that is validated and evaluated. 0.999 is the benchmark's.
    At step t it is min(decay, (1 + t) / (10 + t)), so that the average forgets the random start."""

    name: Literal["adam", "adamw", "amsgrad", "nadam", "radam", "adabelief", "lamb", "lion", "sgd"] = "adam"
    """Optimiser, by its name in optax. adam is the benchmark's; amsgrad is what many potentials were published with;
    lion wants a learning rate about ten times lower; sgd has momentum 0.9."""

    schedule: Literal["cosine", "linear", "exponential", "constant"] = "cosine"
    """How the learning rate falls from its peak to the final fraction after the warm-up. cosine stays high longest;
    constant does not fall, for runs whose length is not known."""


@dataclass(frozen=True)
class WatchSettings:
    """How often the run reports, validates and saves."""

    log_every: int = 20
    """Steps a line of log.jsonl, each the mean over these steps."""

    validate_every: int = 250
    """Steps between validations (there is one at the end, too). One costs about as much as 20 steps."""

    monitor_frames: int = 200
    """ID-test and OOD-test frames whose force MAE is logged at every validation; 0: none.
    Nothing is chosen by them: they let potentials be compared at matched ID error."""

    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints beside those at validations: a kill loses at most this much work."""

    patience: int = 0
    """Stop early once no member has reached a lower validation loss for so many validations; 0: never, as the
    learning rate falls on purpose until the last step."""


@dataclass(frozen=True)
class DeviceSettings:
    """How the work is laid out on the hardware. A resumed run may change any of it: results agree to rounding."""

    steps_per_dispatch: int = 0
    """Steps the device takes before the host looks again. 0: 1 on a CPU, where nothing is gained, and 16 elsewhere.
    Signals are answered and checkpoints written between dispatches."""

    data: Literal["auto", "device", "host"] = "auto"
    """Keep the training frames on the device and gather batches there, or assemble them on the host, a few ahead.
    auto: on the device if they take less than a quarter of its memory (2 GB on a CPU) and there is one process."""

    mesh: str = "auto"
    """Devices as SEEDSxBATCH: members of the run are spread over the first number, the structures of each batch over
    the second, e.g. 2x4 for eight devices. auto: as many for members as divide them evenly, the rest for batches."""

    accumulate: int = 1
    """Parts that a device takes its share of a batch in, one after the other. More need less memory and more time;
    the gradient is that of the whole batch."""


@dataclass(frozen=True)
class ProcessSettings:
    """Other processes that train the same run, one a host. Under SLURM's srun and on Cloud TPU nothing need be said."""

    coordinator: Annotated[str, tyro.conf.arg(name="coordinator", prefix_name=False)] = ""
    """HOST:PORT at which process 0 can be reached, the same in every process. Empty: none, or a scheduler tells."""

    num_processes: Annotated[int, tyro.conf.arg(name="num-processes", prefix_name=False)] = 0
    """Number of processes in all."""

    process_id: Annotated[int, tyro.conf.arg(name="process-id", prefix_name=False)] = -1
    """Number of this process, from 0."""
