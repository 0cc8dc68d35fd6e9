"""What a result was computed with: versions, hardware, date."""

import datetime
import importlib.metadata
import os
import platform
from typing import Any

import jax

PACKAGES = ("compbench_jax", "jax", "jaxlib", "flax", "jraph", "e3nn-jax", "numpy", "orbax-checkpoint")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that a result depends on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """Devices and processor. No host name: results are published."""
    devices = jax.devices()
    return {
        "backend": devices[0].platform,
        "device": devices[0].device_kind,
        "n_devices": len(devices),
        "processor": processor_name(),
        "n_cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def processor_name() -> str:
    """Name of the processor as Linux tells it; elsewhere the best that Python knows."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def now() -> str:
    """Date and time in UTC, ISO 8601 to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
