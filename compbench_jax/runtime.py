"""The process that JAX runs in: memory allocator and compilation cache. Nothing here imports JAX.

Both must be settled before JAX is imported (the allocator even before the process starts), so entry points call
:func:`prepare_process` first, before any import that is not of the standard library.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(32 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}
"""glibc settings that keep freed memory instead of handing it back to the kernel after each step. A training step on
the CPU allocates the same large temporaries again and again; with the defaults each comes as fresh zeroed pages,
which costs a factor of about 1.6 in time."""

LEAST = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
"""Least seconds of compilation that are worth keeping, 1 by JAX's default: a run starts dozens of smaller programs."""

OFF = "COMPBENCH_NO_MALLOC_TUNING"
"""Set to anything to leave the allocator alone."""

Precision = Literal["float32", "float64", "tensorfloat32", "bfloat16"]
"""``float32``: everything, matrix products included. ``float64``: likewise. ``tensorfloat32``: float32, but a GPU may
shorten the inputs of matrix products to 10 bits. ``bfloat16``: float32, but the dense layers of the network multiply
inputs of 7 bits, whatever the device; sums, distances, angular functions, tensor products and the last layer of a
readout stay float32."""

PRECISIONS: tuple[str, ...] = get_args(Precision)

DONE = "COMPBENCH_MALLOC_TUNED"
"""Set in the environment of the process that was started again, so that it happens once."""

PARENT = "COMPBENCH_PARENT"
"""Number of the process that a command was started by, where it must not outlive it."""

FAULTY_JAX = {"0.10.2": "39103", "0.11.0": "40633", "0.11.1": "40633"}
"""Versions of JAX that give wrong numbers without a word: version → issue of github.com/jax-ml/jax. In 0.10.2 products
of more than 32,768 rows on a CPU. pyproject.toml excludes them."""

WARNED = "COMPBENCH_JAX_WARNED"
"""Set once the version of JAX was warned of, so that the processes started from this one are silent."""

ACCELERATORS = (
    "jax_cuda12_plugin",
    "jax_cuda13_plugin",
    "jax_rocm60_plugin",
    "jax_rocm7_plugin",
    "jax_plugins",
    "libtpu",
)
"""Packages whose presence means that JAX may run on something other than the CPU."""


def prepare_process() -> None:
    """Settle allocator and compilation cache of this process; may replace the process by itself (see below)."""
    apply_compilation_cache()
    apply_allocator_settings()


def apply_allocator_settings() -> None:
    """Start this program again, in the same process, with the allocator settings of ``MALLOC``.

    glibc reads them when a process starts, hence the ``execve``: process id, exit code and signals stay those of the
    one process that the user started. Does nothing where it would not help (not glibc, not on the CPU), where the user
    has set the variables, where ``COMPBENCH_NO_MALLOC_TUNING`` is set, or the second time.
    """
    changes = allocator_changes(os.environ)
    if not changes:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **changes})


def allocator_changes(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables to set before starting again; empty if there is nothing to do."""
    if OFF in environment or DONE in environment or not runs_on_cpu(environment) or not uses_glibc():
        return {}
    changes = {key: value for key, value in MALLOC.items() if key not in environment}
    return {**changes, DONE: "1"} if changes else {}


def uses_glibc() -> bool:
    """Whether the C library is the one that the settings are made for."""
    return sys.platform == "linux" and platform.libc_ver()[0] == "glibc"


def runs_on_cpu(environment: Mapping[str, str]) -> bool:
    """Whether JAX will run on the CPU: told so, or no plug-in for an accelerator is installed."""
    platforms = environment.get("JAX_PLATFORMS", "")
    if platforms:
        return platforms.split(",")[0] == "cpu"
    return all(importlib.util.find_spec(name) is None for name in ACCELERATORS)


def apply_compilation_cache() -> None:
    """Keep compiled programs between runs in the user's cache folder, unless ``JAX_COMPILATION_CACHE_DIR`` says where.

    The folder is named after the processor, since a home folder may be shared by machines that cannot run each
    other's code.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache_folder(os.environ))
    os.environ.setdefault(LEAST, "0.1")
    # Of a program from the cache XLA prints at length, as an error, that options of its own are no features of the
    # processor. What does go wrong is raised.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def warn_of_jax() -> None:
    """Say on the terminal, once for a process and those that it starts, that the JAX installed gives wrong numbers."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        faulty = next((v for v in map(importlib.metadata.version, ("jaxlib", "jax")) if v in FAULTY_JAX), None)
        if faulty and WARNED not in os.environ:
            os.environ[WARNED] = faulty
            others = ",".join(f"!={version}" for version in FAULTY_JAX)
            print(
                f"warning: jax {faulty} can give wrong numbers (github.com/jax-ml/jax/issues/{FAULTY_JAX[faulty]}): "
                f"pip install 'jax>=0.10,{others}'",
                file=sys.stderr,
            )


def process_settings(environment: Mapping[str, str]) -> dict[str, Any]:
    """Allocator and compilation cache of a process with this environment, for the log of a run.

    ``allocator`` is ``"keeps memory"`` (the settings of ``MALLOC``), ``"user's"`` (some of the variables have other
    values) or ``"default"``; ``compilation_cache`` the folder, without that of the user, or None.
    """
    given = {key: environment[key] for key in MALLOC if key in environment}
    tuned = given == MALLOC and uses_glibc()
    folder = environment.get("JAX_COMPILATION_CACHE_DIR", "")
    return {
        "allocator": "keeps memory" if tuned else "user's" if given else "default",
        "compilation_cache": folder.replace(str(Path.home()), "~", 1) if folder else None,
    }


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Folder for compiled programs of this processor."""
    base = environment.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "compbench_jax" / "jax" / hashlib.sha256(processor().encode()).hexdigest()[:12]


def processor() -> str:
    """Architecture and instruction sets of this machine's processor, as text."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    kinds = ("flags", "Features", "model name")
    return "\n".join([platform.machine(), *sorted({line for line in lines if line.startswith(kinds)})])
