import pytest

from apps.evaluate.examination import Examination, Found, Known
from apps.train.scoring import operating_points, scores
from operators.labels import LesionClass

BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT
CALCIUM, VESSEL = LesionClass.CALCIFICATION, LesionClass.VESSEL


def known(*objects):
    """Of (class, size) or (class, size, listed as)."""
    return tuple(Known(kind, mm, listed=listed[0] if listed else None)
                 for kind, mm, *listed in objects)


def found(kind, truth, probability=0.9, mm=4.0):
    return Found(kind, probability, 0.1, 30.0, None, "", truth, mm if truth else 0.0)


def test_scores_of_a_hand_made_result():
    one = Examination(
        "a",
        (found(BLEED, BLEED), found(BLEED, CALCIUM), found(BLEED, VESSEL), found(BLEED, None),
         found(CALCIUM, CALCIUM)),
        known((BLEED, 4.0, BLEED), (BLEED, 2.0), (CALCIUM, 4.0, BLEED), (CALCIUM, 5.0, CALCIUM),
              (VESSEL, 3.0, BLEED)),
    )
    clean = Examination("b", (), ())
    got = scores([one, clean])
    assert got["microbleed_planted"] == 2
    assert got["microbleed_sensitivity"] == 0.5
    assert got["microbleed_precision"] == 0.25
    assert got["microbleed_false_positives_per_scan"] == 1.5
    assert got["microbleed_sensitivity_over_3mm"] == 1.0
    assert got["calcification_called_microbleed"] == 0.5
    assert got["vessel_called_microbleed_per_scan"] == 0.5
    assert got["calcification_sensitivity"] == 0.5


def test_a_class_that_is_never_rightly_found_has_no_operating_point():
    one = Examination("a", (found(BLEED, None, 0.9), found(CALCIUM, None, 0.9),
                            found(CALCIUM, VESSEL, 0.8), found(CALCIUM, CALCIUM, 0.7)),
                      known((CALCIUM, 4.0)))
    assert operating_points([one]) == {}


def test_operating_points_part_true_from_false_per_class():
    one = Examination(
        "a",
        (found(BLEED, BLEED, 0.9), found(BLEED, VESSEL, 0.7), found(IRON, IRON, 0.6),
         found(IRON, None, 0.4)),
        known((BLEED, 4.0), (IRON, 4.0)),
    )
    points = operating_points([one])
    assert points[BLEED] == pytest.approx(0.8)
    assert points[IRON] == pytest.approx(0.5)
