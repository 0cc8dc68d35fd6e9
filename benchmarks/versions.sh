#!/usr/bin/env bash
# The test command with the lowest or the newest versions that pyproject.toml allows, in an environment of its own.
# oldest-jax: the newest with the oldest jax, since the lowest of some packages have no wheels for the newest Python.
#   benchmarks/versions.sh lowest|oldest-jax|newest PYTHON ENVIRONMENT
#   benchmarks/versions.sh lowest python3.11 runs/lowest
set -euo pipefail
cd "$(dirname "$0")/.."
end=$1 python=$2 environment=$3
[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
"$environment/bin/python" - "$end" > "$environment/constraints.txt" <<'PYTHON'
import re, sys, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
words = [*project["dependencies"], *(word for part in project["optional-dependencies"].values() for word in part)]
lowest = (re.match(r"([\w.-]+)(?:\[.*\])?>=([\w.]+)", word) for word in words)
pinned = {f"{found[1]}=={found[2]}.*" for found in lowest if found and found[1] != "torch"}
if sys.argv[1] != "newest":
    print("\n".join(sorted(pin for pin in pinned if sys.argv[1] == "lowest" or pin.startswith("jax=="))))
PYTHON
sed -i 's/\.dev0\.\*$/.dev0/' "$environment/constraints.txt"
"$environment/bin/pip" install --quiet --disable-pip-version-check -e '.[test]' -c "$environment/constraints.txt"
"$environment/bin/pip" freeze --exclude-editable > "$environment/versions.txt"
"$environment/bin/python" -m pytest -q -n 2 -p no:cacheprovider
