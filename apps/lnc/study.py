"""What deep features say of FA, CBF and labels that plainer things do not: the whole evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    """How it is cross-validated. `by_slice` shows what parting slices does, see `leak`."""

    folds: int = 5
    repeats: int = 5
    permutations: int = 999
    seed: int = 1
    by_slice: bool = False


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

    `features` by name (subject, feature), `slices` (subject, slice, feature), `means` (subject,
    quantity, region), `labels` by name (subject,), "" where unknown.
    """

    regions: tuple[str, ...]
    features: Mapping[str, Array]
    slices: Array
    means: Array
    labels: Mapping[str, NDArray[np.str_]]


def tabulate(
    cohort: Cohort, measures: Sequence[Measures], labels: Sequence[str],
    regions: Sequence[str] = REGIONS,
) -> Table:
    """All that is known of the cohort's subjects."""
    features = {
        DEEP: np.stack([of_subject(one.deep) for one in measures]),
        ANATOMY: np.column_stack([_known(cohort), np.stack(
            [one.volumes_mm3.mean(axis=1) for one in measures])]),
        PLAIN: np.stack([one.intensities.mean(axis=1).ravel() for one in measures]),
    }
    return Table(tuple(regions), features, np.stack([one.slices for one in measures]),
                 np.stack([one.means.mean(axis=2) for one in measures]),
                 {name: cohort.column(name) for name in labels})


def _known(cohort: Cohort) -> Array:
    """Age and sex as columns; what is unknown counts as the mean."""
    age = cohort.numbers("age")
    columns = [np.where(np.isnan(age), np.nanmean(age) if not np.isnan(age).all() else 0, age)]
    if any("sex" in one.row for one in cohort.members):
        columns += list(one_hot(cohort.column("sex"))[0].T)
    return np.column_stack(columns)


def evaluate(table: Table, design: Design) -> tuple[list[QuantityResult], list[LabelResult]]:
    """All quantities and labels. InputError where there are too few subjects to say anything."""
    return ([_quantity(table, role, region, every, kept, design)
             for role, region, every, kept in each_known(table)],
            [_label(table, name, design) for name in table.labels])


def each_known(table: Table) -> Iterator[tuple[Role, str, Array, NDArray[np.bool_]]]:
    """Quantity, region, its means (subject,) and who has them, of all that some subject has."""
    for q, role in enumerate(QUANTITIES):
        for r, region in enumerate(table.regions):
            every = table.means[:, q, r]
            kept = np.isfinite(every)
            if kept.any():
                _enough(int(kept.sum()), f"{role.value} of the {region}")
                yield role, region, every, kept


def class_counts(name: str, labels: NDArray[np.str_], design: Design) -> dict[str, int]:
    """Subjects of each class. InputError where there are too few to part into folds."""
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
    predicted = {name: _predict(values[kept], measured[:, None], design)[:, 0]
                 for name, values in table.features.items()}
    sets = {name: regression(measured, own, design.seed) for name, own in predicted.items()}
    gains = {name: gain(r2, measured, predicted[DEEP], predicted[name], design.seed)
             for name in BASELINES}
    p = permutation_p(
        r2, table.features[DEEP][kept], measured[:, None], sets[DEEP].r2.value,
        permutations=design.permutations, folds=design.folds, repeats=design.repeats,
        seed=design.seed)
    return QuantityResult(role, region, len(measured), float(measured.mean()), sets, gains, p)


def _label(table: Table, name: str, design: Design) -> LabelResult:
    kept = table.labels[name] != ""
    labels = table.labels[name][kept]
    counts = class_counts(name, labels, design)
    known, _ = one_hot(labels)
    scores = {each: _predict(values[kept], known, design)
              for each, values in table.features.items()}
    sets = {each: classification(labels, own, design.seed) for each, own in scores.items()}
    gains = {each: gain(balanced_accuracy, known, scores[DEEP], scores[each], design.seed)
             for each in BASELINES}
    p = permutation_p(
        balanced_accuracy, table.features[DEEP][kept], known,
        sets[DEEP].balanced_accuracy.value, permutations=design.permutations, folds=design.folds,
        repeats=design.repeats, seed=design.seed)
    return LabelResult(name, len(labels), max(counts.values()) / len(labels), sets, gains, p)


def _predict(features: Array, targets: Array, design: Design) -> Array:
    return out_of_fold(features, targets, folds=design.folds, repeats=design.repeats,
                       seed=design.seed)


def _enough(found: int, what: str) -> None:
    if found < LEAST:
        raise InputError(f"{what}: known of {found} subjects. Wanted: at least {LEAST}.")
