#!/usr/bin/env bash
# SchNet and MACE (small) on the four tasks of data/mini: writes results/mini, docs/findings.md and the table of the README.
# Two runs at a time, one core each, about 90 minutes of one core in all. Interrupted, it goes on where it was.
#   benchmarks/mini.sh [FOLDER FOR THE RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/mini}
tasks=(chain_extension fragment_duplication fragment_combination fragment_transfer)
models=(schnet mace)
# As many steps as about ten minutes of one core allow; MACE's normalised weights take the larger rate.
declare -A settings=(
    [schnet]="--steps 15000 --optimiser.learning-rate 5e-3"
    [mace]="--steps 2500 --optimiser.learning-rate 1e-2"
)

one() {
    local core=$1 task=$2 model=$3 run="$runs/$2-$3" out="results/mini/$2-$3"
    local pin=()
    command -v taskset >/dev/null && pin=(taskset -c "$core")
    # shellcheck disable=SC2086  # the settings are several words
    "${pin[@]}" python train.py --task "$task" --data data/mini --out "$run" ${settings[$model]} "model:$model"
    "${pin[@]}" python evaluate.py --run "$run"
    mkdir -p "$out"
    cp "$run"/{results.json,where.json,showcase.json,config.json,audit.json,log.jsonl,force_mae_by_n.png} "$out"
}

chain() {
    local core=$1 model=$2
    for task in "${tasks[@]}"; do
        one "$core" "$task" "$model"
    done
}

# Both chains are waited for, so that a failure of one does not cut off the other.
chain 0 "${models[0]}" & first=$!
chain 1 "${models[1]}" & second=$!
status=0
wait "$first" || status=$?
wait "$second" || status=$?
[ "$status" -eq 0 ] || exit "$status"

compbench findings results/mini results/foundation --page README.md --page docs/findings.md --figures docs/findings
