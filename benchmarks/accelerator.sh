#!/usr/bin/env bash
# Speed on an accelerator: one command of ten minutes at most, which another call continues where it ended.
#   benchmarks/accelerator.sh FILE.json [options of benchmarks/accelerator.py]
# PYTHON names the interpreter of the environment with JAX for the accelerator, and mlip where that is to be compared.
set -euo pipefail
file=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
status=0
PYTHONPATH="$(dirname "$here")${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 XLA_PYTHON_CLIENT_PREALLOCATE=false \
    timeout 585 "${PYTHON:-python3}" "$here/accelerator.py" --json-file "$file" "$@" || status=$?
[ "$status" = 124 ] || exit "$status" # time was up during a measurement: what came before it is in the file
