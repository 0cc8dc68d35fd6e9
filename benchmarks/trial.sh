#!/bin/sh
# MACE (small) on a task of an early trial with another program (InstaDeep's mlip, MACE with 64 channels, 11
# minutes of one core each), on the same molecules and as many frames: single trajectories, 150 + 60 frames a molecule.
#
#     benchmarks/trial.sh runs/trial
#
# The trial's force MAE, ID -> OOD (eV/Å): alkanes C2-C6 -> C7-C10 0.0120 -> 0.0180. Its trajectories were others: intervals over molecules say how much that matters.
# Environment: STEPS (6000), WORKERS (of the labels, 2). The same command goes on where it was stopped.
set -eu
out=$1
cd "$(dirname "$0")/.."
sampling="--preset standard --segments 1 --workers ${WORKERS:-2} --settings primary_frames 150 secondary_frames 60 tuning_frames 20"

# shellcheck disable=SC2086  # several words
compbench generate $sampling --out "$out/alkanes" \
    --molecules ethane propane butane pentane hexane heptane octane nonane decane
run="$out/chain_extension"
python train.py --task chain_extension --data "$out/alkanes" --out "$run" --steps "${STEPS:-6000}" model:mace
python evaluate.py --run "$run"
compbench table "$run"
