"""Field to susceptibility: the dipole as physics writes it, and its inversions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.fft import irfftn, rfftn

from operators.quantitative_maps.background import Sphere, known, local_field, spheres, whole
from operators.quantitative_maps.inversion import (
    _conjugate_gradients,
    _dipole_diagonal,
    _normal,
    _of_faces,
    _roughness,
    dipole_kernel,
    regularised_inversion,
    thresholded_division,
)

SPACING = (2.0, 1.0, 1.0)
SHAPE = (40, 80, 80)
CENTRE = (np.array(SHAPE) // 2).reshape(3, 1, 1, 1)
PLACE = (np.indices(SHAPE) - CENTRE) * np.reshape(SPACING, (3, 1, 1, 1))
RADIUS = np.sqrt((PLACE**2).sum(axis=0))
BRAIN = RADIUS < 28
OBLIQUE = tuple(np.array([0.9, 0.3, 0.316]) / np.linalg.norm([0.9, 0.3, 0.316]))


def field_of(chi: NDArray, b0: tuple[float, float, float]) -> NDArray[np.float32]:
    kernel = dipole_kernel(SHAPE, SPACING, b0)
    return irfftn(kernel * rfftn(chi.astype(np.float32)), s=SHAPE)


@pytest.mark.parametrize("b0", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), OBLIQUE])
def test_a_ball_has_the_field_of_a_dipole(b0: tuple[float, float, float]) -> None:
    field = field_of(RADIUS <= 6, b0)
    cosine = np.tensordot(b0, PLACE, 1) / np.maximum(RADIUS, 1)
    expected = (6 / np.maximum(RADIUS, 6)) ** 3 * (cosine**2 - 1 / 3)
    shell = (RADIUS > 9) & (RADIUS < 16)
    assert np.corrcoef(field[shell], expected[shell])[0, 1] > 0.98
    assert 0.9 < np.polyfit(expected[shell], field[shell], 1)[0] < 1.1
    assert abs(field[RADIUS < 4].mean()) < 0.02


@pytest.fixture(scope="module")
def truth() -> NDArray[np.float32]:
    """A nucleus, a bleed and a calcification on folded cortex, ppm."""
    chi = np.where(np.sin(PLACE[1] / 4) * np.sin(PLACE[2] / 5) > 0, 0.02, -0.02)
    chi[np.abs(PLACE - np.reshape([0, 10, 8], (3, 1, 1, 1))).max(axis=0) < 5] = 0.12
    chi[np.sqrt(((PLACE - np.reshape([6, -8, 0], (3, 1, 1, 1))) ** 2).sum(axis=0)) < 2.5] = 1.0
    chi[np.sqrt(((PLACE - np.reshape([-6, 0, -9], (3, 1, 1, 1))) ** 2).sum(axis=0)) < 2.5] = -0.8
    return np.where(BRAIN, chi, 0).astype(np.float32)


@pytest.fixture(scope="module")
def parts() -> tuple[Sphere, ...]:
    return spheres(BRAIN, spacing=SPACING, radii_mm=(12.0, 5.0, 2.0))


def noisy(truth: NDArray) -> NDArray[np.float32]:
    noise = np.random.default_rng(0).standard_normal(SHAPE)
    return ((field_of(truth, OBLIQUE) + 0.003 * noise) * BRAIN).astype(np.float32)


def regularised(field: NDArray, weight: NDArray, parts: tuple[Sphere, ...]) -> NDArray[np.float32]:
    """Without edges: the magnitude is even."""
    kernel = dipole_kernel(SHAPE, SPACING, OBLIQUE)
    local = local_field(field, parts, threshold=0.05)
    start = thresholded_division(local, known(parts), kernel, threshold=0.19)
    return regularised_inversion(
        field, weight, BRAIN.astype(np.float32), parts, kernel, smoothness=0.03, shrinkage=1e-3,
        edge_fraction=0.3, iterations=20, start=start,
    )


def test_division_finds_bleed_and_calcification_with_their_sign(
    truth: NDArray, parts: tuple[Sphere, ...]
) -> None:
    kernel = dipole_kernel(SHAPE, SPACING, OBLIQUE)
    chi = thresholded_division(noisy(truth), known(parts), kernel, threshold=0.19)
    assert 0.75 < chi[truth == 1.0].mean() < 1.25
    assert -1.0 < chi[truth == np.float32(-0.8)].mean() < -0.6
    assert (chi[~known(parts)] == 0).all()


def test_regularisation_is_nearer_to_the_truth_than_division(
    truth: NDArray, parts: tuple[Sphere, ...]
) -> None:
    field, inside = noisy(truth), known(parts)
    kernel = dipole_kernel(SHAPE, SPACING, OBLIQUE)
    fast = thresholded_division(field, inside, kernel, threshold=0.19)
    slow = regularised(field, BRAIN.astype(np.float32), parts)
    error = [np.linalg.norm((chi - truth)[inside]) for chi in (fast, slow)]
    assert error[1] < 0.8 * error[0]
    assert 0.85 < slow[truth == 1.0].mean() < 1.15


def test_a_background_field_does_not_reach_the_regularised_map(
    truth: NDArray, parts: tuple[Sphere, ...]
) -> None:
    outside = 0.05 * PLACE[2] / 28 + 0.1 * (PLACE[1] ** 2 - PLACE[2] ** 2) / 28**2
    with_it = regularised(noisy(truth) + (outside * BRAIN).astype(np.float32),
                          BRAIN.astype(np.float32), parts)
    without = regularised(noisy(truth), BRAIN.astype(np.float32), parts)
    inside = known(parts) & (RADIUS < 24)
    right, left = (np.corrcoef(chi[inside], truth[inside])[0, 1] for chi in (without, with_it))
    assert left > right - 0.01 > 0.9
    assert np.abs(with_it - without)[inside].mean() < 0.001


def test_outer_sources_find_more_of_a_bleed_at_the_rim_that_spheres_hardly_reach(
    truth: NDArray, parts: tuple[Sphere, ...]
) -> None:
    """Under a background of sources outside; where spheres reach, the map does not get worse."""
    rim = np.sqrt(((PLACE - np.reshape([0, 0, 25.5], (3, 1, 1, 1))) ** 2).sum(axis=0)) < 2.5
    bone = np.sqrt(((PLACE - np.reshape([0, -20, -28], (3, 1, 1, 1))) ** 2).sum(axis=0)) < 4
    there = np.where(rim, np.float32(1), truth)
    field = (noisy(there) + field_of(3.0 * bone, OBLIQUE) * BRAIN).astype(np.float32)
    weight = BRAIN.astype(np.float32)
    spherical = regularised(field, weight, parts)
    chi = regularised_inversion(
        field, weight, weight, [whole(BRAIN)], dipole_kernel(SHAPE, SPACING, OBLIQUE),
        smoothness=0.03, shrinkage=1e-3, edge_fraction=0.3, iterations=40, start=spherical,
        outer_sources=True,
    )
    assert 0.35 < chi[rim].mean() > 1.5 * spherical[rim].mean()
    assert (chi[~BRAIN] == 0).all()
    inside = known(parts)
    before, after = (np.corrcoef(x[inside], there[inside])[0, 1] for x in (spherical, chi))
    assert after > before - 0.01


def test_a_voxel_of_no_weight_does_not_count(truth: NDArray, parts: tuple[Sphere, ...]) -> None:
    field = noisy(truth)
    wrong = (20, 52, 30)
    field[wrong] += 2.0
    trusted = BRAIN.astype(np.float32)
    blind = regularised(field, trusted, parts)
    trusted[wrong] = 0
    told = regularised(field, trusted, parts)
    near = np.sqrt(((PLACE - PLACE[:, 20, 52, 30].reshape(3, 1, 1, 1)) ** 2).sum(axis=0)) < 3
    assert np.abs(told - truth)[near].mean() < np.abs(blind - truth)[near].mean()


def test_weak_signal_converges_too_with_the_diagonal() -> None:
    """Weights over four decades: ten steps solve what plain gradients leave."""
    weight = np.geomspace(1e-4, 1, 4096, dtype=np.float32).reshape(16, 16, 16)
    wanted = np.random.default_rng(0).standard_normal(weight.shape).astype(np.float32)

    def worst(diagonal: NDArray) -> float:
        found = _conjugate_gradients(
            lambda x: weight * x, weight * wanted, np.zeros_like(wanted), diagonal, 10
        )
        return float(np.abs(found - wanted).max())

    assert worst(weight) < 1e-3
    assert worst(np.ones_like(weight)) > 0.5


def test_the_preconditioner_is_the_diagonal_of_what_it_stands_for() -> None:
    kernel = dipole_kernel(SHAPE, SPACING, OBLIQUE)
    trust = np.random.default_rng(1).uniform(0.1, 1, SHAPE).astype(np.float32)
    diagonal = _dipole_diagonal(trust, kernel)
    for place in ((20, 40, 40), (8, 30, 55)):
        point = np.zeros(SHAPE, np.float32)
        point[place] = 1
        assert _normal(point, [(kernel, trust)])[place] == pytest.approx(diagonal[place], rel=1e-3)


def test_faces_add_up_to_the_diagonal_of_the_roughness() -> None:
    generator = np.random.default_rng(2)
    shape = (4, 5, 6)
    faces = [
        generator.random(tuple(n - (i == axis) for i, n in enumerate(shape))).astype(np.float32)
        for axis in range(3)
    ]
    for place in ((0, 0, 0), (2, 3, 4), (3, 4, 5)):
        point = np.zeros(shape, np.float32)
        point[place] = 1
        wanted = _of_faces(faces, shape)[place]
        assert _roughness(point, faces)[place] == pytest.approx(wanted, rel=1e-5)
