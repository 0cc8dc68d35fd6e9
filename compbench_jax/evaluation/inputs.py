"""What an evaluation starts from: the data that a run was trained on, and a split that is the run's own."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from compbench_jax.errors import DataError, RunError
from compbench_jax.files import array_bytes, read_json, save
from compbench_jax.models.registry import config_from_json
from compbench_jax.splits.audit import audit_json, audit_split, read_audit
from compbench_jax.splits.split import Split
from compbench_jax.splits.unseen import molecules_of
from compbench_jax.store.store import FrameStore, open_store
from compbench_jax.training.loaded_run import LoadedRun
from compbench_jax.training.run_folder import AUDIT_FILE, SPLIT_FILE, split_summary


def open_data(run: LoadedRun, data: Path | None = None, other_data: bool = False) -> FrameStore:
    """The store that a run was trained on.

    Args:
        run: the loaded run.
        data: where the store is now, if not where it was.
        other_data: accept another store.

    Raises:
        DataError: no store, or a damaged one.
        RunError: the store is not the one that the run was trained on, or the run has none and none is given.
    """
    if data is None and not run.config["data"]:
        raise RunError(
            f"the {run.config['preset']} run was converted, not trained on any data: give a data set with --data"
        )
    store = open_store(run.config["data"] if data is None else data, checksums=True)
    if run.config["data_hash"] not in ("", store.hash) and not other_data:
        raise RunError(
            f"{store.path} is not the data that the run was trained on (manifest {store.hash[:12]}…, trained "
            f"on {run.config['data_hash'][:12]}…): give that data set with --data, or --other-data to evaluate "
            "on this one"
        )
    return store


def check_split(folder: Path, run: LoadedRun, store: FrameStore, split: Split) -> list[str]:
    """Compare the split with what the run was trained on, as ``RUN/split.json`` tells it.

    Returns:
        warnings: OOD molecules that the run was trained on (possible for another task, and in the oracle by
            design), and what is known of the data of a converted run, or of one that was fine-tuned from it.

    Raises:
        RunError: the run's own task now yields other frames than the run was trained on.
    """
    path = folder / SPLIT_FILE
    if not path.exists():
        return [f"warning: {path} is missing: whether the run was trained on OOD molecules cannot be checked"]
    try:
        recorded = read_json(path)
        trained = set(recorded["sets"]["train"]["inchikeys"])
        same = recorded["task"] == split.task and recorded["data"] == store.hash
    except (DataError, KeyError, TypeError) as error:
        raise RunError(f"{path} is damaged ({error}): restore it, or train again") from error
    if same and recorded != split_summary(store, split):
        raise RunError(
            f"{path} names other frames than the task {split.task} now yields: evaluate with the version that trained"
        )
    notes = pretraining_notes([folder, Path(run.config.get("init_from") or folder)], store, split)
    ood = [store.graphs[m].molecule for m in molecules_of(store, split.ood_test)]
    seen = [molecule.name for molecule in ood if molecule.inchikey in trained]
    if not seen:
        return notes
    return [
        *notes,
        f"note: the run was trained on {len(seen)} of {len(ood)} OOD molecules ({seen[0]}, …): they are not OOD for it",
    ]


def pretraining_notes(folders: Iterable[Path], store: FrameStore, split: Split) -> list[str]:
    """What the weights of a foundation potential, converted to the first such of these runs, may have seen."""
    for folder in folders:
        try:
            origin = read_json(folder / SPLIT_FILE)["foundation"]
            most = int(origin["heavy_atoms"])
            lines = [f"note: {origin['name']} was pre-trained at {origin['level']} on {origin['trained_on']}"]
        except (DataError, ValueError, KeyError, TypeError):
            continue
        ood = molecules_of(store, split.ood_test)
        small = sum(int((store.graphs[m].numbers > 1).sum()) <= most for m in ood)
        return [*lines, f"note: {small} of {len(ood)} OOD molecules have at most {most} heavy atoms"] if most else lines
    return []


def receptive_field(run: LoadedRun) -> tuple[float, int]:
    """Cutoff (Å) and number of layers of a run, as far as an audit asks for them."""
    model = config_from_json(run.config["model"], Path())  # a file of one's own was run when the run was loaded
    return model.cutoff, max(1, round(model.receptive_field / model.cutoff))


def ensure_audit(folder: Path, store: FrameStore, split: Split, cutoff: float, layers: int = 1) -> Path:
    """The audit of the split in this folder, computed and written unless there is one of this task and data already.

    Args:
        folder: where ``audit.json`` is or will be.
        store: where the frames are.
        split: which is audited.
        cutoff: Å, of the potential.
        layers: of the potential; its receptive field is this many cutoffs.
    """
    path = folder / AUDIT_FILE
    # An audit of before compositions had the cutoff of its potential for contacts: it is made again.
    found = read_audit(path)
    if found is not None and (found["task"], found["data"]) == (split.task, store.hash) and "composition" in found:
        return path
    audit = audit_split(store, split, cutoff=cutoff, layers=layers)
    save(path, audit_json(audit).encode())
    return path


def write_split(folder: Path, split: Split) -> None:
    """Write the frame indices of the four sets, ``{train,validation,id_test,ood_test}.npy``, int64."""
    for part, frames in split.parts().items():
        save(folder / f"{part}.npy", array_bytes(np.asarray(frames, np.int64)))
