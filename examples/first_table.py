"""From data to an ID/OOD table: train SchNet on one task and evaluate it."""

import sys

import compbench_jax as cb

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

data = cb.load_data("data/mini")
run = cb.train("schnet", data, "chain_extension", out="runs/first-table", steps=steps)
result = cb.evaluate(run, data, "chain_extension", out=run)
print(result)
print("OOD / ID of the force MAE:", result["ratio"]["force_mae"]["value"])
