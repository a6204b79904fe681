import numpy as np
import pytest

from operators.lesion_segmenter.matching import Candidate, best_operating_point, match


def row(*numbers):
    return np.array(numbers, np.int32).reshape(1, 1, -1)


def test_one_shared_voxel_is_a_match():
    assert match(row(1, 1, 0, 0), row(0, 5, 5, 5)) == {5: 1}


def test_touching_without_sharing_is_none():
    assert match(row(1, 1, 0, 0), row(0, 0, 2, 2)) == {}


def test_a_prediction_over_two_lesions_finds_only_the_larger():
    assert match(row(1, 1, 1, 2, 2), row(7, 7, 7, 7, 7)) == {7: 1}


def test_two_predictions_in_one_lesion_count_once():
    assert match(row(1, 1, 1, 1, 1), row(3, 0, 4, 4, 4)) == {4: 1}


def test_the_largest_overlap_goes_first_and_the_rest_finds_another_partner():
    truth = row(1, 1, 1, 1, 2, 2, 0)
    predicted = row(8, 9, 9, 9, 9, 0, 0)
    assert match(truth, predicted) == {9: 1}
    assert match(truth, row(8, 9, 9, 9, 8, 8, 0)) == {9: 1, 8: 2}


def test_the_operating_point_keeps_the_true_and_leaves_the_false():
    found = [Candidate(0.9, True), Candidate(0.8, True), Candidate(0.6, False)]
    point, score = best_operating_point(found, 2)
    assert point == pytest.approx(0.7)
    assert score == 1.0


def test_false_lesions_are_taken_for_the_sake_of_a_true_one_up_to_a_limit():
    found = [Candidate(0.9, True), Candidate(0.8, False), Candidate(0.7, False),
             Candidate(0.6, True)]
    assert best_operating_point(found, 3)[0] == pytest.approx(0.55)
    assert best_operating_point(found, 3, most_false=1)[0] == pytest.approx(0.85)
    worse = [*found[:3], Candidate(0.65, False), *found[3:]]
    assert best_operating_point(worse, 2)[0] == pytest.approx(0.85)


def test_a_missed_lesion_lowers_the_score():
    _, score = best_operating_point([Candidate(0.9, True)], 2)
    assert score == pytest.approx(2 / 3)


def test_without_a_true_candidate_the_operating_point_is_the_least():
    assert best_operating_point([Candidate(0.9, False)], 2, least=0.4) == (0.4, 0.0)
    assert best_operating_point([], 0) == (0.5, 0.0)
