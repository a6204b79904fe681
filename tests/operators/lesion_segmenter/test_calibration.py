import numpy as np
import pytest

from operators.lesion_segmenter.calibration import FEATURES, Logistic, features, fit


def sample(count=4000, seed=0):
    generator = np.random.default_rng(seed)
    rows = np.column_stack([
        generator.normal(3, 2, count), generator.normal(3, 1, count),
        generator.normal(0.1, 0.1, count), generator.integers(0, 2, count),
    ])
    odds = -3 + 0.5 * rows[:, 0] + 0.8 * rows[:, 1] - 1.5 * rows[:, 3]
    return rows, generator.random(count) < 1 / (1 + np.exp(-odds))


def test_the_fit_finds_the_law_that_made_the_data():
    model = fit(*sample())
    assert model.intercept == pytest.approx(-3, abs=0.4)
    assert model.weights[0] == pytest.approx(0.5, abs=0.1)
    assert model.weights[1] == pytest.approx(0.8, abs=0.1)
    assert model.weights[3] == pytest.approx(-1.5, abs=0.3)


def test_probabilities_are_calibrated_on_data_it_never_saw():
    model = fit(*sample())
    rows, true = sample(seed=1)
    given = np.array([model.probability(row) for row in rows])
    for low in (0.1, 0.3, 0.5, 0.7):
        band = (given >= low) & (given < low + 0.2)
        assert true[band].mean() == pytest.approx(given[band].mean(), abs=0.06)


def test_only_true_or_only_false_candidates_give_no_model():
    assert fit([(1, 2, 0, 0), (2, 2, 0, 0)], [True, True]) is None


def test_unknown_susceptibility_is_told_apart_from_zero():
    unknown = features(0.5, None, np.e, None, None, 0.2, 0.0)
    assert unknown == pytest.approx((0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.2, 1.0))
    zero = features(0.5, 0.5, np.e, 0.0, 0.0, 0.2, 0.0)
    assert zero == pytest.approx((0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.2, 1.0))


def test_features_are_kept_within_what_the_fit_has_seen():
    odds, again, volume, mean, contrast, unknown, tube, rim = features(
        1.0, 0.0, 1.0, 3.0, -3.0, 1.0, 8.0)
    assert (odds, again, volume) == (8.0, -8.0, 0.0)
    assert (mean, contrast, unknown, tube) == (0.25, -0.25, 0.0, 1.0)
    assert rim == pytest.approx(np.exp(-2))


def test_a_model_comes_back_from_metadata_as_it_was():
    model = Logistic(-1.25, (0.5, 2.5, 0.75, 1.5, -2.0, 0.25, -1.0, 3.0))
    assert Logistic.from_plain(model.as_plain()) == model
    assert set(model.as_plain()) == {"intercept", *FEATURES}
    assert model.second == 2.5


def test_a_model_from_before_the_second_stage_gives_it_no_weight():
    stored = Logistic(-1.25, (0.5, 2.5, 0.75, 1.5, -2.0, 0.25, -1.0, 3.0)).as_plain()
    del stored["second_log_odds"]
    assert Logistic.from_plain(stored).second == 0.0
