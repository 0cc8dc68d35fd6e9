import io

import numpy as np
from rich.console import Console

from compbench_jax.evaluation.uncertainty import Items, spread_block
from compbench_jax.report.ensemble_table import ensemble_table


def test_scores_of_forces_and_energies_id_beside_ood():
    error = np.random.default_rng(0).exponential(size=200)
    perfect = spread_block(Items(error**2, error**2, np.arange(200) % 5), 20, 0, "id")
    nothing = spread_block(Items(np.ones(200), error**2, np.zeros(200, int)), 20, 0, "ood")
    text = io.StringIO()
    both = {"id": perfect, "ood": nothing}
    Console(file=text, width=100).print(ensemble_table({"n_members": 4, "forces": both, "energy": both}))
    lines = text.getvalue().splitlines()
    assert "standard deviation of 4 seeds" in lines[0]
    correlation = next(line for line in lines if "rank correlation" in line)
    assert correlation.split()[-4:] == ["1.00", "[1.00,", "1.00]", "–"]
    assert sum("AUSE" in line for line in lines) == 2
