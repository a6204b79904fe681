"""Contrast in standard deviations of the surroundings, on images whose noise is known."""

import numpy as np
import pytest

from apps.evaluate.conspicuity import contrast_to_noise
from apps.evaluate.examination import Examination, Known
from apps.evaluate.sections import by_conspicuity, conspicuity_section
from operators.labels import LesionClass

SPACING = np.array([2.0, 1.0, 1.0])
LESION = np.argwhere(np.ones((2, 3, 3))) + np.array([9, 15, 15])
BLEED = LesionClass.MICROBLEED


def scan(contrast):
    image = np.random.default_rng(1).normal(100, 4, (20, 34, 34)).astype(np.float32)
    image[tuple(LESION.T)] = 100 - contrast
    return image


@pytest.mark.parametrize("contrast", [40, 8, -20])
def test_contrast_is_in_standard_deviations_of_the_noise(contrast):
    background = np.ones((20, 34, 34), bool)
    assert contrast_to_noise(scan(contrast), LESION, background, SPACING) == pytest.approx(
        contrast / 4, rel=0.2)


def test_other_objects_and_the_outside_do_not_count():
    image, background = scan(40), np.ones((20, 34, 34), bool)
    image[:, :, 20:] = 0
    image[:, 20:, :] = np.nan
    background[:, :, 20:] = False
    assert contrast_to_noise(image, LESION, background, SPACING) == pytest.approx(10, rel=0.25)


def test_nothing_is_said_without_surroundings_or_without_spread():
    nothing = np.zeros((20, 34, 34), bool)
    assert contrast_to_noise(scan(40), LESION, nothing, SPACING) is None
    assert contrast_to_noise(np.zeros((20, 34, 34)), LESION, ~nothing, SPACING) is None
    assert contrast_to_noise(scan(np.nan), LESION, ~nothing, SPACING) is None


def test_bands_take_their_lower_edge():
    known = [Known(BLEED, 3.0, listed=BLEED if value and value > 4 else None,
                   contrast_to_noise=value) for value in (2.9, 3.0, 5.0, 8.0, 20.0, None)]
    seen = by_conspicuity([Examination("a", (), tuple(known))])[BLEED]
    assert {name: (ratio.part, ratio.whole) for name, ratio in seen.items()} == {
        "below 3": (0, 1), "3 to 5": (0, 1), "5 to 8": (1, 1), "8 and more": (2, 2),
        "unknown": (0, 1)}
    page = conspicuity_section([Examination("a", (), tuple(known))])
    assert "| Cerebral microbleed | 0.000" in page
