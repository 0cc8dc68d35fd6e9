#!/usr/bin/env bash
# Peak learning rates of the small presets and of SO3LR (fine-tuned and from random parameters): four rates each, trained
# together for about a tenth of the suites' minutes on chain_extension of data/mini. `compbench_jax/models/registry.py` takes
# the rate of the lowest validation loss (tuning frames, never test frames), and the lower of two that are within a tenth
# of each other, since suites train longer. Two potentials at a time, one core each, about 20 minutes (SO3LR's weights
# come from `compbench foundation install so3lr`). Interrupted, it goes on where it was.
#   benchmarks/learning_rates.sh [FOLDER FOR THE RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-runs/learning_rates}

[ -e "$out/weights/so3lr" ] || compbench foundation convert so3lr --out "$out/weights/so3lr"

trial() {  # CORE PRESET STEPS [FOLDER [RATES AND OTHER SETTINGS]]
    local core=$1 model=$2 steps=$3 name=${4:-$2} pin=()
    local settings=(--learning-rates 5e-4 1e-3 3e-3 1e-2)
    [ $# -gt 4 ] && settings=("${@:5}")
    command -v taskset >/dev/null && pin=(taskset -c "$core")
    "${pin[@]}" python train.py --task chain_extension --data data/mini --out "$out/$name" --steps "$steps" \
        "${settings[@]}" --watch.monitor-frames 0 --watch.validate-every 1000 "model:$model"
}

(trial 0 equiformer-v2 150; trial 0 painn 500; trial 0 schnet 1200
 trial 0 so3lr 280 so3lr-fine-tuned --learning-rates 1e-4 5e-4 1e-3 3e-3 --init-from "$out/weights/so3lr") & first=$!
(trial 1 gemnet 200; trial 1 dimenet 250; trial 1 nequip 300; trial 1 mace 300
 # At 1e-2 it diverges.
 trial 1 so3lr 280 so3lr --learning-rates 5e-4 1e-3 3e-3 5e-3) & second=$!
status=0
wait "$first" || status=$?
wait "$second" || status=$?
[ "$status" -eq 0 ] || exit "$status"

for log in "$out"/*/log.jsonl; do
    python - "$log" <<'PYTHON'
import json, pathlib, sys
path = pathlib.Path(sys.argv[1])
rates = json.loads((path.parent / "config.json").read_text())["learning_rates"]
events = [json.loads(line) for line in path.read_text().splitlines()]
last = {e["member"]: e["validation_loss"] for e in events if e["event"] == "validation"}
print(f"{path.parent.name:14}", "  ".join(f"{rate:g}: {last[k]:.3f}" for k, rate in enumerate(rates)))
PYTHON
done
