import numpy as np
import pytest

from operators.errors import StepFailed
from operators.lesion_segmenter.normalise import CHANNELS, network_input, scale_contrast
from operators.types import Role

SPACING = (2.0, 1.0, 1.0)
SHAPE = (12, 60, 50)


def brain_of(shape=SHAPE):
    brain = np.zeros(shape, bool)
    brain[2:-2, 8:-8, 6:-6] = True
    return brain


def speckle(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).uniform(80, 120, shape).astype(np.float32)


def test_the_scanner_gain_drops_out():
    image, brain = speckle(), brain_of()
    one = scale_contrast(image, brain, Role.SWI, SPACING)
    other = scale_contrast(image * 37, brain, Role.SWI, SPACING)
    np.testing.assert_allclose(one, other, atol=1e-4)
    assert abs(one[brain].mean()) < 0.01


def test_coil_shading_drops_out_and_a_small_dark_spot_stays():
    brain = np.ones((20, 80, 80), bool)
    ramp = np.linspace(0.6, 1.4, 80, dtype=np.float32)
    image = np.broadcast_to(100 * ramp, brain.shape).copy()
    image[10, 40:44, 20:24] *= 0.3
    scaled = scale_contrast(image, brain, Role.SWI, SPACING)
    middle = scaled[:, 20:60, 20:60].copy()
    middle[10, 20:24, 0:4] = 0
    assert np.abs(middle).max() < 0.12
    assert scaled[10, 41, 21] == pytest.approx(-0.7, abs=0.1)


def test_susceptibility_keeps_its_sign_and_its_unit_is_ppm():
    brain = brain_of()
    qsm = np.zeros(SHAPE, np.float32)
    qsm[5, 30, 25], qsm[6, 30, 25] = 0.3, -5.0
    scaled = scale_contrast(qsm, brain, Role.QSM, SPACING)
    assert scaled[5, 30, 25] == pytest.approx(2.0)
    assert scaled[6, 30, 25] == pytest.approx(-6.0)


def test_outside_the_brain_and_the_field_of_view_is_zero():
    image, brain = speckle(), brain_of()
    image[:, :20] = np.nan
    scaled = scale_contrast(image, brain, Role.T2W, SPACING)
    assert np.isfinite(scaled).all()
    assert not scaled[~brain].any()
    assert not scaled[:, :20].any()
    assert np.abs(scaled[5, 20:30, 20:30]).mean() > 0.01


def test_missing_contrasts_are_zero_and_said():
    prepared = network_input({Role.SWI: speckle()}, brain_of(), SPACING)
    assert prepared.present == (Role.SWI,)
    assert not prepared.array[CHANNELS.index(Role.QSM)].any()
    assert prepared.array[CHANNELS.index(Role.SWI)].any()


@pytest.mark.parametrize("pixel_mm", [0.5, 0.9, 1.7])
def test_fine_and_coarse_grids_come_to_about_a_millimetre_and_back_in_place(pixel_mm):
    size = round(90 / pixel_mm)
    brain = brain_of((8, size, size))
    image = np.full(brain.shape, 100, np.float32)
    at = round(size * 0.37), round(size * 0.61)
    reach = max(1, round(2 / pixel_mm))
    spot = np.s_[4, at[0] - reach:at[0] + reach + 1, at[1] - reach:at[1] + reach + 1]
    image[spot] = 10
    prepared = network_input({Role.SWI: image}, brain, (2.0, pixel_mm, pixel_mm))
    assert 0.8 <= prepared.spacing_mm[1] <= 1.25
    back = prepared.to_reference(np.maximum(-prepared.array[:1], 0))[0]
    assert back.shape == brain.shape
    weights = back[4]
    centre = [np.average(axis, weights=weights) for axis in np.indices(weights.shape)]
    assert np.abs(np.subtract(centre, at)).max() * pixel_mm < 0.3


def test_an_empty_brain_mask_is_an_error_with_a_remedy():
    with pytest.raises(StepFailed, match="brain mask is empty"):
        network_input({Role.SWI: speckle()}, np.zeros(SHAPE, bool), SPACING)


def test_a_contrast_without_signal_is_an_error_that_names_it():
    with pytest.raises(StepFailed, match="t2w series has no signal"):
        network_input({Role.SWI: speckle(), Role.T2W: np.zeros(SHAPE, np.float32)},
                      brain_of(), SPACING)
