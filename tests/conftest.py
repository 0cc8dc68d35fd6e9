"""What must be set before numerical libraries load: one thread each, since the suite itself may run in parallel."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
