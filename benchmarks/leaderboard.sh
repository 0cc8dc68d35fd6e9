#!/usr/bin/env bash
# The leaderboard's entries that are our own, from the committed results of the suite `cpu`; those that lack a task wait.
#   benchmarks/leaderboard.sh
set -euo pipefail
cd "$(dirname "$0")/.."
tasks=(chain_extension fragment_fusion fragment_duplication fragment_combination fragment_fission)

rm -rf leaderboard/*/

entry() {  # CELLS NAME DESCRIPTION PRE-TRAINING
    local folder=leaderboard/$1 results=() found
    for task in "${tasks[@]}"; do
        [ -e "results/cpu/$task-$1-seed0/results.json" ] || return 0
        for found in results/cpu/"$task-$1"-seed*; do results+=("$found"); done
    done
    compbench submit "${results[@]}" --name "$2" --description "$3" --pretraining "$4" --out "$folder"
}

small="Small preset, 300 GFN2-xTB frames per molecule, four minutes of one CPU core per task."
four_million="About four million structures at PBE0+MBD (SO3LR); molecules of up to seven heavy atoms may be among them."
entry schnet "SchNet (small)" "$small" none
entry dimenet "DimeNet++ (small)" "$small" none
entry painn "PaiNN (small)" "$small" none
entry gemnet "GemNet-T (small)" "$small" none
entry equiformer_v2 "EquiformerV2 (small)" "$small" none
entry nequip "NequIP (small)" "$small" none
entry mace "MACE (small)" "$small Weights: mace-chain_extension, mace-fragment_fusion, mace-fragment_combination." none
entry mace-prior "MACE with a classical prior" "$small The network learns what a classical force field, fitted to the same frames, leaves." none
entry so3lr "SO3LR, from random parameters" "Its network. ${small#Small preset, }" none
entry so3lr-fine-tuned "SO3LR" "Its published weights, fine-tuned. ${small#Small preset, }" "$four_million"
entry so3lr-zero-shot "SO3LR" "Its published weights as they are: another level of theory than the labels." "$four_million"
entry ani-1x "ANI-1x" "As torchani brings it: another level of theory than the labels." \
    "About five million structures at wB97X/6-31G(d) (ANI-1x); molecules of up to eight heavy atoms may be among them."
entry gfn1-xtb "GFN1-xTB" "A semi-empirical method (tblite), not a trained potential: what another level of theory costs." none
