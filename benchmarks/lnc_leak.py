"""Whether the evaluation tells a biomarker from a leak: a planted cohort, a null cohort, slices.

    lentiform lnc simulate -o planted --label-maps MAPS --seed 1
    lentiform lnc simulate -o null --label-maps MAPS --seed 2 --null
    python -m benchmarks.lnc_leak planted null --workdir DIR [--repeats 20]

Writes DIR/leak.md: the planted relation, the null cohort parted by subjects and by slices, and how
often chance is taken for a finding, over other draws of what FA, CBF and labels show.
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
from apps.lnc.crossval import Array, out_of_fold
from apps.lnc.leak import BY_SLICE, BY_SUBJECT, evaluate_slices
from apps.lnc.measures import QUANTITIES, measure_all
from apps.lnc.page import PAPER
from apps.lnc.scans import read_cohort
from apps.lnc.scores import bootstrap, gain, holm, r2
from apps.lnc.simulated import LABELS, redrawn
from apps.lnc.study import BASELINES, DEEP, Design, Table, evaluate, p_values, tabulate
from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, load_settings
from operators.lnc_scorer.bundle import load_network

NOMINAL = 0.05
HEADS = "anatomy"
"""Subjects of one head stay together: their regions have its shape, and their means its blur."""
REPEATED = Design(folds=4, permutations=199, group=HEADS)
"""Of the repeats: fewer permutations than of a single evaluation, for speed."""


def false_alarms(
    whole: Table, seeds: Sequence[int], repeats: int
) -> tuple[Ratio, Ratio]:
    """Repeats in which something passes for a finding after Holm's correction; and of all p, which.

    In each, other diseases are drawn for FA, CBF and labels; T1w and what anatomy does stay.
    """
    any_found, found = [], []
    for repeat in shown(range(repeats), repeats, "repeat"):
        means, labels = redrawn(whole.means, seeds, repeat)
        other = replace(whole, means=means, labels=labels)
        ps = p_values(other, replace(REPEATED, seed=repeat))
        any_found.append(min(holm(ps)) < NOMINAL)
        found += [p < NOMINAL for p in ps]
    return Ratio(sum(any_found), repeats), Ratio(sum(found), len(found))


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


def over_regions(whole: Table, design: Design) -> str:
    """R2 of FA and of CBF, mean over the regions, and what deep features gain by it."""
    rows = []
    for q, role in enumerate(QUANTITIES):
        measured = whole.means[:, q]
        told = {name: out_of_fold(features, measured, whole.groups, folds=design.folds,
                                  repeats=design.repeats, seed=design.seed)
                for name, features in whole.features.items()}
        rows.append((
            f"{role.value.upper()}, mean of R² over the regions",
            *(_figure(bootstrap(mean_r2, measured, own, design.seed)) for own in told.values()),
            *(_figure(gain(mean_r2, measured, told[DEEP], told[name], design.seed))
              for name in BASELINES)))
    return table(("", *told, *(f"gain over {name}" for name in BASELINES)), rows)


def mean_r2(measured: Array, predicted: Array) -> float:
    """Of (subject, region) each."""
    return float(np.mean([r2(*pair) for pair in zip(measured.T, predicted.T, strict=True)]))


def tabulated(folder: Path, workdir: Path, models: Path) -> tuple[Table, list[int]]:
    """A cohort's table and its subjects' seeds; measures are kept in `workdir`."""
    network, weights = load_network(models / "lnc_scorer")
    cohort = read_cohort(folder)
    measures = measure_all(cohort, network, weights, workdir / folder.name,
                           load_settings(DEFAULT_CONFIG))
    seeds = [int(one.row["seed"]) for one in cohort.members]
    return tabulate(cohort, measures, LABELS, group=HEADS), seeds


def main(
    planted: Annotated[Path, typer.Argument(help="The cohort with a relation.")],
    null: Annotated[Path, typer.Argument(help="The cohort without one.")],
    workdir: Annotated[Path, typer.Option(help="For measures and the page.")],
    models: Annotated[Path, typer.Option(help="MONAI bundles.")] = DEFAULT_MODELS,
    repeats: Annotated[int, typer.Option(help="Of the null cohort.")] = 20,
) -> None:
    """Tell a biomarker from a leak."""
    design = Design(folds=4, group=HEADS)
    (related, _), (unrelated, seeds) = (
        tabulated(folder, workdir, models) for folder in (planted, null))
    found, nothing = evaluate(related, design), evaluate(unrelated, design)
    slices = evaluate_slices(unrelated, design)
    alone = replace(unrelated, groups=np.arange(len(unrelated.means)))
    shared = evaluate(alone, replace(design, group=""))
    ways = (("planted, deep features, heads apart", found, DEEP),
            ("null, deep features, heads apart", nothing, DEEP),
            ("null, deep features, subjects apart", shared, DEEP),
            ("null, " + BY_SUBJECT, slices, BY_SUBJECT), ("null, " + BY_SLICE, slices, BY_SLICE))
    any_found, each = false_alarms(unrelated, seeds, repeats)
    text = "\n\n".join((
        "# A biomarker or a leak? (simulated cohorts)",
        f"{len(related.means)} simulated subjects each on {len(set(related.groups.tolist()))} "
        "heads that the network did not learn from: in the planted cohort one number per subject "
        "shows in T1w, FA, CBF and labels; in the null cohort what shows in T1w is drawn apart. "
        "95 % bootstrap intervals over subjects, p by permutation. "
        f"`python -m benchmarks.lnc_leak planted null --repeats {repeats}`",
        table(("", *(name for name, _, _ in ways)), rows_of(ways)),
        f"The paper: {PAPER}",
        "The network was trained in the same simulator, on other heads, to read the same sign of "
        "disease that the planted cohort shows: what it gains over the baselines is in part by "
        "construction. Subjects that share a head share its shape and how CSF and white matter "
        "blur into its nuclei: parted by subjects alone, features name the head and so tell of "
        "that, which is true and no sign of disease (`--group`).",
        "## Over the baselines, planted cohort", over_regions(related, design), baselines(*found),
        "## Over the baselines, null cohort", baselines(*nothing),
        "## False alarms",
        f"{repeats} times other diseases are drawn for the null cohort's FA, CBF and labels, its "
        "T1w and all that anatomy does staying as they are. Something of the eight below "
        f"{NOMINAL} after Holm's correction: {_share(any_found)} of the repeats, nominal at most "
        f"{NOMINAL}. Single p below {NOMINAL}: {each.part} of {each.whole}, {each.value:.3f}.",
    ))
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "leak.md").write_text(text + "\n", encoding="utf-8")
    typer.echo(text)


def _share(one: Ratio) -> str:
    low, high = one.interval
    return f"{one.value:.3f} [{low:.3f}, {high:.3f}] ({one.part}/{one.whole})"


if __name__ == "__main__":
    typer.run(main)
