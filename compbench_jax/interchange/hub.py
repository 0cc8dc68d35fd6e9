"""The official data set, fetched from the Hugging Face hub: chosen files of one pinned commit, checksums compared.

Transfers are plain HTTP (a connection cut halfway is taken up again by range requests while the command runs). Files
that are whole stay; the one under way when the command itself is killed begins again. No login is read or sent.
"""

import fnmatch
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType

from compbench_jax.errors import CompBenchError, DataError, optional_import
from compbench_jax.interchange.sources import READERS
from compbench_jax.molecules.molecule import Molecule
from compbench_jax.molecules.naming import COMMON_NAMES
from compbench_jax.molecules.registry import extended_registry
from compbench_jax.store.manifest import file_sha256

REPOSITORY = "AmirMasoud/GMD"
DEFAULT_PATTERNS = ("data/*",)
PAPER_LEVEL = {"method": "PBE-D3(BJ)", "basis": "def2-TZVP", "program": "ORCA"}
"""Level of theory of the labels as the paper states it (arXiv 2605.08988); the files themselves may not say."""

TIMEOUT = 30.0
"""Seconds to wait for the hub's answer about the repository."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of the repository: path, bytes, and either its SHA-256 (large files) or its git blob identifier."""

    path: str
    size: int
    sha256: str | None
    blob: str


@dataclass(frozen=True)
class Listing:
    """The files of one commit of the repository."""

    commit: str
    files: tuple[RemoteFile, ...]


def list_files(revision: str | None = None, endpoint: str | None = None) -> Listing:
    """List the data files of a commit of the repository; scripts, weights and pickles are no data files.

    Args:
        revision: commit, tag or branch; None for the head of the main branch.
        endpoint: address of the hub; None for the official one (or what ``HF_ENDPOINT`` names).

    Raises:
        CompBenchError: no connection, no such revision, or no client installed.
        DataError: the hub's answer names a file outside the repository.
    """
    hub = _client()
    with _one_line(hub, "asking the hub for its files"):
        api = hub.HfApi(endpoint=endpoint, token=False)
        commit = api.dataset_info(REPOSITORY, revision=revision, timeout=TIMEOUT).sha
        if not re.fullmatch(r"[0-9a-f]{40}", str(commit)):
            raise DataError(f"the hub names no commit of {REPOSITORY}: try again later")
        tree = list(api.list_repo_tree(REPOSITORY, recursive=True, revision=commit, repo_type="dataset"))
    files = []
    for entry in tree:
        if not isinstance(entry, hub.hf_api.RepoFile) or PurePosixPath(entry.path).suffix.lower() not in READERS:
            continue
        parts = entry.path.split("/")
        if any(part in ("", ".", "..") or part.startswith(".") for part in parts) or re.search(
            r"[\\\0-\x1f]", entry.path
        ):
            raise DataError(
                f"the hub lists a file named {entry.path!r}, which leads out of the folder or hides: refused"
            )
        sha256 = entry.lfs.sha256 if entry.lfs is not None else None
        files.append(RemoteFile(entry.path, int(entry.size), sha256, str(entry.blob_id)))
    return Listing(str(commit), tuple(sorted(files, key=lambda file: file.path)))


def choose(listing: Listing, patterns: Sequence[str], molecules: Sequence[Molecule]) -> tuple[RemoteFile, ...]:
    """The files that fit a pattern and, where molecules are given, name one of them in their path.

    Raises:
        CompBenchError: no file fits.
    """
    fitting = [file for file in listing.files if any(fnmatch.fnmatchcase(file.path, pattern) for pattern in patterns)]
    if not fitting:
        raise CompBenchError(
            f"no file of {REPOSITORY} fits {' or '.join(patterns)}{_sample(listing.files)}: choose with --pattern"
        )
    wanted = {molecule.name for molecule in molecules}
    chosen = [file for file in fitting if not wanted or wanted & named_molecules(file.path)]
    if not chosen:
        raise CompBenchError(
            f"no file name mentions {', '.join(sorted(wanted)[:3])}{_sample(fitting)}: choose with --pattern instead"
        )
    return tuple(chosen)


def named_molecules(path: str) -> set[str]:
    """Names of the registry's molecules that a path mentions; of ``ethane-1,2-diol`` not ``ethane``.

    Names, common names and InChIKeys are recognised, whatever separates their words.
    """
    text = _words(path)
    found = [(words, name) for words, name in _known_names() if words in text]
    return {name for words, name in found if not any(words != other and words in other for other, _ in found)}


def fetch(
    listing: Listing,
    files: Sequence[RemoteFile],
    folder: Path,
    on_file: Callable[[RemoteFile], None] = lambda _: None,
    endpoint: str | None = None,
) -> list[Path]:
    """Fetch files into a folder, taking over those that are already there, and compare the checksum of each.

    Returns:
        their paths, in order.

    Raises:
        CompBenchError: the connection failed (what is whole stays), or the disk is too small.
        DataError: a checksum is wrong; the file is removed.
    """
    hub = _client()
    missing = sum(file.size for file in files if not (folder / file.path).is_file())
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CompBenchError(
            f"{folder}: {size_text(missing)} to fetch but {size_text(free)} free: choose another --raw"
        )
    paths = []
    for file in files:
        path = folder / file.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{path} leads out of {folder} by a link: remove the link")
        with _one_line(hub, f"fetching {file.path}", "; run the same command to go on"):
            hub.hf_hub_download(
                REPOSITORY,
                file.path,
                repo_type="dataset",
                revision=listing.commit,
                local_dir=folder,
                cache_dir=folder / ".cache" / "hub",
                token=False,
                endpoint=endpoint,
            )
        if path.stat().st_size != file.size or _checksum(path, file) != (file.sha256 or file.blob):
            path.unlink()
            raise DataError(
                f"{file.path} differs from its checksum on the hub and was removed: run the same command again"
            )
        paths.append(path)
        on_file(file)
    return paths


def size_text(n_bytes: int) -> str:
    """A number of bytes in words."""
    value, unit = float(n_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"


def _checksum(path: Path, file: RemoteFile) -> str:
    """SHA-256 of a large file; for others what git calls their blob."""
    if file.sha256 is not None:
        return file_sha256(path)
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _client() -> ModuleType:
    # Set before the client loads, for it reads them once. The chunk protocol keeps a cache outside the folder.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    hub = optional_import("huggingface_hub", "hub", "fetching the official data set")
    optional_import("huggingface_hub.hf_api", "hub", "fetching the official data set")
    return hub


@contextmanager
def _one_line(hub: ModuleType, what: str, advice: str = "") -> Iterator[None]:
    """Turn what the client raises into one line."""
    # The client's base errors are those of its HTTP library, whatever that is called in this version, and OSError.
    kinds = (*hub.errors.HfHubHTTPError.__bases__, OSError, ValueError)
    try:
        yield
    except kinds as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, hub.errors.RevisionNotFoundError):
            reason = "no such revision"
        elif status is not None:
            reason = f"the hub answered {status}"
        else:
            first = (str(error).splitlines() or [""])[0][:120]
            reason = f"no connection to the hub, or it failed ({type(error).__name__}: {first})"
        raise CompBenchError(f"{what} of {REPOSITORY}: {reason}{advice}") from error


def _sample(files: Sequence[RemoteFile]) -> str:
    names = ", ".join(file.path for file in files[:3])
    return f" (its files are named like {names})" if names else " (it has no data files)"


def _words(text: str) -> str:
    return " " + " ".join(re.findall(r"[a-z0-9]+", text.lower())) + " "


def _known_names() -> list[tuple[str, str]]:
    registry = extended_registry()
    names = [(m.name, m.name) for m in registry] + [(m.inchikey, m.name) for m in registry]
    return [(_words(text), name) for text, name in (*names, *COMMON_NAMES.items())]
