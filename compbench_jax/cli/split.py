"""``compbench split``."""

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Arguments:
    """Make a split of a data set, of any molecules, for `compbench train --split FILE`.

    Give one of --random-frames, --by-molecule, --by-family, --molecules and --task. The file is JSON: names of
    molecules or ranges of frames for train, validation, id_test and ood_test, and may be written by hand
    (docs/own-molecules.md).
    """

    data: tyro.conf.Positional[Path]
    """Folder of the data set."""

    out: Path
    """File to write, e.g. my_split.json; its name is that of the split."""

    random_frames: bool = False
    """Frames at random, every molecule in every set: the usual test of interpolation, as for MD17."""

    by_molecule: bool = False
    """Molecules at random: --held-out of them are not trained on."""

    by_family: tuple[str, ...] = ()
    """Families that are not trained on, e.g. diacid. Molecules outside the registry have none."""

    molecules: tuple[str, ...] = ()
    """Molecules that are not trained on, by name or InChIKey."""

    task: str | None = None
    """A task, e.g. fragment_fusion or my_task.py:MyTask, whose sets of frames are written."""

    held_out: float = 0.2
    """Fraction of the molecules that --by-molecule does not train on."""

    test: float = 0.2
    """Fraction of the frames of trained molecules that test."""

    seed: int = 0
    """Of what is random."""


def run(arguments: Arguments) -> None:
    """Write the file, and say what is in it."""
    import numpy as np

    from compbench_jax.errors import TaskError, suggestion
    from compbench_jax.splits.own import OwnSplit, by_molecule, random_frames, write_own_split
    from compbench_jax.store.store import open_store
    from compbench_jax.tasks import get_task

    names = ("random_frames", "by_molecule", "by_family", "molecules", "task")
    if sum(bool(getattr(arguments, name)) for name in names) != 1:
        raise TaskError("give one of --random-frames, --by-molecule, --by-family, --molecules and --task")
    for name in ("held_out", "test"):
        if not 0 < getattr(arguments, name) < 1:
            raise TaskError(f"--{name.replace('_', '-')} is {getattr(arguments, name)}: give a number between 0 and 1")
    if arguments.seed < 0:
        raise TaskError(f"--seed is {arguments.seed}: give 0 or more")
    if arguments.out.exists():
        raise TaskError(f"{arguments.out} is there already: give another --out")
    store = open_store(arguments.data, checksums=True)
    molecules = [graph.molecule for graph in store.graphs]
    if arguments.random_frames:
        frames = random_frames(store, arguments.seed, arguments.test)
    elif arguments.task:
        frames = get_task(arguments.task).split(store).parts()
    else:
        if arguments.by_molecule:
            keys = sorted({molecule.inchikey for molecule in molecules})
            n = max(1, round(arguments.held_out * len(keys)))
            out = set(np.random.default_rng(arguments.seed).permutation(keys)[:n].tolist())
            held = [k for k, molecule in enumerate(molecules) if molecule.inchikey in out]
        elif arguments.by_family:
            families = {molecule.family for molecule in molecules if molecule.family}
            for family in arguments.by_family:
                if family not in families:
                    raise TaskError(f"the data set has no family {family!r}: {suggestion(family, families)}")
            held = [k for k, molecule in enumerate(molecules) if molecule.family in arguments.by_family]
        else:
            known = {name for molecule in molecules for name in (molecule.name, molecule.inchikey)}
            for name in arguments.molecules:
                if name not in known:
                    raise TaskError(f"the data set has no molecule {name!r}: {suggestion(name, known)}")
            wanted = set(arguments.molecules)
            held = [k for k, m in enumerate(molecules) if {m.name, m.inchikey} & wanted]
        frames = by_molecule(store, held, arguments.seed, arguments.test)
    write_own_split(arguments.out, store, arguments.out.stem, frames)
    split = OwnSplit(str(arguments.out)).split(store)
    for part, indices in split.parts().items():
        print(f"{part:<11}{len(indices)} frames of {len(np.unique(store.molecule[indices]))} molecules")
    print(f"written:   {arguments.out}: compbench train --split {arguments.out} --data {arguments.data} model:NAME")
