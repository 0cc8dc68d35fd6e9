"""Groups of settings of a training run. The text under each field is its help on the command line."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro


@dataclass(frozen=True)
class LossSettings:
    """Loss: weighted sum of an energy error and a force error."""

    energy_weight: float = 4.0
    """Weight of the energy error (eV per molecule). 4 is the benchmark's."""

    force_weight: float = 100.0
    """Weight of the force error (eV/Å). 100 is the benchmark's."""

    energy: Literal["mae", "huber", "mse"] = "mae"
    """Error of an energy. mae is the benchmark's, robust to a few bad labels. mse (eV²) weights large errors more;
    huber is mse below the delta and mae above."""

    force: Literal["l2-mae", "mae", "huber", "mse"] = "l2-mae"
    """Error of the force on an atom. l2-mae, the norm |F̂ − F|, is the benchmark's and invariant to rotation; mae and
    huber are per component; mse is |F̂ − F|² / 3."""

    energy_per: Literal["molecule", "atom"] = "molecule"
    """Divide the energy error of a molecule by its number of atoms (atom), so that large molecules do not outweigh
    small ones, or do not (molecule, the benchmark's)."""

    huber_delta: float = 0.01
    """Threshold of the Huber loss from quadratic to linear, eV and eV/Å. 0.01 is the error of a good potential."""


@dataclass(frozen=True)
class OptimiserSettings:
    """An optimiser of optax with warm-up, a schedule, clipping and a moving average of the parameters."""

    learning_rate: float = 0.0
    """Peak learning rate (with muon, of the parameters that are not matrices). 0: that of the preset (docs/models.md).
    Take a lower one if the loss jumps."""

    final_fraction: float = 0.01
    """Learning rate at the last step, as a fraction of the peak. Not 0, so that the last steps have an effect."""

    warmup_steps: int = 100
    """Steps of linear warm-up (at most a tenth of all): Adam's moments need about that many to converge."""

    weight_decay: float = 0.0
    """Decoupled weight decay (AdamW). 0 is plain Adam."""

    clip_norm: float = 100.0
    """Largest global norm of the gradient. Small MACE stays below it; SchNet's first steps exceed it several times."""

    ema_decay: float = 0.999
    """Decay of the moving average of parameters that is validated and evaluated. 0.999 is the benchmark's.
    At step t it is min(decay, (1 + t) / (10 + t)), so that the average forgets the random start."""

    name: Literal["auto", "muon", "adam", "adamw", "amsgrad", "nadam", "radam", "adabelief", "lamb", "lion", "sgd"] = (
        "auto"
    )
    """Optimiser, by its name in optax. auto: that of the preset (docs/models.md), muon for those of a size for a CPU;
    adam with --init-from.
    muon updates matrices by their momentum with all singular values near one, and other parameters as adam does.
    adam is the benchmark's; amsgrad is what many potentials were published with; lion needs a learning rate about ten
    times lower; sgd has momentum 0.9."""

    matrix_rate: float = 0.0
    """muon only: root mean square of a matrix's update at the peak of the schedule, as a fraction of that of its
    initial values. 0: that of the preset."""

    schedule: Literal["cosine", "linear", "exponential", "constant"] = "cosine"
    """Schedule of the learning rate from its peak to the final fraction after the warm-up. cosine stays high longest;
    constant does not decay, for runs of unknown length."""


@dataclass(frozen=True)
class WatchSettings:
    """How often the run reports, validates and saves."""

    log_every: int = 20
    """Steps per line of log.jsonl; a line has means over these steps."""

    validate_every: int = 250
    """Steps between validations (there is one at the end, too). One takes about as long as 20 steps."""

    monitor_frames: int = 200
    """ID-test and OOD-test frames whose force MAE is logged at every validation; 0: none.
    They choose nothing: they serve to compare potentials at matched ID error."""

    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints, in addition to those at validations: a kill loses at most this much work."""

    patience: int = 0
    """Stop early after so many validations without a lower validation loss of any seed; 0: never, because the
    learning rate decays until the last step."""


@dataclass(frozen=True)
class DeviceSettings:
    """Use of the hardware. A resumed run may change all of these: results agree to rounding."""

    steps_per_dispatch: int = 0
    """Steps per dispatch to the device. 0: 1 on a CPU, where more has no effect, and 16 elsewhere. Signals are handled
    and checkpoints written between dispatches."""

    data: Literal["auto", "device", "host", "disk"] = "auto"
    """Where the training frames are: on the device, where batches are gathered; in the memory of the host, which
    assembles batches in advance; or left on the disk, read batch by batch. auto: on the disk if frames and edges would
    take more than 2 GB; on the device if they take less than a quarter of its memory (2 GB on a CPU) and there is one
    process."""

    mesh: str = "auto"
    """Devices as SEEDSxBATCH: seeds are distributed over the first number, the structures of each batch over the
    second, e.g. 2x4 for eight devices. auto: as many for seeds as divide them evenly, the rest for batches."""

    accumulate: int = 1
    """Number of parts in which a device computes its share of a batch. More parts need less memory and more time; the
    gradient is that of the whole batch."""

    remat: bool = False
    """Recompute the layers of the network in the backward pass, to save memory on GPUs and TPUs (not measured) for
    about a third more work. On CPUs the compiler undoes it: take accumulate there."""


@dataclass(frozen=True)
class ProcessSettings:
    """Other processes that train the same run, one per host. Not needed under SLURM's srun and on Cloud TPU."""

    coordinator: Annotated[str, tyro.conf.arg(name="coordinator", prefix_name=False)] = ""
    """HOST:PORT of process 0, the same in every process. Empty: none, or given by the scheduler."""

    num_processes: Annotated[int, tyro.conf.arg(name="num-processes", prefix_name=False)] = 0
    """Total number of processes."""

    process_id: Annotated[int, tyro.conf.arg(name="process-id", prefix_name=False)] = -1
    """Number of this process, from 0."""
