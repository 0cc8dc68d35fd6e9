#!/usr/bin/env bash
# A wheel in an environment of its own, away from the sources: the commands answer, and a potential trains on data/mini.
#   benchmarks/wheel.sh PYTHON WHEEL
set -euo pipefail
data=$(cd "$(dirname "$0")/.." && pwd)/data/mini
python=$1 wheel=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
cd "$scratch"
PATH="$scratch/venv/bin:$PATH"
compbench --version
compbench tasks --data "$data" > tasks.txt
grep --quiet fragment_fission tasks.txt
compbench train --task chain_extension --data "$data" --out run --steps 2 --watch.monitor-frames 0 model:schnet --model.features 8
compbench evaluate --run run --max-frames 20 | grep "OOD / ID"
python - <<'PYTHON'
import sys

import jax

import compbench_jax

print(f"Python {sys.version.split()[0]}, jax {jax.__version__}, {compbench_jax.__file__}")
PYTHON
