"""Predictions never come from a model that saw the sample."""

import numpy as np
import pytest

from apps.lnc.crossval import one_hot, out_of_fold
from apps.lnc.scores import (
    accuracy,
    auc,
    balanced_accuracy,
    bootstrap,
    classification,
    gain,
    permutation_p,
    r2,
    regression,
    rmse_percent,
)

HOW = {"folds": 5, "repeats": 3, "seed": 1}


@pytest.fixture
def generator():
    return np.random.default_rng(3)


def test_a_relation_is_found_and_noise_is_not(generator):
    features = generator.normal(size=(80, 300))
    known = features[:, :20].sum(axis=1, keepdims=True)
    noise = generator.normal(size=(80, 1))
    both = out_of_fold(features + 5 * known * (np.arange(300) < 60), np.hstack([known, noise]),
                       **HOW)
    assert r2(known[:, 0], both[:, 0]) > 0.9
    assert r2(noise[:, 0], both[:, 1]) < 0.1


def test_a_column_is_predicted_as_if_it_were_alone(generator):
    features, targets = generator.normal(size=(40, 30)), generator.normal(size=(40, 3))
    together = out_of_fold(features, targets, **HOW)
    for n in range(3):
        assert np.allclose(together[:, [n]], out_of_fold(features, targets[:, [n]], **HOW))


def test_a_sample_does_not_tell_of_itself():
    """A target that only one sample knows: 1 for one, 0 for the rest, with a feature that says so.

    Seen in training it would be predicted as 1; never seen, the feature is constant there.
    """
    features = np.zeros((40, 1))
    features[7] = 1
    predicted = out_of_fold(features, features.copy(), **HOW)
    assert abs(predicted[7, 0]) < 1e-9


def test_what_only_the_group_tells_is_not_found_where_groups_stay_together(generator):
    group = np.repeat(np.arange(10), 8)
    features = generator.normal(size=(10, 60))[group] + 0.1 * generator.normal(size=(80, 60))
    target = generator.normal(size=10)[group][:, None]
    assert r2(target[:, 0], out_of_fold(features, target, **HOW)[:, 0]) > 0.9
    apart = out_of_fold(features, target, group, **HOW)
    assert r2(target[:, 0], apart[:, 0]) < 0.1


def test_what_cannot_be_scored_is_not_above_chance(generator):
    features = generator.normal(size=(20, 3))
    assert permutation_p(r2, features, np.ones((20, 1)), np.nan, permutations=9, **HOW) == 1.0
    assert np.isnan(rmse_percent(np.zeros(3), np.ones(3)))


def test_features_that_never_vary_do_no_harm(generator):
    features = np.hstack([generator.normal(size=(40, 5)), np.ones((40, 5))])
    assert np.isfinite(out_of_fold(features, features[:, :1], **HOW)).all()


def test_scores_by_hand():
    known = one_hot(np.array(["a", "a", "a", "b"]))[0]
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    assert accuracy(known, scores) == 0.75
    assert balanced_accuracy(known, scores) == pytest.approx((2 / 3 + 1) / 2)
    assert auc(known, scores) == 1.0
    assert auc(known, np.ones((4, 2))) == 0.5
    assert rmse_percent(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == pytest.approx(50)
    assert r2(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0


def test_confusion_counts_known_in_rows():
    labels = np.array(["x", "x", "y", "y"])
    one = classification(labels, np.array([[1, 0], [0, 1], [0, 1], [0, 1.0]]), seed=1)
    assert one.names == ("x", "y")
    assert one.confusion == ((1, 1), (0, 2))
    assert one.accuracy.low <= one.accuracy.value <= one.accuracy.high


def test_intervals_hold_the_value_and_narrow_with_more_samples(generator):
    def width(count):
        measured = generator.normal(size=count)
        one = regression(measured, measured + generator.normal(size=count), seed=1)
        return one.rmse.high - one.rmse.low
    assert width(1000) < 0.5 * width(50)


def test_a_gain_over_itself_is_nothing_and_over_noise_something(generator):
    known = generator.normal(size=60)
    good, bad = known + 0.3 * generator.normal(size=60), generator.normal(size=60)
    assert gain(r2, known, good, good, 1).value == 0
    assert gain(r2, known, good, bad, 1).low > 0
    assert bootstrap(r2, known, good, 1) == bootstrap(r2, known, good, 1)


def test_p_is_small_for_a_relation_and_spread_out_without_one(generator):
    def p(features, target):
        found = r2(target, out_of_fold(features, target[:, None], **HOW)[:, 0])
        return permutation_p(r2, features, target[:, None], found, permutations=39, **HOW)
    features = generator.normal(size=(40, 20))
    assert p(features, features[:, 0] + features[:, 1]) == 1 / 40
    chance = [p(features, generator.normal(size=40)) for _ in range(12)]
    assert sum(value <= 0.05 for value in chance) <= 3
    assert max(chance) > 0.5
