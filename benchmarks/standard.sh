#!/usr/bin/env bash
# results/standard: MACE (small), 3,000 steps on data/standard, on the four tasks, both hints and fission. About half an
# hour of two cores; what is finished is kept.
#   benchmarks/standard.sh [RUNS]
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-runs/standard}

publish() {  # FOLDER
    mkdir -p "results/standard/$1"
    for name in results.json config.json log.jsonl audit.json; do
        [ ! -e "$runs/$1/$name" ] || cp "$runs/$1/$name" "results/standard/$1/"
    done
}

for task in chain_extension chain_extension_hints fragment_fusion fragment_fusion_hints fragment_combination fragment_duplication; do
    run=$runs/$task-mace-seed0
    if [ ! -e "$run/results.json" ]; then
        compbench-train --task $task --data data/standard --out "$run" --steps 3000 \
            --watch.monitor-frames 100 --watch.validate-every 375 model:mace
        compbench-evaluate --run "$run" --max-frames 1000
    fi
    publish $task-mace-seed0
done
[ -e "$runs/fragment_fission-mace-seed0/results.json" ] || compbench-evaluate --run "$runs/fragment_duplication-mace-seed0" \
    --task fragment_fission --max-frames 1000 --out "$runs/fragment_fission-mace-seed0"
publish fragment_fission-mace-seed0
compbench findings results/standard --page docs/findings.md --of standard
