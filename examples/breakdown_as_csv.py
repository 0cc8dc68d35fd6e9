"""Every metric of a stored result, by set and group, as a CSV file for plots."""

import csv

import compbench_jax as cb

result = cb.load_result("results/mini/fragment_fusion-mace-seed0")
records = result.records()
with open("breakdown.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, records[0])
    writer.writeheader()
    writer.writerows(records)
worst = max((r for r in records if (r["by"], r["set"], r["metric"]) == ("by_element", "ood", "force_mae")),
            key=lambda record: record["value"])  # fmt: skip
print(f"{len(records)} rows in breakdown.csv")
print(f"the largest OOD force MAE is on {worst['group']}: {worst['value']:.3f} eV/Å")
