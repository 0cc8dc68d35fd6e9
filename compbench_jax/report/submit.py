"""Making a submission to the leaderboard from results."""

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compbench_jax.errors import RunError
from compbench_jax.evaluation.result_file import FILE as RESULTS_FILE
from compbench_jax.files import read_bytes, save
from compbench_jax.report.leaderboard import Source, slug
from compbench_jax.report.submission import COPIED, FILE, FORMAT, VERSION


def write_submission(
    sources: Sequence[Source], out: Path, name: str, description: str, pretraining: str, url: str = ""
) -> Path:
    """Copy results into a folder and describe them.

    Args:
        sources: results of one potential: tasks, seeds.
        out: folder, not there yet.
        name: of the potential on the leaderboard.
        description: what it is.
        pretraining: data it saw before, or ``"none"``.
        url: of code or paper.

    Returns:
        the path of ``submission.json``.

    Raises:
        RunError: the folder exists, a text is missing, or a file cannot be copied.
    """
    for flag, text in (("--name", name), ("--description", description), ("--pretraining", pretraining)):
        if not text.strip():
            raise RunError(f"{flag} is empty: readers need it")
    try:
        if out.exists() and any(out.iterdir()):
            raise RunError(f"--out {out} is not empty: give a new folder")
        listed = []
        for source in sources:
            run = source.results
            folder = out / f"{slug(run['task'])}-seed{run['seed']}"
            if folder.exists():
                raise RunError(f"{run['task']} with seed {run['seed']} is given twice: give each result once")
            folder.mkdir(parents=True)
            for file in COPIED:
                if (source.folder / file).exists():
                    content = without_places((source.folder / file).read_bytes(), run["config"])
                    (folder / file).write_bytes(content)
            digest = hashlib.sha256(read_bytes(folder / RESULTS_FILE)).hexdigest()
            listed.append({"folder": folder.name, "task": run["task"], "seed": run["seed"], "sha256": digest})
    except OSError as error:
        raise RunError(f"{error.filename or out} cannot be copied ({error.strerror or error})") from error
    about = {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "description": description,
        "pretraining": pretraining,
        "url": url,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "results": listed,
    }
    save(out / FILE, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    return out / FILE


def without_places(content: bytes, config: Mapping[str, Any]) -> bytes:
    """The content of a JSON file without the folders of data, run and potential that a configuration names.

    What is not relative says where somebody's files are; the last part of it is kept.
    """
    code = (config.get("model") or {}).get("code") or {}
    for place in (config.get("data"), config.get("init_from"), code.get("file")):
        if isinstance(place, str) and Path(place).is_absolute():
            for ascii_only in (True, False):
                old, new = (json.dumps(text, ensure_ascii=ascii_only).encode() for text in (place, Path(place).name))
                content = content.replace(old, new)
    return content
