"""How good predictions are, how sure that is, and whether chance does as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.lnc.crossval import Array, one_hot, out_of_fold

LEVEL = 0.95
ROUNDS = 2000
"""Of the bootstrap over subjects."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its bootstrap interval (percentiles, 95 %, over subjects)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Regression:
    """Predictions of one quantity in its unit.

    `rmse_percent` is of the mean of the measured values, the unit of Song et al. 2025. `r2` is 0
    for whoever predicts the mean. `within`: 95 % of new samples of the same kind lie so near.
    """

    rmse: Estimate
    rmse_percent: Estimate
    r2: Estimate
    within: float


@dataclass(frozen=True, slots=True)
class Classification:
    """Predictions of one label. `confusion[known, predicted]` counts in the order of `names`."""

    names: tuple[str, ...]
    accuracy: Estimate
    balanced_accuracy: Estimate
    auc: Estimate
    confusion: tuple[tuple[int, ...], ...]


def r2(measured: Array, predicted: Array) -> float:
    """1 - squared error over squared distance from the mean; NaN where nothing varies."""
    spread = float(((measured - measured.mean()) ** 2).sum())
    return 1 - float(((measured - predicted) ** 2).sum()) / spread if spread > 0 else math.nan


def rmse(measured: Array, predicted: Array) -> float:
    """Root mean squared error, in the unit of the values."""
    return float(np.sqrt(((measured - predicted) ** 2).mean()))


def rmse_percent(measured: Array, predicted: Array) -> float:
    """Root mean squared error in percent of the measured mean."""
    mean = abs(float(measured.mean()))
    return 100 * rmse(measured, predicted) / mean if mean > 0 else math.nan


def accuracy(known: Array, scores: Array) -> float:
    """Share of samples whose largest score is that of their class; `known` is one-hot."""
    return float((known.argmax(axis=1) == scores.argmax(axis=1)).mean())


def balanced_accuracy(known: Array, scores: Array) -> float:
    """Mean over the classes that are there of the share recognised."""
    right = known.argmax(axis=1) == scores.argmax(axis=1)
    here = known.any(axis=0)
    return float(np.mean([right[own > 0].mean() for own in known.T[here]]))


def auc(known: Array, scores: Array) -> float:
    """Mean over classes of the area under the ROC curve of one class against the rest.

    The chance that a sample of the class scores higher than another; ties count a half.
    """
    from scipy.stats import rankdata

    areas = []
    for own, score in zip(known.T, scores.T, strict=True):
        positives = int(own.sum())
        negatives = len(own) - positives
        if positives and negatives:
            ranks = float(rankdata(score)[own > 0].sum())
            areas.append((ranks - positives * (positives + 1) / 2) / (positives * negatives))
    return float(np.mean(areas)) if areas else math.nan


def regression(measured: Array, predicted: Array, seed: int, per: int = 1) -> Regression:
    """The figures of one quantity, (sample,) each, `per` samples a subject."""
    def of(score: Callable[[Array, Array], float]) -> Estimate:
        return bootstrap(score, measured, predicted, seed, per)
    return Regression(of(rmse), of(rmse_percent), of(r2), within(measured, predicted))


def within(measured: Array, predicted: Array) -> float:
    """The distance in which 95 % of new samples lie, by the errors of those left out.

    Their ceil(0.95 (n + 1))th smallest (conformal prediction, Vovk et al. 2005); infinite for fewer
    than 19. A model of all samples is a little better than those that left some out.
    """
    errors = np.sort(np.abs(measured - predicted))
    rank = math.ceil(LEVEL * (len(errors) + 1))
    return float(errors[rank - 1]) if rank <= len(errors) else math.inf


def classification(
    labels: NDArray, scores: Array, seed: int, per: int = 1
) -> Classification:
    """The figures of one label: `labels` (sample,), `scores` (sample, class) in order of names."""
    known, names = one_hot(labels)

    def of(score: Callable[[Array, Array], float]) -> Estimate:
        return bootstrap(score, known, scores, seed, per)
    counts = np.zeros((len(names), len(names)), np.intp)
    np.add.at(counts, (known.argmax(axis=1), scores.argmax(axis=1)), 1)
    return Classification(tuple(map(str, names)), of(accuracy), of(balanced_accuracy), of(auc),
                          tuple(tuple(map(int, row)) for row in counts))


def bootstrap(
    score: Callable[[Array, Array], float], known: Array, predicted: Array, seed: int, per: int = 1
) -> Estimate:
    """A score with its percentile interval over resampled subjects of `per` samples in a row."""
    generator = np.random.default_rng(seed)
    subjects = len(known) // per
    drawn = []
    for chosen in generator.integers(subjects, size=(ROUNDS, subjects)):
        index = (chosen[:, None] * per + np.arange(per)).ravel()
        drawn.append(score(known[index], predicted[index]))
    low, high = np.nanpercentile(drawn, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(score(known, predicted), float(low), float(high))


def gain(
    score: Callable[[Array, Array], float], known: Array, predicted: Array, baseline: Array,
    seed: int,
) -> Estimate:
    """How much better than a baseline on the same samples: paired bootstrap."""
    both = np.stack([predicted, baseline], axis=-1)

    def difference(measured: Array, pair: Array) -> float:
        return score(measured, pair[..., 0]) - score(measured, pair[..., 1])
    return bootstrap(difference, known, both, seed)


def permutation_p(
    score: Callable[[Array, Array], float], features: Array, targets: Array, found: float, *,
    permutations: int, folds: int, repeats: int, seed: int, groups: NDArray | None = None,
) -> float:
    """How often targets dealt out at random among the samples are predicted as well.

    (1 + number that reach `found`) / (1 + permutations) (Phipson and Smyth 2010). The whole
    cross-validation is run on each.
    """
    if math.isnan(found):
        return 1.0
    generator = np.random.default_rng([seed, 1])
    dealt = [targets[generator.permutation(len(targets))] for _ in range(permutations)]
    predicted = out_of_fold(features, np.concatenate(dealt, axis=1), groups, folds=folds,
                            repeats=repeats, seed=seed)
    width = targets.shape[1]
    reached = sum(
        score(_flat(one), _flat(predicted[:, width * n:width * (n + 1)])) >= found
        for n, one in enumerate(dealt))
    return (1 + reached) / (1 + permutations)


def holm(ps: Sequence[float]) -> list[float]:
    """p after Holm's step-down correction for so many questions (Holm 1979), in the order given."""
    adjusted, largest = [1.0] * len(ps), 0.0
    for rank, n in enumerate(sorted(range(len(ps)), key=lambda n: ps[n])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[n]))
        adjusted[n] = largest
    return adjusted


def _flat(values: Array) -> Array:
    return values[:, 0] if values.shape[1] == 1 else values
