#!/bin/sh
# Pre-trained on the families that a task has no molecule of, then fine-tuned on the task, beside the same potential
# trained on the task alone: three runs and one table.
#
#     benchmarks/fine_tuning.sh chain_extension schnet data/mini runs/fine_tuning [OPTIONS OF train.py …]
#
# Environment: PRETRAIN_STEPS (3000), STEPS (3000, of the other two), RATE (5e-4, learning rate of the fine-tuning).
# The same command goes on where it was stopped.
set -eu
task=$1 model=$2 data=$3 out=$4
shift 4

python train.py --task "pretraining($task)" --data "$data" --out "$out/pretrained" \
    --steps "${PRETRAIN_STEPS:-3000}" "$@" "model:$model"
python train.py --task "$task" --data "$data" --out "$out/fine_tuned" --init-from "$out/pretrained" \
    --optimiser.learning-rate "${RATE:-5e-4}" --steps "${STEPS:-3000}" "$@" "model:$model"
python train.py --task "$task" --data "$data" --out "$out/alone" --steps "${STEPS:-3000}" "$@" "model:$model"
for run in pretrained fine_tuned alone; do
    python evaluate.py --run "$out/$run"
done
compbench table "$out/alone" "$out/fine_tuned" "$out/pretrained" | tee "$out/table.md"
