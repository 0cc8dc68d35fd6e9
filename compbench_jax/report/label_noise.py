"""The label noise of a data set as a table."""

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from compbench_jax.store.label_noise import LabelNoise


def label_noise_table(data: str, floors: Sequence[LabelNoise]) -> Table:
    """One row per recomputation of the labels."""
    table = Table(
        title=escape(f"Label noise of {data}: labels compared with recomputed ones"),
        caption="forces in meV/Å, energies in meV, each molecule's mean difference taken out",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
    table.add_column("recomputed with", no_wrap=True)
    for heading in ("frames", "force MAE", "force RMSE", "largest", "E MAE"):
        table.add_column(heading, justify="right", no_wrap=True)
    for floor in floors:
        frames = f"{floor.n_frames}" + (f" (+{floor.failed} failed)" if floor.failed else "")
        energy = "–" if floor.energy_mae is None else f"{1000 * floor.energy_mae:.2g}"
        forces = (f"{1000 * value:.2g}" for value in (floor.force_mae, floor.force_rmse, floor.force_max))
        table.add_row(escape(floor.name), frames, *forces, energy)
    return table
