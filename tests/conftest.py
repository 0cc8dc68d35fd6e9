"""What must be set before numerical libraries load: one thread each, since the suite itself may run in parallel."""

import os

import hypothesis
import pytest

from compbench_jax.runtime import WARNED

os.environ.setdefault(WARNED, "tests compare what programs print")

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Time is no property of a test here: the machines are small and busy.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


@pytest.fixture(scope="session")
def kept_programs(tmp_path_factory):
    """Keeps compiled programs for the session, where the same small potentials are compiled again and again."""
    import jax

    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("kept")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)
