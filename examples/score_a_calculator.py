"""Score any ASE calculator: GFN1-xTB against labels of GFN2-xTB."""

from tblite.ase import TBLite

import compbench_jax as cb

data = cb.load_data("data/mini")
calculator = TBLite(method="GFN1-xTB", verbosity=0)
result = cb.evaluate(calculator, data, "fragment_fusion", name="GFN1-xTB", level="GFN1-xTB", max_frames=80)
print(result)
