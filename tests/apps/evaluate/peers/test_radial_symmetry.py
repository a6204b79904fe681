"""The classical peer on small fabricated heads: what is round, dark and of which sign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apps.evaluate.peers.radial_symmetry import Parameters, detect, fit, radial_symmetry
from apps.train.subjects import Examined
from operators.errors import InputError
from operators.labels import LesionClass, Side, structure
from operators.types import Role

SHAPE, SPACING = (10, 64, 64), (2.0, 1.0, 1.0)
PUTAMEN = structure("putamen", Side.LEFT)
BLEED, IRON, CALCIUM = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT,
                        LesionClass.CALCIFICATION)


def head(*balls, tube=False):
    """Balls of (centre, radius mm, ppm, class), numbered in the truth, in an even brain."""
    generator = np.random.default_rng(0)
    swi = generator.normal(100, 2, SHAPE).astype(np.float32)
    qsm = generator.normal(0, 0.005, SHAPE).astype(np.float32)
    truth = np.zeros(SHAPE, np.uint16)
    points = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING
    for number, (centre, radius, ppm, _) in enumerate(balls, start=1):
        ball = np.linalg.norm(points - np.multiply(centre, SPACING), axis=-1) <= radius
        truth[ball] = number
        swi[ball] *= 0.3
        qsm[ball] += ppm
    if tube:
        swi[5, 50:52, 10:50] *= 0.3
        qsm[5, 50:52, 10:50] += 0.2
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 4:-4, 4:-4] = True
    regions = np.zeros(SHAPE, np.uint8)
    regions[:, :, :16] = PUTAMEN.number
    kinds = {number: ball[3] for number, ball in enumerate(balls, start=1)}
    return Examined("one", "one", 3.0, {Role.SWI: swi, Role.QSM: qsm}, brain, regions, truth, kinds,
                    dict.fromkeys(kinds, 4.0), np.diag([*SPACING, 1.0]), "1.2.3")


def test_symmetry_peaks_in_the_middle_of_a_dark_disc_and_nowhere_near_a_bright_one():
    image = np.zeros((1, 48, 48), np.float32)
    rows, columns = np.indices((48, 48))
    image[0, np.hypot(rows - 14, columns - 14) <= 3] = -0.7
    image[0, np.hypot(rows - 34, columns - 34) <= 3] = 0.7
    map_ = radial_symmetry(image, np.ones(image.shape, bool), (2.0, 1.0, 1.0))
    peak = np.unravel_index(map_.argmax(), map_.shape)
    assert np.hypot(peak[1] - 14, peak[2] - 14) <= 1
    assert map_[0, 14, 14] > 10 * map_[0, 34, 34]


def test_sign_and_place_name_the_spots():
    subject = head(((5, 20, 30), 2.5, 0.3, BLEED), ((5, 40, 10), 2.5, 0.3, IRON),
                   ((5, 20, 50), 2.5, -0.3, CALCIUM))
    result = detect(subject, Parameters())
    assert sorted(one.kind for one in result.lesions) == sorted([BLEED, IRON, CALCIUM])
    for one in result.lesions:
        (number,) = np.unique(subject.truth[result.labels.array == one.index])
        assert subject.kinds[int(number)] is one.kind
    bleed = result.of(BLEED)[0]
    assert bleed.mean_ppm == pytest.approx(0.3, abs=0.05)
    assert bleed.centroid_lps_mm == pytest.approx((10, 20, 30), abs=0.5)
    assert 0.5 <= bleed.probability < 1


def test_a_vein_along_the_slice_and_a_spot_without_susceptibility_are_no_lesions():
    subject = head(((5, 20, 30), 2.5, 0.0, BLEED), tube=True)
    assert detect(subject, Parameters()).lesions == ()


def test_without_susceptibility_the_sign_is_not_asked_for():
    subject = head(((5, 20, 30), 2.5, -0.3, CALCIUM))
    blind = replace(subject, contrasts={Role.SWI: subject.contrasts[Role.SWI]})
    (one,) = detect(blind, Parameters()).lesions
    assert one.kind is BLEED
    assert one.mean_ppm is None


def test_fit_takes_the_threshold_that_keeps_the_true_and_leaves_the_false():
    """Weakly paramagnetic spots are no bleeds here, so the fit must ask for more ppm."""
    subject = head(((5, 20, 30), 2.5, 0.3, BLEED), ((5, 40, 10), 2.5, 0.3, IRON),
                   ((5, 20, 50), 2.5, 0.055, LesionClass.VESSEL))
    chosen = fit([subject])
    assert chosen.blood_ppm > 0.055
    assert [one.kind for one in detect(subject, chosen).lesions] == [BLEED, IRON]


def test_fit_without_subjects_says_what_to_give():
    with pytest.raises(InputError, match="training or validation"):
        fit([])
