"""SWI and its minimum intensity projection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.swi import minimum_intensity_projection, susceptibility_weighted

from .conftest import axial, volume

SHAPE = (12, 64, 64)
AFFINE = axial((2.0, 1.0, 1.0))


def weighted(phase: NDArray) -> NDArray:
    ones = volume(np.full(SHAPE, 100, np.float32), AFFINE)
    return susceptibility_weighted(ones, volume(phase.astype(np.float32), AFFINE)).array


def test_without_phase_swi_is_the_magnitude() -> None:
    assert np.allclose(weighted(np.zeros(SHAPE)), 100, rtol=1e-4)


def test_a_vein_of_stronger_field_turns_dark_by_the_fourth_power() -> None:
    phase = np.zeros(SHAPE)
    phase[:, 32, 32] = np.pi / 2
    swi = weighted(phase)
    assert abs(swi[6, 32, 32] / (100 * 0.5**4) - 1) < 0.1
    assert swi[6, 10, 10] > 99


def test_a_weaker_field_stays_bright() -> None:
    phase = np.zeros(SHAPE)
    phase[:, 32, 32] = -np.pi / 2
    assert weighted(phase)[6, 32, 32] > 99


def test_the_slow_phase_of_the_head_goes_even_when_it_wraps() -> None:
    y, x = np.meshgrid(*[np.linspace(-1, 1, 64)] * 2, indexing="ij")
    slow = np.broadcast_to(6 * (x**2 + y**2), SHAPE)
    wrapped = np.angle(np.exp(1j * slow))
    assert weighted(wrapped)[:, 12:-12, 12:-12].min() > 80


def test_the_projection_is_the_minimum_over_its_thickness() -> None:
    image = np.full(SHAPE, 10, np.float32)
    image[6, 20, 20] = 1
    projected = minimum_intensity_projection(volume(image, AFFINE), thickness_mm=10.0).array
    dark = np.nonzero(projected[:, 20, 20] == 1)[0]
    assert dark.tolist() == [4, 5, 6, 7, 8]
    assert projected.shape == SHAPE
    assert (projected == 1).sum() == 5
