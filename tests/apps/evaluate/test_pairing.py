"""The matching rule on hand-made cases: shared voxels, one to one, largest overlap first."""

import numpy as np
import pytest

from apps.evaluate.pairing import dice, pair, pair_near
from operators.labels import LesionClass
from operators.types import Lesion

BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT
CALCIUM, VESSEL = LesionClass.CALCIFICATION, LesionClass.VESSEL


def lesion(index, kind):
    return Lesion(index, kind, None, 1.0, 1.0, (0.0, 0.0, 0.0), None, None, 0.9, 0.0, "", "1")


def paired(truth, labels, kinds, listed):
    """Both label maps as rows of digits."""
    rows = [np.array([[[int(digit) for digit in row]]]) for row in (truth, labels)]
    return pair(*rows, [lesion(index, kind) for index, kind in listed.items()], kinds)


@pytest.mark.parametrize(
    ("truth", "labels", "pairs"),
    [
        ("0111000", "0011100", {1: 1}),
        ("0110000", "0001100", {}),  # touching is not sharing
        ("0111022", "1111111", {1: 1}),  # one listed lesion over two: the larger overlap
        ("0111110", "0110220", {1: 1}),  # two in one: equal overlap, the lower number
        ("0111110", "0100222", {2: 1}),
        ("1110222", "0111111", {1: 2}),  # the first is covered, but by a lesion that is taken
    ],
)
def test_lesions_of_one_class_match_by_overlap(truth, labels, pairs):
    kinds = {1: BLEED, 2: BLEED}
    assert paired(truth, labels, kinds, {1: BLEED, 2: BLEED}) == pairs


def test_the_own_class_comes_before_a_larger_overlap_with_another():
    kinds = {1: CALCIUM, 2: BLEED}
    assert paired("1111200", "0111200", kinds, {1: BLEED, 2: VESSEL}) == {1: 1, 2: 2}
    assert paired("1111222", "0111100", kinds, {1: BLEED}) == {1: 2}
    assert paired("1110222", "0111220", {1: IRON, 2: BLEED}, {1: BLEED, 2: BLEED}) == {2: 2, 1: 1}


def test_centres_within_5_mm_match_nearest_first_and_one_to_one():
    def at(kind, x):
        return kind, np.array([x, 0.0, 0.0])
    known = {1: at(BLEED, 0.0), 2: at(BLEED, 20.0), 3: at(IRON, 40.0)}
    listed = {1: at(BLEED, 4.0), 2: at(BLEED, -3.0), 3: at(BLEED, 25.0), 4: at(BLEED, 40.0)}
    assert pair_near(known, listed) == {2: 1, 3: 2}
    assert pair_near(known, {1: at(BLEED, 5.001)}) == {}


def test_dice_of_masks():
    truth, labels = np.array([[[1, 1, 2, 0]]]), np.array([[[1, 0, 3, 3]]])
    assert dice(truth, labels, [1], [1]) == pytest.approx(2 / 3)
    assert dice(truth, labels, [1, 2], [3]) == pytest.approx(2 / 5)
    assert dice(truth, labels, [1], []) == 0
    assert dice(truth, labels, [], []) is None
