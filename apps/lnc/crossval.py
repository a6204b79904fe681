"""Predictions of samples that the model did not see: nested cross-validation, ridge regression.

Classes are predicted as the largest of one regression per class on 0 and 1 (a least-squares
classifier), so that a permutation test costs one fit: predictions are linear in the targets, and
all permutations are columns of one matrix. The strength of the ridge is chosen inside the training
samples alone, by their leave-one-out error in closed form (generalised cross-validation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ALPHAS = tuple(10.0**power for power in range(-3, 4))
"""Strengths of the ridge to choose from. A standardised sample has length 1 on average, so that
they run from hardly any to all but the mean (our choice)."""


def out_of_fold(
    features: Array, targets: Array, groups: NDArray | None = None, *, folds: int, repeats: int,
    seed: int,
) -> Array:
    """Predictions (sample, target), each of models that did not learn from its sample's group.

    `features` (sample, feature), `targets` (sample, target). Each of `repeats` partings into
    `folds` gives every sample one prediction; their mean comes back. Features are standardised by
    the training samples. `groups` (sample,) are never parted; None: every sample is its own.
    """
    from sklearn.model_selection import GroupKFold

    total = np.zeros_like(targets, dtype=np.float64)
    groups = np.arange(len(features)) if groups is None else groups
    for repeat in range(repeats):
        parts = GroupKFold(folds, shuffle=True, random_state=seed + repeat)
        for train, test in parts.split(features, groups=groups):
            weights, intercept = fit(features[train], targets[train])
            total[test] += features[test] @ weights.T + intercept
    return total / repeats


def fit(features: Array, targets: Array) -> tuple[Array, Array]:
    """Weights (target, feature) and intercept (target,) of the ridge regression on raw features."""
    from sklearn.linear_model import RidgeCV

    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf) * np.sqrt(features.shape[1])
    model = RidgeCV(ALPHAS, alpha_per_target=True)
    model.fit((features - centre) / scale, targets)
    weights = np.asarray(model.coef_).reshape(targets.shape[1], -1) / scale
    return weights, np.asarray(model.intercept_) - weights @ centre


def nearest(
    features: Array, targets: Array, groups: NDArray, *, folds: int, repeats: int, seed: int
) -> Array:
    """As `out_of_fold`, of the training sample that is most alike; groups stay together.

    A learner that remembers all it saw, as a large network can.
    """
    from sklearn.model_selection import GroupKFold
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    total = np.zeros_like(targets, dtype=np.float64)
    for repeat in range(repeats):
        parts = GroupKFold(folds, shuffle=True, random_state=seed + repeat)
        for train, test in parts.split(features, groups=groups):
            model = make_pipeline(StandardScaler(), KNeighborsRegressor(1))
            total[test] += model.fit(features[train], targets[train]).predict(features[test])
    return total / repeats


def one_hot(labels: NDArray) -> tuple[Array, NDArray]:
    """Labels as columns of 0 and 1, and the names of the columns."""
    names, numbers = np.unique(labels, return_inverse=True)
    return np.eye(len(names))[numbers], names


def by_subject(values: Array, subjects: NDArray) -> Array:
    """Mean of the rows of each subject, in the order of sorted names."""
    _, numbers = np.unique(subjects, return_inverse=True)
    total = np.zeros((numbers.max() + 1, values.shape[1]))
    np.add.at(total, numbers, values)
    return np.asarray(total / np.bincount(numbers)[:, None])
