"""Whether the evaluation tells a biomarker from a leak: a planted cohort, a null cohort, slices.

    lentiform lnc simulate -o planted --label-maps MAPS --seed 1
    lentiform lnc simulate -o null --label-maps MAPS --seed 2 --null
    python -m benchmarks.lnc_leak planted null --workdir DIR [--repeats 20]

Writes DIR/leak.md: the planted relation, the null cohort parted by subjects and by slices, and how
often chance is taken for a finding: in each repeat the null cohort's FA, CBF and labels are dealt
out anew among its subjects, together, while the T1w stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from apps.evaluate.markdown import number, table
from apps.evaluate.progress import shown
from apps.evaluate.statistics import Ratio
from apps.lnc.leak import BY_SLICE, BY_SUBJECT, evaluate_slices
from apps.lnc.measures import measure_all
from apps.lnc.page import PAPER
from apps.lnc.scans import read_cohort
from apps.lnc.simulated import LABELS
from apps.lnc.study import DEEP, Design, Table, evaluate, tabulate
from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, load_settings
from operators.lnc_scorer.bundle import load_network

NOMINAL = 0.05
REPEATED = Design(permutations=199)
"""Of the repeats: fewer permutations than of a single evaluation, for speed."""


def dealt(whole: Table, seed: int) -> Table:
    """The table with FA, CBF and labels of subjects drawn at random, together."""
    order = np.random.default_rng(seed).permutation(len(whole.means))
    return replace(whole, means=whole.means[order],
                   labels={name: values[order] for name, values in whole.labels.items()})


def false_alarms(whole: Table, repeats: int) -> tuple[Ratio, Ratio]:
    """How many quantities and labels pass for a finding over repeats in which there is none."""
    quantities, labels = [], []
    for seed in shown(range(repeats), repeats, "repeat"):
        of_quantities, of_labels = evaluate(dealt(whole, seed), replace(REPEATED, seed=seed))
        quantities += [one.p < NOMINAL for one in of_quantities]
        labels += [one.p < NOMINAL for one in of_labels]
    return Ratio(sum(quantities), len(quantities)), Ratio(sum(labels), len(labels))


def rows_of(ways: Sequence[tuple[str, Any, str]]) -> list[tuple[str, ...]]:
    """A row per quantity and label, a column per way: its name, results, and features."""
    rows = []
    first, labels = ways[0][1]
    for n, one in enumerate(first):
        name = f"{one.role.value.upper()} of the {one.region}: RMSE in % of the mean; R²"
        rows.append((name, *(_figure(found[n].sets[key].rmse_percent, 2) + "; " + _figure(
            found[n].sets[key].r2) + _p(found[n].p) for _, (found, _), key in ways)))
    for n, one in enumerate(labels):
        rows.append((f"{one.name}: accuracy", *(_figure(found[n].sets[key].accuracy) + _p(
            found[n].p) for _, (_, found), key in ways)))
    return rows


def _figure(one: Any, digits: int = 3) -> str:
    return f"{number(one.value, digits)} [{number(one.low, digits)}, {number(one.high, digits)}]"


def _p(value: float) -> str:
    return f", p = {value:.3f}" if np.isfinite(value) else ""


def baselines(quantities: Sequence[Any], labels: Sequence[Any]) -> str:
    """What deep features gain over the baselines."""
    rows = [(f"{one.role.value.upper()} of the {one.region}: R²",
             *(_figure(gain) for gain in one.gains.values())) for one in quantities]
    rows += [(f"{one.name}: balanced accuracy", *(_figure(gain) for gain in one.gains.values()))
             for one in labels]
    return table(("gain of deep features over", *quantities[0].gains), rows)


def tabulated(folder: Path, workdir: Path, models: Path) -> Table:
    """A cohort's table; its measures are kept in `workdir`."""
    network, weights = load_network(models / "lnc_scorer")
    cohort = read_cohort(folder)
    measures = measure_all(cohort, network, weights, workdir / folder.name,
                           load_settings(DEFAULT_CONFIG))
    return tabulate(cohort, measures, LABELS)


def main(
    planted: Annotated[Path, typer.Argument(help="The cohort with a relation.")],
    null: Annotated[Path, typer.Argument(help="The cohort without one.")],
    workdir: Annotated[Path, typer.Option(help="For measures and the page.")],
    models: Annotated[Path, typer.Option(help="MONAI bundles.")] = DEFAULT_MODELS,
    repeats: Annotated[int, typer.Option(help="Of the null cohort.")] = 20,
) -> None:
    """Tell a biomarker from a leak."""
    design = Design()
    related, unrelated = (tabulated(folder, workdir, models) for folder in (planted, null))
    found, nothing = evaluate(related, design), evaluate(unrelated, design)
    slices = evaluate_slices(unrelated, design)
    ways = (("planted, deep features, by subjects", found, DEEP),
            ("null, deep features, by subjects", nothing, DEEP),
            ("null, " + BY_SUBJECT, slices, BY_SUBJECT), ("null, " + BY_SLICE, slices, BY_SLICE))
    quantities, labels = false_alarms(unrelated, repeats)
    text = "\n\n".join((
        "# A biomarker or a leak? (simulated cohorts)",
        f"{len(related.means)} simulated subjects each: in the planted cohort one number per "
        "subject shows in T1w, FA, CBF and labels; in the null cohort what shows in T1w is drawn "
        "apart. 95 % bootstrap intervals over subjects, p by permutation. "
        f"`python -m benchmarks.lnc_leak planted null --repeats {repeats}`",
        table(("", *(name for name, _, _ in ways)), rows_of(ways)),
        f"The paper: {PAPER}",
        "## Over the baselines, planted cohort", baselines(*found),
        "## Over the baselines, null cohort", baselines(*nothing),
        "## False alarms",
        f"Over {repeats} deals of the null cohort, p < {NOMINAL}: quantities "
        f"{_share(quantities)}, labels {_share(labels)}; nominal {NOMINAL}.",
    ))
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "leak.md").write_text(text + "\n", encoding="utf-8")
    typer.echo(text)


def _share(one: Ratio) -> str:
    low, high = one.interval
    return f"{one.value:.3f} [{low:.3f}, {high:.3f}] ({one.part}/{one.whole})"


if __name__ == "__main__":
    typer.run(main)
