"""Predictions of samples that the model did not see: nested cross-validation, ridge regression.

Classes are predicted as the largest of one regression per class on 0 and 1 (a least-squares
classifier), so that a permutation test costs one fit: predictions are linear in the targets, and
all permutations are columns of one matrix. The strength of the ridge is chosen inside the training
samples alone, by their leave-one-out error in closed form (generalised cross-validation).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ALPHAS = tuple(10.0**power for power in range(-3, 4))
"""Strengths of the ridge to choose from. A standardised sample has length 1 on average, so that
they run from hardly any to all but the mean (our choice)."""


def fit(features: Array, targets: Array) -> tuple[Array, Array]:
    """Weights (target, feature) and intercept (target,) of the ridge regression on raw features."""
    from sklearn.linear_model import RidgeCV

    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 1e-9, spread, np.inf) * np.sqrt(features.shape[1])
    model = RidgeCV(ALPHAS, alpha_per_target=True)
    model.fit((features - centre) / scale, targets)
    weights = np.asarray(model.coef_).reshape(targets.shape[1], -1) / scale
    return weights, np.asarray(model.intercept_) - weights @ centre


def ridge(features: Array, targets: Array, others: Array) -> Array:
    """Predictions for `others` (sample, feature) by `fit` on the rest."""
    weights, intercept = fit(features, targets)
    return np.asarray(others @ weights.T + intercept)


def nearest(features: Array, targets: Array, others: Array) -> Array:
    """What the most alike sample has: a learner that remembers all it saw, as a network can."""
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), KNeighborsRegressor(1))
    return np.asarray(model.fit(features, targets).predict(others))


def out_of_fold(
    features: Array, targets: Array, groups: NDArray | None = None, *, folds: int, repeats: int,
    seed: int, learner: Callable[[Array, Array, Array], Array] = ridge,
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
            total[test] += learner(features[train], targets[train], features[test])
    return total / repeats


def one_hot(labels: NDArray) -> tuple[Array, NDArray]:
    """Labels as columns of 0 and 1, and the names of the columns."""
    names, numbers = np.unique(labels, return_inverse=True)
    return np.eye(len(names))[numbers], names
