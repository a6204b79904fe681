"""What deep features say of FA, CBF and labels that plainer things do not: the whole evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.lnc.crossval import Array, one_hot, out_of_fold
from apps.lnc.measures import QUANTITIES, Measures
from apps.lnc.scans import Cohort
from apps.lnc.scores import (
    Classification,
    Estimate,
    Regression,
    balanced_accuracy,
    classification,
    gain,
    permutation_p,
    r2,
    regression,
)
from operators.errors import InputError
from operators.lnc_scorer.crops import REGIONS
from operators.lnc_scorer.features import of_subject
from operators.types import Role

DEEP, ANATOMY, PLAIN = "deep features", "age, sex, volumes", "T1w intensities"
BASELINES = (ANATOMY, PLAIN)
LEAST = 20
"""Fewer subjects than this are not evaluated: an interval would say nothing (our choice)."""


@dataclass(frozen=True, slots=True)
class Design:
    """How it is cross-validated. `by_slice` shows what parting slices does, see `leak`.

    Subjects of one value in the column `group` are never parted.
    """

    folds: int = 5
    repeats: int = 5
    permutations: int = 999
    seed: int = 1
    by_slice: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class QuantityResult:
    """One mean of one region, both sides averaged.

    `sets` by features; `gains` in R2 of the deep features over each baseline; `p` of their R2 by
    permutation. Of slices: `sets` by the way of parting, no gains, `p` NaN.
    """

    role: Role
    region: str
    subjects: int
    mean: float
    sets: Mapping[str, Regression]
    gains: Mapping[str, Estimate]
    p: float


@dataclass(frozen=True, slots=True)
class LabelResult:
    """One label; `gains` and `p` are of balanced accuracy. `chance` is that of one class in all."""

    name: str
    subjects: int
    chance: float
    sets: Mapping[str, Classification]
    gains: Mapping[str, Estimate]
    p: float


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """What each subject's regions look like, and what is to be said of them.

    `features` by name (subject, feature), `slices` (subject, slice, feature), `groups` (subject,)
    that are never parted, `means` (subject, quantity, region), `labels` by name (subject,), ""
    where unknown.
    """

    regions: tuple[str, ...]
    features: Mapping[str, Array]
    slices: Array
    groups: NDArray[np.intp]
    means: Array
    labels: Mapping[str, NDArray[np.str_]]


def tabulate(
    cohort: Cohort, measures: Sequence[Measures], labels: Sequence[str],
    regions: Sequence[str] = REGIONS, group: str = "",
) -> Table:
    """All that is known of the cohort's subjects; those of one value of `group` stay together."""
    features = {
        DEEP: np.stack([of_subject(one.deep) for one in measures]),
        ANATOMY: np.column_stack([_known(cohort), np.stack(
            [one.volumes_mm3.mean(axis=1) for one in measures])]),
        PLAIN: np.stack([one.intensities.mean(axis=1).ravel() for one in measures]),
    }
    return Table(tuple(regions), features, np.stack([one.slices for one in measures]),
                 groups_of(cohort, group), np.stack([one.means.mean(axis=2) for one in measures]),
                 {name: cohort.column(name) for name in labels})


def groups_of(cohort: Cohort, column: str) -> NDArray[np.intp]:
    """Number of each subject's group, one of its own where there is no column or no value."""
    alone = [one.name for one in cohort.members]
    values = cohort.column(column) if column else [""] * len(alone)
    names = [f"{column}={value}" if value else name
             for value, name in zip(values, alone, strict=True)]
    return np.unique(names, return_inverse=True)[1]


def check(cohort: Cohort, labels: Sequence[str], design: Design) -> None:
    """InputError, before anything is measured, where the table cannot be evaluated so."""
    groups = len(set(groups_of(cohort, design.group).tolist()))
    _enough(len(cohort.members), "Images")
    if groups < design.folds:
        what = f"groups of {design.group}" if design.group else "subjects"
        raise InputError(f"{groups} {what} cannot be parted into {design.folds} folds. Give "
                         f"--folds {groups} or fewer.")
    cohort.numbers("age")
    for name in labels:
        class_counts(name, cohort.column(name), design)


def _known(cohort: Cohort) -> Array:
    """Age and sex as columns; what is unknown counts as the mean."""
    age = cohort.numbers("age")
    columns = [np.where(np.isnan(age), np.nanmean(age) if not np.isnan(age).all() else 0, age)]
    if any("sex" in one.row for one in cohort.members):
        columns += list(one_hot(cohort.column("sex"))[0].T)
    return np.column_stack(columns)


def evaluate(table: Table, design: Design) -> tuple[list[QuantityResult], list[LabelResult]]:
    """All quantities and labels. InputError where there are too few subjects to say anything."""
    results = ([_quantity(table, role, region, every, kept, design)
                for role, region, every, kept in each_known(table)],
               [_label(table, name, design) for name in table.labels])
    if not results[0] and not results[1]:
        raise InputError("No subject's FA or CBF covers a region, and no label was asked for: "
                         "there is nothing to evaluate. Look at where the maps lie on T1w.")
    return results


def p_values(table: Table, design: Design) -> list[float]:
    """p of the deep features of all quantities, then of all labels: `evaluate` without the rest."""
    out = []
    for _, _, every, kept in each_known(table):
        measured = every[kept][:, None]
        found = _predict(table, DEEP, kept, measured, design)
        out.append(_p(table, kept, measured, r2(measured[:, 0], found[:, 0]), r2, design))
    for column in table.labels.values():
        kept = column != ""
        known, _ = one_hot(column[kept])
        found = _predict(table, DEEP, kept, known, design)
        out.append(_p(table, kept, known, balanced_accuracy(known, found), balanced_accuracy,
                      design))
    return out


def each_known(table: Table) -> Iterator[tuple[Role, str, Array, NDArray[np.bool_]]]:
    """Quantity, region, its means (subject,) and who has them, of all that some subject has."""
    for q, role in enumerate(QUANTITIES):
        for r, region in enumerate(table.regions):
            every = table.means[:, q, r]
            kept = np.isfinite(every)
            if kept.any():
                what = f"{role.value.upper()} of the {region}"
                _enough(int(kept.sum()), what)
                if np.ptp(every[kept]) <= 1e-6 * abs(every[kept].mean()):
                    raise InputError(f"{what} is {every[kept].mean():g} in every subject. Look at "
                                     "the maps; leave them out if they tell nothing.")
                yield role, region, every, kept


def class_counts(name: str, labels: NDArray[np.str_], design: Design) -> dict[str, int]:
    """Subjects of each class. InputError where there are too few to part into folds."""
    labels = labels[labels != ""]
    _enough(len(labels), f"label {name}")
    names, numbers = np.unique(labels, return_counts=True)
    counts = dict(zip(map(str, names), map(int, numbers), strict=True))
    rare = min(counts, key=lambda one: counts[one])
    if len(counts) < 2 or counts[rare] < design.folds:
        raise InputError(
            f"Label {name} has {len(counts)} classes, of which {rare} has {counts[rare]} subjects. "
            f"Wanted: two or more classes of at least {design.folds} subjects each (n/a leaves a "
            "subject out)."
        )
    return counts


def _quantity(
    table: Table, role: Role, region: str, every: Array, kept: NDArray[np.bool_], design: Design
) -> QuantityResult:
    measured = every[kept]
    predicted = {name: _predict(table, name, kept, measured[:, None], design)[:, 0]
                 for name in table.features}
    sets = {name: regression(measured, own, design.seed) for name, own in predicted.items()}
    gains = {name: gain(r2, measured, predicted[DEEP], predicted[name], design.seed)
             for name in BASELINES}
    p = _p(table, kept, measured[:, None], sets[DEEP].r2.value, r2, design)
    return QuantityResult(role, region, len(measured), float(measured.mean()), sets, gains, p)


def _label(table: Table, name: str, design: Design) -> LabelResult:
    kept = table.labels[name] != ""
    labels = table.labels[name][kept]
    counts = class_counts(name, labels, design)
    known, _ = one_hot(labels)
    scores = {each: _predict(table, each, kept, known, design) for each in table.features}
    sets = {each: classification(labels, own, design.seed) for each, own in scores.items()}
    gains = {each: gain(balanced_accuracy, known, scores[DEEP], scores[each], design.seed)
             for each in BASELINES}
    p = _p(table, kept, known, sets[DEEP].balanced_accuracy.value, balanced_accuracy, design)
    return LabelResult(name, len(labels), max(counts.values()) / len(labels), sets, gains, p)


def _predict(
    table: Table, features: str, kept: NDArray[np.bool_], targets: Array, design: Design
) -> Array:
    return out_of_fold(table.features[features][kept], targets, table.groups[kept],
                       folds=design.folds, repeats=design.repeats, seed=design.seed)


def _p(
    table: Table, kept: NDArray[np.bool_], targets: Array, found: float,
    score: Callable[[Array, Array], float], design: Design,
) -> float:
    return permutation_p(
        score, table.features[DEEP][kept], targets, found, groups=table.groups[kept],
        permutations=design.permutations, folds=design.folds, repeats=design.repeats,
        seed=design.seed)


def _enough(found: int, what: str) -> None:
    if found < LEAST:
        raise InputError(f"{what}: known of {found} subjects. Wanted: at least {LEAST}.")
