"""V-SHARP: fields from outside go, fields from inside stay."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from operators.quantitative_maps.background import (
    Sphere,
    known,
    local_field,
    spheres,
    without_polynomial,
)

SPACING = (2.0, 1.0, 1.0)
SHAPE = (48, 96, 96)
RADII = (12.0, 5.0, 2.0)
CENTRE = (np.array(SHAPE) - 1) / 2
Z, Y, X = (np.indices(SHAPE) - CENTRE.reshape(3, 1, 1, 1)) * np.reshape(SPACING, (3, 1, 1, 1))
BRAIN = np.sqrt(Z**2 + Y**2 + X**2) < 30


@pytest.fixture(scope="module")
def parts() -> tuple[Sphere, ...]:
    return spheres(BRAIN, spacing=SPACING, radii_mm=RADII)


def source(z: float, y: float, x: float, ppm: float) -> NDArray[np.float64]:
    """Field of a ball of 4 mm radius along z: 2/3 ppm a^3 / r^3 at its poles; 0 inside."""
    dz, dy, dx = Z - z, Y - y, X - x
    r = np.sqrt(dz**2 + dy**2 + dx**2)
    outside = ppm / 3 * (4 / np.maximum(r, 4)) ** 3 * (3 * (dz / np.maximum(r, 1)) ** 2 - 1)
    return np.where(r > 4, outside, 0)


def test_every_voxel_has_one_sphere_at_most_and_the_deep_ones_have_one(
    parts: tuple[Sphere, ...]
) -> None:
    depth = distance_transform_edt(BRAIN, SPACING)
    assert sum(part.where.astype(int) for part in parts).max() == 1
    assert known(parts)[depth > 4.0].all()
    assert not known(parts)[depth <= 2.0].any()


def test_a_constant_has_no_response(parts: tuple[Sphere, ...]) -> None:
    assert all(abs(part.response[0, 0, 0]) < 1e-5 for part in parts)


def test_a_field_from_outside_goes(parts: tuple[Sphere, ...]) -> None:
    outside = (0.01 * X + 0.02 * Z + 4e-4 * (X**2 - Y**2) + 2e-4 * X * Z) * BRAIN
    left = local_field(outside.astype(np.float32), parts, threshold=0.05)
    assert left[known(parts)].std() < 0.01 * outside[known(parts)].std()


def test_a_source_near_the_brain_goes_and_one_inside_stays(parts: tuple[Sphere, ...]) -> None:
    inside, outside = source(-6, 8, -5, 0.5), source(0, 0, 40, 9.0)
    total = ((inside + outside) * BRAIN).astype(np.float32)
    left = local_field(total, parts, threshold=0.05)
    deep = known(parts) & (np.sqrt(Z**2 + Y**2 + X**2) < 24)
    near = deep & (np.abs(inside) > 0.02)
    assert np.corrcoef(left[near], inside[near])[0, 1] > 0.97
    assert 0.85 < np.polyfit(inside[near], left[near], 1)[0] < 1.15
    assert np.abs(left)[deep & (np.abs(inside) < 0.003)].mean() < 0.004


def test_nothing_is_claimed_outside(parts: tuple[Sphere, ...]) -> None:
    left = local_field((source(0, 0, 0, 1.0) * BRAIN).astype(np.float32), parts, threshold=0.05)
    assert (left[~known(parts)] == 0).all()


def test_a_bowl_goes_and_a_vein_on_it_stays() -> None:
    bowl = 0.01 * (X / 30) ** 2 - 0.02 * (Y / 30) ** 2 * (Z / 30)
    vein = np.where((np.abs(Y) < 2) & (np.abs(X - 4) < 2), 0.1, 0)
    left = without_polynomial((bowl + vein).astype(np.float32), BRAIN, 4)
    assert np.abs(left[BRAIN & (vein == 0)]).mean() < 0.001
    assert abs(left[BRAIN & (vein > 0)].mean() - 0.1) < 0.005
