"""What must be set before numerical libraries load: one thread each, since the suite itself may run in parallel."""

import os

import hypothesis

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

# Time is no property of a test here: the machines are small and busy.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")
