#!/bin/sh
# MACE (small) on the two tasks of an early trial with another program (InstaDeep's mlip, MACE with 64 channels, 11
# minutes of one core each), on the same molecules and as many frames: single trajectories, 150 + 60 frames a molecule.
#
#     benchmarks/trial.sh runs/trial
#
# The trial's force MAE, ID -> OOD (eV/Å): alkanes C2-C6 -> C7-C10 0.0120 -> 0.0180; alkanes and acids C2-C7 -> di-acids
# C3-C8 0.0170 -> 0.0486. Its trajectories were others: intervals over molecules say how much that matters.
# Environment: STEPS (6000), WORKERS (of the labels, 2). The same command goes on where it was stopped.
set -eu
out=$1
cd "$(dirname "$0")/.."
sampling="--preset standard --segments 1 --workers ${WORKERS:-2} --settings primary_frames 150 secondary_frames 60 tuning_frames 20"

# shellcheck disable=SC2086  # several words
compbench generate $sampling --out "$out/alkanes" \
    --molecules ethane propane butane pentane hexane heptane octane nonane decane
# shellcheck disable=SC2086
compbench generate $sampling --out "$out/acids" --molecules ethane propane butane pentane hexane heptane \
    "acetic acid" "propanoic acid" "butanoic acid" "pentanoic acid" "hexanoic acid" "heptanoic acid" \
    "propanedioic acid" "butanedioic acid" "pentanedioic acid" "hexanedioic acid" "heptanedioic acid" "octanedioic acid"
for pair in chain_extension:alkanes fragment_duplication:acids; do
    run="$out/${pair%%:*}"
    python train.py --task "${pair%%:*}" --data "$out/${pair##*:}" --out "$run" --steps "${STEPS:-6000}" \
        --optimiser.learning-rate 1e-2 model:mace
    python evaluate.py --run "$run"
done
compbench table "$out/chain_extension" "$out/fragment_duplication"
