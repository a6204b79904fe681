"""The results page of a cohort, from results alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from apps.evaluate.markdown import number, table
from apps.lnc.scores import Classification, Estimate, Regression, holm
from apps.lnc.study import BASELINES, Design, LabelResult, QuantityResult
from operators.types import Role

UNITS = {Role.FA: "", Role.CBF: " ml/100 g/min"}
LEVEL = 0.05
"""p after Holm's correction below which something is more than chance."""
_DIGITS = {Role.FA: 4, Role.CBF: 2}
PAPER = "Song et al. 2025 (79 patients; split not published): RMSE 0.154 to 0.213 % of the mean, " \
    "both classifications 100 %."


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page tells."""

    subjects: int
    simulated: bool
    weights: str
    command: str
    design: Design
    quantities: Sequence[QuantityResult]
    labels: Sequence[LabelResult]


def page(one: Report) -> str:
    """The Markdown page."""
    parts = [_head(one)]
    if one.design.by_slice:
        parts.append(
            "**Every slice of 1 mm is a sample here, and the learner says what the most alike "
            "slice has. Parted by slices, that is a neighbour of the same subject: these figures "
            "are inflated, and show what that mistake makes of a cohort. Parted by subjects, the "
            "same learner and slices tell what there is.**")
    else:
        parts.append("![R² and balanced accuracy, 95 % intervals](lnc.png)")
    adjusted = holm([*(each.p for each in one.quantities), *(each.p for each in one.labels)])
    parts += map(_quantity, one.quantities, adjusted)
    parts += map(_label, one.labels, adjusted[len(one.quantities):])
    parts.append(f"## Beside the paper\n\n{PAPER}")
    return "\n\n".join(parts) + "\n"


def _head(one: Report) -> str:
    design = one.design
    warning = "**Simulated subjects: these figures say nothing about patients.** " * one.simulated
    return "\n\n".join((
        "# What deep features of the lenticulostriate regions say",
        f"{warning}Research software, not a medical device.",
        f"- Subjects: {one.subjects}\n- Cross-validation: {design.folds} folds, "
        f"{design.repeats} times, predictions averaged; {_learner(design)}; everything "
        "standardised inside the training part\n- Intervals: 95 %, bootstrap over subjects"
        "; of the predictions as they are: how much another cohort would teach them differently is "
        "not in them\n"
        f"- Network: SHA-256 `{one.weights}`, trained on simulated subjects\n"
        f"- Command: `{one.command}`",
    ))


def _learner(design: Design) -> str:
    if design.by_slice:
        return "the nearest neighbour among slices"
    parted = f"subjects of one {design.group} together; " if design.group else ""
    return (f"{parted}ridge regression, its strength chosen inside the training part; p: "
            f"{design.permutations} permutations of the whole cross-validation")


def _quantity(one: QuantityResult, adjusted: float) -> str:
    digits = _DIGITS[one.role]
    rows = [(name, _interval(own.rmse, digits), _interval(own.rmse_percent, 2),
             _interval(own.r2)) for name, own in one.sets.items() if isinstance(own, Regression)]
    return "\n\n".join((
        f"## {one.role.value.upper()} of the {one.region}",
        f"{one.subjects} subjects, mean {number(one.mean, digits)}{UNITS[one.role]}",
        table(("", f"RMSE{UNITS[one.role]}", "RMSE, % of the mean", "R²"), rows),
        _verdict(one.gains, one.p, adjusted, "R²"),
    ))


def _label(one: LabelResult, adjusted: float) -> str:
    rows = [(name, _interval(own.accuracy), _interval(own.balanced_accuracy), _interval(own.auc))
            for name, own in one.sets.items()]
    first = next(iter(one.sets.values()))
    return "\n\n".join((
        f"## Label {one.name}",
        f"{one.subjects} subjects, {len(first.names)} classes; the commonest class for all would "
        f"be right in {number(one.chance)}",
        table(("", "accuracy", "balanced accuracy", "AUC"), rows),
        _verdict(one.gains, one.p, adjusted, "balanced accuracy"),
        _confusion(first, next(iter(one.sets))),
    ))


def _confusion(one: Classification, name: str) -> str:
    rows = [(name, *(str(int(count)) for count in counts))
            for name, counts in zip(one.names, one.confusion, strict=True)]
    return f"Of {name}, known in rows, predicted in columns:\n\n" + table(
        ("", *one.names), rows)


def _verdict(gains: Mapping[str, Estimate], p: float, adjusted: float, of: str) -> str:
    if math.isnan(p):
        return "No p and no baseline: this teaches, it does not tell."
    more = "; ".join(f"over {name} {_interval(gains[name])}" for name in BASELINES)
    above = all(gain.low > 0 for gain in gains.values())
    words = "Not more than chance." if adjusted >= LEVEL else (
        "More than chance and both baselines say." if above
        else "More than chance, but not surely more than the baselines.")
    return (f"{words} Deep features gain in {of}: {more}. p = {p:.3f}, {adjusted:.3f} after Holm's "
            "correction over all quantities and labels")


def _interval(one: Estimate, digits: int = 3) -> str:
    return f"{number(one.value, digits)} [{number(one.low, digits)}, {number(one.high, digits)}]"
