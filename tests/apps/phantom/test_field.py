from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.field import b0_in_grid, dipole_field, shim_residual
from apps.phantom.grids import axial_grid, rotation


def _sphere(size: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Sphere of 1 ppm, antialiased, and the (3, ...) offsets from its centre."""
    offsets = np.indices((size,) * 3) - (size - 1) / 2
    r = np.sqrt((offsets**2).sum(axis=0))
    return np.clip(radius - r + 0.5, 0, 1).astype(np.float32), offsets


@pytest.mark.parametrize("b0", [(1.0, 0.0, 0.0), (0.8, 0.6, 0.0), (0.6, 0.0, -0.8)])
def test_a_sphere_has_the_analytic_dipole_outside_and_no_field_inside(b0: tuple) -> None:
    chi, offsets = _sphere(64, 10.0)
    field = dipole_field(chi, spacing_mm=(1, 1, 1), b0=np.array(b0), pad=64)
    r = np.sqrt((offsets**2).sum(axis=0))
    cosine = np.tensordot(np.array(b0), offsets, axes=1) / r
    analytic = (1 / 3) * (10.0 / r) ** 3 * (3 * cosine**2 - 1)
    outside = (r > 13) & (r < 28)
    assert np.abs(field - analytic)[outside].max() < 0.02
    assert np.abs(field[r < 7]).max() < 0.04
    assert abs(field[r < 7].mean()) < 0.001
    assert field[outside & (np.abs(cosine) > 0.98)].min() > 0
    assert field[outside & (np.abs(cosine) < 0.05)].max() < 0


def test_voxel_size_does_not_change_the_field_of_the_same_sphere() -> None:
    chi, _ = _sphere(48, 10.0)
    fine = dipole_field(chi, spacing_mm=(1, 1, 1), b0=np.array([1.0, 0, 0]), pad=48)
    thick = dipole_field(
        chi.reshape(24, 2, 48, 48).mean(axis=1), spacing_mm=(2, 1, 1), b0=np.array([1.0, 0, 0]),
        pad=48)
    apart = fine.reshape(24, 2, 48, 48).mean(axis=1)[4, 24, 24] - thick[4, 24, 24]
    assert abs(apart) < 0.01


def test_b0_stays_along_the_patient_when_the_slab_turns() -> None:
    straight = axial_grid((2, 1, 1), (40, 40, 40), (0, 0, 0))
    assert b0_in_grid(straight.affine) == pytest.approx([1, 0, 0])
    sagittal_pitch = axial_grid((2, 1, 1), (40, 40, 40), (0, 0, 0), rotation((90, 0, 0)))
    assert np.abs(b0_in_grid(sagittal_pitch.affine)) == pytest.approx([0, 1, 0], abs=1e-9)
    tilted = axial_grid((2, 1, 1), (40, 40, 40), (0, 0, 0), rotation((8, -4, 3)))
    in_patient = (tilted.affine[:3, :3] / [2, 1, 1]) @ b0_in_grid(tilted.affine)
    assert in_patient == pytest.approx([0, 0, 1], abs=1e-9)


def test_the_shim_takes_away_what_coils_can_make_and_leaves_the_rest() -> None:
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, 32, dtype=np.float32),) * 3, indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.8
    spacing_mm = (2.0, 2.0, 2.0)
    harmonic = 0.5 + 0.3 * z - 0.2 * x * y + 0.4 * (z**2 - y**2)
    assert np.abs(shim_residual(harmonic, inside, spacing_mm)[inside]).max() < 1e-4
    bowl = x**2 + y**2 + z**2
    assert np.ptp(shim_residual(harmonic + bowl, inside, spacing_mm)[inside]) > 0.7
    spike = harmonic.copy()
    spike[16, 16, 16] += 5
    assert shim_residual(spike, inside, spacing_mm)[16, 16, 16] > 4.5
