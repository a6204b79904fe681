"""What deep features say of FA, CBF and labels that plainer things do not: the whole evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    """How it is cross-validated. `by_slice` parts slices instead of subjects: the leak."""

    folds: int = 5
    repeats: int = 5
    permutations: int = 999
    seed: int = 1
    by_slice: bool = False


@dataclass(frozen=True, slots=True)
class QuantityResult:
    """One mean of one region, both sides averaged.

    `sets` by features; `gains` in R2 of the deep features over each baseline; `p` of their R2 by
    permutation, NaN where slices are parted.
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
    """Features by name (sample, feature), whose subject each sample is, and what is to be said.

    `means` (subject, quantity, region), `labels` by name (subject,), "" where unknown.
    """

    regions: tuple[str, ...]
    features: Mapping[str, Array]
    subject: NDArray[np.intp]
    means: Array
    labels: Mapping[str, NDArray[np.str_]]


def tabulate(
    cohort: Cohort, measures: Sequence[Measures], labels: Sequence[str], *, by_slice: bool,
    regions: Sequence[str] = REGIONS,
) -> Table:
    """One sample per subject, or per slab of 4 mm, which has the deep features alone."""
    names = tuple(regions)
    columns = {name: cohort.column(name) for name in labels}
    means = np.stack([one.means.mean(axis=2) for one in measures])
    if by_slice:
        subject = np.repeat(np.arange(len(measures)), [len(one.slabs) for one in measures])
        return Table(names, {DEEP: np.concatenate([one.slabs for one in measures])}, subject, means,
                     columns)
    features = {
        DEEP: np.stack([of_subject(one.deep) for one in measures]),
        ANATOMY: np.column_stack([_known(cohort), np.stack(
            [one.volumes_mm3.mean(axis=1) for one in measures])]),
        PLAIN: np.stack([one.intensities.mean(axis=1).ravel() for one in measures]),
    }
    return Table(names, features, np.arange(len(measures)), means, columns)


def _known(cohort: Cohort) -> Array:
    """Age and sex as columns; what is unknown counts as the mean."""
    age = cohort.numbers("age")
    columns = [np.where(np.isnan(age), np.nanmean(age) if not np.isnan(age).all() else 0, age)]
    if any("sex" in one.row for one in cohort.members):
        columns += list(one_hot(cohort.column("sex"))[0].T)
    return np.column_stack(columns)


def evaluate(table: Table, design: Design) -> tuple[list[QuantityResult], list[LabelResult]]:
    """All quantities and labels. InputError where there are too few subjects to say anything."""
    quantities = [
        _quantity(table, role, q, region, r, design)
        for q, role in enumerate(QUANTITIES) for r, region in enumerate(table.regions)
        if np.isfinite(table.means[:, q, r]).any()]
    return quantities, [_label(table, name, design) for name in table.labels]


def _quantity(
    table: Table, role: Role, q: int, region: str, r: int, design: Design
) -> QuantityResult:
    every = table.means[:, q, r]
    kept = np.isfinite(every)
    _enough(int(kept.sum()), f"{role.value} of the {region}")
    samples = kept[table.subject]
    measured = every[table.subject][samples]
    predicted = {name: _predict(values[samples], measured[:, None], design)[:, 0]
                 for name, values in table.features.items()}
    sets = {name: regression(measured, own, design.seed) for name, own in predicted.items()}
    gains = {name: gain(r2, measured, predicted[DEEP], predicted[name], design.seed)
             for name in BASELINES if name in predicted}
    p = np.nan if design.by_slice else permutation_p(
        r2, table.features[DEEP][samples], measured[:, None], sets[DEEP].r2.value,
        permutations=design.permutations, folds=design.folds, repeats=design.repeats,
        seed=design.seed)
    return QuantityResult(role, region, int(kept.sum()), float(every[kept].mean()), sets, gains, p)


def _label(table: Table, name: str, design: Design) -> LabelResult:
    every = table.labels[name]
    kept = every != ""
    _enough(int(kept.sum()), f"label {name}")
    samples = kept[table.subject]
    labels = every[table.subject][samples]
    known, names = one_hot(labels)
    counts = {one: int((every == one).sum()) for one in names}
    rare = min(counts, key=lambda one: counts[one])
    if len(names) < 2 or counts[rare] < design.folds:
        raise InputError(
            f"Label {name} has {len(names)} classes, of which {rare} has {counts[rare]} subjects. "
            f"Wanted: two or more classes of at least {design.folds} subjects each (n/a leaves a "
            "subject out)."
        )
    scores = {each: _predict(values[samples], known, design)
              for each, values in table.features.items()}
    sets = {each: classification(labels, own, design.seed) for each, own in scores.items()}
    gains = {each: gain(balanced_accuracy, known, scores[DEEP], scores[each], design.seed)
             for each in BASELINES if each in scores}
    p = np.nan if design.by_slice else permutation_p(
        balanced_accuracy, table.features[DEEP][samples], known,
        sets[DEEP].balanced_accuracy.value, permutations=design.permutations, folds=design.folds,
        repeats=design.repeats, seed=design.seed)
    return LabelResult(name, int(kept.sum()), max(counts.values()) / int(kept.sum()), sets, gains,
                       p)


def _predict(features: Array, targets: Array, design: Design) -> Array:
    return out_of_fold(features, targets, folds=design.folds, repeats=design.repeats,
                       seed=design.seed)


def _enough(found: int, what: str) -> None:
    if found < LEAST:
        raise InputError(f"{what}: known of {found} subjects. Wanted: at least {LEAST}.")
