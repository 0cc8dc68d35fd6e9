"""A preset with another size, and other settings of the training."""

import sys
from dataclasses import replace

import compbench_jax as cb
from compbench_jax.training.settings import LossSettings

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000

data = cb.load_data("data/mini")
model = replace(cb.MODELS["painn"], features=96)
loss = LossSettings(energy_weight=0.5)
run = cb.train(model, data, "fragment_combination", out="runs/larger", steps=steps, learning_rate=5e-3, loss=loss)
print(cb.evaluate(run, data, "fragment_combination", max_frames=200))
