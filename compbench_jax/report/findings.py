"""Results of a grid as tables in Markdown: the blocks of docs/findings.md."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from compbench_jax.evaluation.breakdowns import BREAKDOWNS
from compbench_jax.metrics.definitions import METRICS
from compbench_jax.report.curves import match
from compbench_jax.report.drawing import MEV
from compbench_jax.report.findings_data import (
    directions,
    divergences,
    ensembles,
    paired,
    priors,
    rank_correlations,
    setting,
    shots,
)
from compbench_jax.report.findings_material import (
    LEARNT,
    NOTHING,
    Material,
    markdown,
    mean_curve,
    mean_of,
    pair,
    ranges,
)
from compbench_jax.report.gap import ControlledRuns, gap_of
from compbench_jax.report.leaderboard import METRIC, Row, kind_of_task, models_of, tasks_of
from compbench_jax.report.site_published import rows_of
from compbench_jax.report.table import MARK, is_marked, significant, with_interval

TWO_ENDS = ("fragment_duplication", "fragment_combination")
"""Tasks whose OOD molecules have a fragment at both ends, and training none with both."""

INTERVALS = "meV/Å; [95% interval over molecules and seeds; of one seed over molecules only]."

PER_ATOM = "_per_atom"
"""How the names of metrics per atom end."""

FEW = 5
"""Labelled frames of each OOD molecule that the key finding is about, or the nearest number that there is."""

FAR = 4
"""Bonds to an unseen environment from which on distances are merged."""


def headline(found: Material) -> str:
    """One sentence: by how much, over all potentials trained here on the main tasks, where most, and how
    large it is relative to the same potentials trained on those molecules too (of those with controls).
    """
    trained = [row for row in found.rows if row.kind == "trained" and kind_of_task(row.task) in found.main]
    ratios = {task: _ratios(row for row in trained if row.task == task) for task in tasks_of(trained)}
    ratios = {task: values for task, values in ratios.items() if values}
    if not ratios:
        return NOTHING
    everything = [value for values in ratios.values() for value in values]
    order = sorted(ratios, key=lambda task: -statistics.median(ratios[task]))
    parts = [f"`{task}` {ranges(ratios[task])}" for task in order]
    models = len(models_of(trained))
    potentials = f"{models} potential{'s' if models > 1 else ''}"
    return (
        f"**On unseen molecules made of known fragments, the force error of {potentials} trained here is "
        f"{ranges(everything)} times that on known molecules (median {significant(statistics.median(everything), 2)}): "
        f"{', '.join(parts)}{_beside_oracles(found)}.**"
    )


def key(found: Material) -> str:
    """The findings: ratios of all potentials on the main tasks, of easiest and hardest task, with a few labelled frames
    of the OOD molecules, after pre-training.
    """
    trained = [row for row in found.rows if row.kind == "trained" and kind_of_task(row.task) in found.main]
    tasks = {task: _ratios(row for row in trained if row.task == task) for task in tasks_of(trained)}
    tasks = {task: values for task, values in tasks.items() if values}
    if not tasks:
        return NOTHING
    every = [value for values in tasks.values() for value in values]
    order = sorted(tasks, key=lambda task: statistics.median(tasks[task]))
    low, high, middle = (significant(pick(every), 2) for pick in (min, max, statistics.median))
    ends = [f"{significant(statistics.median(tasks[task]), 2)} (`{kind_of_task(task)}`)" for task in order]
    lines = [
        f"Force errors of {len(models_of(trained))} potentials on unseen molecules are {low} to {high} times those on "
        f"known ones; the median is {middle}.",
        f"The task matters: median ratios run from {ends[0]} to {ends[-1]}.",
    ]
    for curve in shots(found):
        if curve.zero is None:
            continue
        frames = min(curve.rows, key=lambda number: abs(number - FEW))
        errors = (row.estimate("ood").value or 0.0 for row in (curve.zero, curve.rows[frames]))
        before, after = (significant(MEV * value) for value in errors)
        lines.append(
            f"{frames} labelled frames of each unseen molecule bring {curve.model} from {before} to {after} meV/Å "
            f"(`{kind_of_task(curve.task)}`)."
        )
    place = {(row.task, row.model, row.kind): row for row in found.rows}
    tuned = [(row, place.get((row.task, row.model.removesuffix(" (fine-tuned)"), "trained"))) for row in found.rows
             if row.kind == "fine-tuned" and kind_of_task(row.task) in found.main]  # fmt: skip
    pairs = [(after, before) for after, before in tuned if before is not None]
    if pairs:
        names = ", ".join(dict.fromkeys(before.model for _, before in pairs))
        gains = [(b.estimate("ood").value or 0.0) / (a.estimate("ood").value or 1.0) for a, b in pairs]
        ratios = [significant(statistics.median(_ratios(rows)), 2) for rows in zip(*pairs, strict=True)]
        lines.append(
            f"Pre-training ({names}) divides errors on unseen molecules by {significant(statistics.median(gains), 2)}; "
            f"the median ratio is {ratios[0]}, without it {ratios[1]}."
        )
    return "\n".join(f"- {line}" for line in lines)


def ratios(found: Material) -> str:
    """OOD / ID of the force MAE: potentials trained here down, main tasks across."""
    rows = [row for row in found.rows if row.kind == "trained" and kind_of_task(row.task) in found.main]
    tasks, place = tasks_of(rows), {(row.task, row.model): row.estimate("ratio").value for row in rows}
    lines = [[model, *(significant(place.get((task, model))) for task in tasks)] for model in models_of(rows)]
    return markdown(["OOD / ID", *(f"`{kind_of_task(task)}`" for task in tasks)], lines)


def _beside_oracles(found: Material) -> str:
    pairs = [
        (controlled.runs[0]["model"], gap)
        for controlled, gap in found.gaps
        if kind_of_task(controlled.task) in found.main
    ]
    values = [value for _, gap in pairs if (value := gap.unseen.estimate(METRIC).value) is not None]
    if not values:
        return ""
    models = " and ".join(dict.fromkeys(model for model, _ in pairs))
    return f"; {ranges(values)} times that of the same potential trained on the unseen molecules too ({models})"


def _ratios(rows: Iterable[Row]) -> list[float]:
    values = [row.estimate("ratio").value for row in rows]
    return [value for value in values if value is not None]


def matrix(found: Material) -> str:
    """Potentials down, tasks across: ID → OOD (ratio)."""
    tasks = tasks_of(found.rows)
    place = {(row.task, row.model): row for row in found.rows}
    lines = [
        [model, *(pair(place[task, model]) if (task, model) in place else "–" for task in tasks)]
        for model in models_of(found.rows)
    ]
    table = markdown(["potential", *(f"`{task}`" for task in tasks)], lines)
    return table if table == NOTHING else f"{table}\n\nForce MAE in meV/Å, ID → OOD (OOD / ID)."


def intervals(found: Material) -> str:
    """Every row with its intervals."""
    lines = [
        [f"`{row.task}`", row.model, str(len(row.sources)), with_interval(row.estimate("id"), MEV),
         with_interval(row.estimate("ood"), MEV), with_interval(row.estimate("ratio"))]
        for row in found.rows
    ]  # fmt: skip
    headings = ("task", "potential", "seeds", "force MAE, ID", "force MAE, OOD", "OOD / ID")
    return markdown(headings, lines, 2) + f"\n\n{INTERVALS}"


def cost(found: Material) -> str:
    """Training cost of each potential that was trained here, and its errors."""
    lines = []
    for row in found.rows:
        if row.kind not in ("trained", "fine-tuned"):
            continue
        inside, outside, ratio = (row.estimate(part).value for part in ("id", "ood", "ratio"))
        took = [_count(row.parameters), significant(row.speed), _count(row.group.runs[0]["config"].get("steps"))]
        errors = [significant(None if value is None else MEV * value) for value in (inside, outside)]
        lines.append([f"`{row.task}`", row.model, *took, *errors, significant(ratio)])
    headings = ("task", "potential", "parameters", "structures/s", "steps", "ID", "OOD", "OOD / ID")
    return markdown(headings, lines, 2)


def _count(number: int | None) -> str:
    return significant(None) if number is None else f"{number:,}"


def published(found: Material) -> str:
    """The published numbers and those of the same potentials here."""
    lines = []
    for table in found.facts["tables"]:
        place = {name: k for k, name in enumerate(table["columns"])}
        ours = rows_of(found.rows, table)
        for name, values in table["rows"].items():
            inside, outside = values[place["force_mae_id"]], values[place["force_mae_ood"]]
            row = ours.get(found.facts["models"][name])
            cosine = None if row is None else row.estimate("ood", "force_cosine").value
            lines.append(
                [name, f"{inside:g} → {outside:g} ({significant(outside / inside, 2)})",
                 f"{values[place['force_cosine_ood']]:.4f}", "–" if row is None else pair(row, scale=1.0),
                 "–" if cosine is None else f"{cosine:.4f}"]
            )  # fmt: skip
    headings = ("potential", "published, ID → OOD", "cosine, OOD", "here, ID → OOD (eV/Å)", "cosine, OOD")
    return markdown(headings, lines)


def lengths(found: Material) -> str:
    """Force MAE by the number of carbons, where the task is one of length."""
    tables = []
    for task in tasks_of(found.rows):
        rows = found.of(task)
        if not task.startswith("chain") or not rows:
            continue
        blocks = rows[0].group.runs[0]["by_n"]
        trained = {str(n) for n in rows[0].group.runs[0]["train"]["n"]}
        ns = sorted({*blocks["id"], *blocks["ood"]}, key=int)
        heads = [f"{n}{'' if n in trained else ' *'}" for n in ns]
        lines = []
        for row in rows:
            values = [
                next((v for v in (mean_of(row, "by_n", part, n) for part in ("id", "ood")) if v is not None), None)
                for n in ns
            ]
            lines.append([row.model, *(significant(None if v is None else MEV * v) for v in values)])
        tables.append(f"`{task}` (*: not trained on)\n\n" + markdown(["n", *heads], lines))
    return "\n\n".join(tables) or NOTHING


def contacts(found: Material) -> str:
    """OOD force MAE of frames without and with an unseen contact."""
    lines = []
    for row in found.rows:
        seen, unseen = (mean_of(row, "by_contact", "ood", label) for label in ("seen", "unseen"))
        if row.kind in LEARNT and seen and unseen:
            inside = row.estimate("id").value
            cells = [significant(None if v is None else MEV * v) for v in (inside, seen, unseen)]
            lines.append([f"`{row.task}`", row.model, *cells, significant(unseen / seen)])
    return markdown(
        ("task", "potential", "ID", "OOD, seen contacts only", "OOD, with an unseen contact", "unseen / seen"), lines, 2
    )


def proximity(found: Material) -> str:
    """OOD force MAE by the number of CH2 between the ends, where the molecules have two."""
    asked = [row for row in found.rows if row.kind in LEARNT and row.task.startswith(TWO_ENDS)]
    columns = sorted({n for row in asked for n in row.group.runs[0].get("by_ch2", {}).get("ood", {})}, key=int)
    lines = []
    for row in asked:
        values = [row.estimate("id").value, *(mean_of(row, "by_ch2", "ood", n) for n in columns)]
        lines.append([f"`{row.task}`", row.model, *(significant(None if v is None else MEV * v) for v in values)])
    return markdown(("task", "potential", "ID", *columns), lines, 2)


def elements(found: Material) -> str:
    """Force MAE of the atoms of each element, ID → OOD and their ratio."""
    lines = []
    for row in found.rows:
        if row.kind not in LEARNT:
            continue
        cells = []
        for symbol in ("H", "C", "N", "O"):
            known, unseen = (mean_of(row, "by_element", part, symbol) for part in ("id", "ood"))
            shown = [significant(None if value is None else MEV * value) for value in (known, unseen)]
            ratio = f" ({significant(unseen / known)})" if known and unseen is not None else ""
            cells.append("–" if known is None and unseen is None else f"{shown[0]} → {shown[1]}{ratio}")
        lines.append([f"`{row.task}`", row.model, *cells])
    return markdown(("task", "potential", "H", "C", "N", "O"), lines, 2)


def distances(found: Material) -> str:
    """OOD force MAE by the number of bonds from an atom to the nearest environment that training lacks."""
    lines = []
    for row in found.rows:
        labels = {
            label for run in row.group.runs for label in run.get("by_distance", {}).get("ood", {}) if label.isdigit()
        }
        if row.kind not in LEARNT or not labels:
            continue
        values = [mean_of(row, "by_distance", "ood", str(k)) for k in range(FAR)]
        far = _far(row, sorted(int(label) for label in labels if int(label) >= FAR))
        cells = [significant(None if v is None else MEV * v) for v in [*values, far]]
        lines.append([f"`{row.task}`", row.model, *cells])
    headings = ("task", "potential", *(str(k) for k in range(FAR)), f"{FAR} and more")
    return markdown(headings, lines, 2)


def _far(row: Row, labels: Sequence[int]) -> float | None:
    """Force MAE of all atoms of these groups, weighted by their number."""
    weighted, atoms = 0.0, 0
    for label in labels:
        value = mean_of(row, "by_distance", "ood", str(label))
        count = int(row.group.runs[0]["by_distance"]["ood"][str(label)]["n_atoms"])
        if value is None:
            return None
        weighted, atoms = weighted + value * count, atoms + count
    return weighted / atoms if atoms else None


def training(found: Material) -> str:
    """OOD / ID on the monitor frames early and late, and OOD errors where the ID errors are the same."""
    lines = []
    for task in tasks_of(found.rows):
        curves = {row.model: curve for row in found.of(task) if (curve := mean_curve(row)) is not None}
        matched = match(list(curves.values()))
        for place, (model, curve) in enumerate(curves.items()):
            early, late = (curve.ood[k] / curve.id[k] for k in (0, -1))
            best = int(np.argmin(curve.id))
            cells = [f"{significant(early)} (step {curve.step[0]})", significant(curve.ood[best] / curve.id[best]),
                     f"{significant(late)} (step {curve.step[-1]})"]  # fmt: skip
            crossing = None if matched is None else matched.crossings[place]
            if matched is None or crossing is None:
                cells += ["–"]
            else:
                cells += [f"{significant(MEV * crossing.ood)} at {significant(MEV * matched.id)} "
                          f"({significant(crossing.ood / matched.id)}), step {crossing.step:.0f}"]  # fmt: skip
            lines.append([f"`{task}`", model, *cells])
    headings = ("task", "potential", "first", "at the lowest ID error", "last", "OOD at matched ID error (meV/Å)")
    return markdown(headings, lines, 2)


def gaps(found: Material) -> str:
    """The compositional gap: task, random control and oracle, and the two factors of OOD / ID.

    Where the runs of the three differ in number, that of each is given.
    """
    lines = []
    for controlled, gap in found.gaps:
        cells = [with_interval(item.estimate(METRIC), MEV) for item in (gap.task, gap.control, gap.oracle)]
        known, inside = gap.oracle.estimate(METRIC).value, [run["id"][METRIC]["value"] for run in controlled.runs]
        cells.append(significant(None if known is None or None in inside else known / statistics.fmean(inside)))
        cells += [
            with_interval(gap.unseen.estimate(METRIC)),
            of_each_seed(controlled),
            with_interval(gap.gap.estimate(METRIC)),
        ]
        copies = [str(len(runs)) for runs in (controlled.runs, controlled.controls, controlled.oracles)]
        number = copies[0] if len(set(copies)) == 1 else " / ".join(copies)
        lines.append([f"`{controlled.task}`", controlled.runs[0]["model"], number, *cells])
    parts = ("task", "random control", "oracle", "oracle / ID", "task / oracle", "of each seed", "gap")
    return markdown(("task", "potential", "seeds", *parts), lines, 2)


def of_each_seed(controlled: ControlledRuns) -> str:
    """``"1.25, 1.21"``: task / oracle of each seed with its own oracle."""
    prices = []
    for seed in sorted({run["seed"] for run in controlled.runs}):
        runs, oracles = (
            tuple(run for run in group if run["seed"] == seed) for group in (controlled.runs, controlled.oracles)
        )
        alone = gap_of(replace(controlled, runs=runs, oracles=oracles))
        prices.append(significant(alone.unseen.estimate(METRIC).value))
    return ", ".join(prices)


def ranks(found: Material) -> str:
    """Whether the potential that is better on known molecules is better on unseen ones."""
    lines = []
    for task in tasks_of(found.rows):
        rows = [row for row in found.of(task, ("trained",)) if row.estimate("ood").value is not None]
        if len(rows) < 3:
            continue
        values = {part: [row.estimate(part).value or 0.0 for row in rows] for part in ("id", "ood")}
        order = [", ".join(rows[k].model for k in np.argsort(values[part])) for part in ("id", "ood")]
        lines.append([f"`{task}`", *order, f"{spearmanr(values['id'], values['ood']).statistic:.2f}"])
    return markdown(("task", "best to worst, ID", "best to worst, OOD", "rank correlation"), lines, 3)


def pretraining(found: Material) -> str:
    """The same network pre-trained only, fine-tuned and from random parameters."""
    before = ("zero-shot", "fine-tuned")
    names = {row.model.removesuffix(f" ({row.kind})") for row in found.rows if row.kind in before}
    lines = []
    for task in tasks_of(found.rows):
        for name in sorted(names):
            forms = {row.kind: row for row in found.of(task) if row.model.removesuffix(f" ({row.kind})") == name}
            if not set(before) & set(forms):
                continue
            cells = [pair(forms[kind]) if kind in forms else "–" for kind in ("zero-shot", "fine-tuned", "trained")]
            lines.append([f"`{task}`", name, *cells])
    headings = ("task", "potential", "zero-shot", "fine-tuned", "from random parameters")
    return markdown(headings, lines, 2)


def few_shot(found: Material) -> str:
    """OOD force MAE with more and more labelled frames of each OOD molecule."""
    curves = shots(found)
    numbers = sorted({frames for curve in curves for frames in curve.rows})
    lines = []
    for curve in curves:
        rows = [curve.zero, *(curve.rows.get(frames) for frames in numbers), curve.oracle]
        values = [None if row is None else row.estimate("ood").value for row in rows]
        cells = [significant(None if value is None else MEV * value) for value in values]
        lines.append([f"`{curve.task}`", curve.model, *cells])
    return markdown(("task", "potential", "0", *map(str, numbers), "oracle"), lines, 2)


def prior(found: Material) -> str:
    """The same potential without and with a prior."""
    lines = [[f"`{row.task}`", str(setting(row, "preset")), pair(without), pair(row)] for without, row in priors(found)]
    return markdown(("task", "potential", "without prior", "with prior"), lines, 2)


def pairs(found: Material) -> str:
    """The same potential trained on a task's molecules alone, and in close pairs, too."""
    lines = [[f"`{alone.task}`", row.model, pair(alone), pair(row)] for alone, row in paired(found)]
    return markdown(("task", "potential", "trained on molecules alone", "and on close pairs of them"), lines, 2)


def uncertainty(found: Material) -> str:
    """What the standard deviation of an ensemble's forces says of their error, atom by atom."""
    lines = []
    for row, block in ensembles(found):
        scores = [
            " → ".join(significant(block["forces"][part][name]["value"]) for part in ("id", "ood"))
            for name in ("error_over_spread", "spearman")
        ]
        lines.append([f"`{row.task}`", f"{row.model}, {block['n_members']} seeds", *scores])
    headings = ("task", "ensemble", "RMSE / standard deviation, ID → OOD", "rank correlation, ID → OOD")
    return markdown(headings, lines, 2)


def divergence(found: Material) -> str:
    """Divergence of the atom environments of each split by radius, and the median OOD / ID."""
    splits = divergences(found)
    radii = list(splits[0].by_radius) if splits else []
    lines = [
        [f"`{item.task}`", *(f"{value:.3f}" for value in item.by_radius.values()),
         significant(statistics.median(item.ratios))]
        for item in splits
    ]  # fmt: skip
    correlations = rank_correlations(splits)
    if correlations:
        lines.append(["rank correlation with OOD / ID", *(f"{value:.2f}" for value in correlations.values()), "–"])
    return markdown(("split", *(f"D_C, radius {k}" for k in radii), "OOD / ID, median"), lines)


def energies(found: Material) -> str:
    """Energy errors three ways, in meV per atom; marked where training does not determine total energies."""
    lines = []
    for row in found.rows:
        if row.kind not in LEARNT:
            continue
        ways = ("raw", "referenced", "centred")
        metrics = [f"energy_mae_{how}_per_atom" for how in ways]
        cells = [pair(row, name, 1.0) + MARK * is_marked(row.group.runs[0], name) for name in metrics]
        if row.group.runs[0]["config"].get("data_hash") == "":  # its total energies are of another level of theory
            cells[0] = "–"
        lines.append([f"`{row.task}`", row.model, *cells])
    table = markdown(("task", "potential", "raw", "referenced", "centred"), lines, 2)
    note = "meV per atom, ID → OOD (OOD / ID). † Not identifiable: the training compositions do not determine it."
    return table if table == NOTHING else f"{table}\n\n{note}"


def directions_table(found: Material) -> str:
    """Errors of the magnitude and of the direction of forces."""
    lines = []
    for row, sizes, angles in directions(found):
        pairs = ([MEV * value for value in sizes], angles)
        cells = [
            f"{significant(inside)} → {significant(outside)} ({significant(outside / inside)})"
            for inside, outside in pairs
        ]
        lines.append([f"`{row.task}`", row.model, *cells])
    return markdown(("task", "potential", "magnitude MAE (meV/Å)", "angle (degrees)"), lines, 2)


def metrics(_: Material) -> str:
    """Every metric: name in results, unit there, definition. Those per atom are one sentence."""
    lines = [
        f"- `{item.name}` ({item.unit}): {item.note}" for name, item in METRICS.items() if not name.endswith(PER_ATOM)
    ]
    return "\n".join([*lines, f"- energy errors with `{PER_ATOM}` after their names: per atom, meV/atom"])


def breakdowns(_: Material) -> str:
    """Every breakdown: name in results, heading in tables, what its groups are."""
    return "\n".join(f"- `by_{item.name}` ({item.heading}): {item.note}" for item in BREAKDOWNS.values())


BLOCKS: Mapping[str, Callable[[Material], str]] = {
    "headline": headline,
    "key": key,
    "ratios": ratios,
    "matrix": matrix,
    "intervals": intervals,
    "cost": cost,
    "published": published,
    "lengths": lengths,
    "contacts": contacts,
    "proximity": proximity,
    "elements": elements,
    "distances": distances,
    "training": training,
    "gaps": gaps,
    "ranks": ranks,
    "pretraining": pretraining,
    "few_shot": few_shot,
    "prior": prior,
    "pairs": pairs,
    "uncertainty": uncertainty,
    "divergence": divergence,
    "energies": energies,
    "directions": directions_table,
    "metrics": metrics,
    "breakdowns": breakdowns,
}
"""Blocks by the name that a page marks them with."""

DEFINITIONS = ("metrics", "breakdowns")
"""Blocks that are the same for all results."""


def findings(found: Material) -> dict[str, str]:
    """All blocks."""
    return {name: block(found) for name, block in BLOCKS.items()}
