"""A small head in a magnet: ellipsoid brain, nuclei, bleeds, a calcium, a sinus, tilted slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

GAMMA_RAD_MS_PPM_T = 2 * np.pi * 42.577e-3
"""Phase in rad of 1 ms in 1 ppm of 1 T."""


@dataclass(frozen=True)
class Head:
    """Volumes of a simulated head on 2 x 1 x 1 mm, and what is true in it."""

    magnitudes: tuple[Volume, ...]
    phases: tuple[Volume, ...]
    echo_times_ms: tuple[float, ...]
    field_strength_t: float
    brain: Volume
    susceptibility_ppm: Volume
    local_field_ppm: Volume
    sources: dict[str, NDArray[np.bool_]]


def affine_lps(spacing: tuple[float, float, float], tilt_deg: float = 0.0) -> NDArray[np.float64]:
    """Axial slices, rows to posterior, columns to left, tilted about x."""
    angle = np.deg2rad(tilt_deg)
    z = np.array([0, -np.sin(angle), np.cos(angle)])
    y = np.array([0, np.cos(angle), np.sin(angle)])
    x = np.array([1.0, 0, 0])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([z * spacing[0], y * spacing[1], x * spacing[2]], axis=1)
    return affine


def volume(array: NDArray, affine: NDArray) -> Volume:
    return Volume(array, affine, coordinate_system="PATIENT")


def dipole_field(chi: NDArray, spacing: tuple[float, float, float], b0: NDArray) -> NDArray:
    """Field, ppm, of a susceptibility distribution; padded to twice its size."""
    shape = tuple(2 * n for n in chi.shape)
    k = np.meshgrid(
        *[np.fft.fftfreq(n, d) for n, d in zip(shape, spacing, strict=True)], indexing="ij"
    )
    square = sum(axis**2 for axis in k)
    along = sum(axis * direction for axis, direction in zip(k, b0, strict=True))
    kernel = 1 / 3 - np.divide(along**2, square, out=np.zeros(shape), where=square > 0)
    kernel[0, 0, 0] = 0
    spectrum = np.fft.fftn(chi, shape) * kernel
    return np.fft.ifftn(spectrum).real[tuple(slice(n) for n in chi.shape)]


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head()


def make_head(seed: int = 0, tilt_deg: float = 12.0, offset_rad: float = 1.0) -> Head:
    """Simulated at 1 mm, sampled at 2 x 1 x 1 mm by averaging the complex signal."""
    rng = np.random.default_rng(seed)
    shape = (80, 104, 88)
    grid = np.stack(np.meshgrid(*[np.arange(n) - n / 2 + 0.5 for n in shape], indexing="ij"))

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> NDArray:
        scaled = (grid - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))
        return (scaled**2).sum(axis=0) <= 1

    brain = ball((0, 0, 0), (31, 43, 36))
    skull = ball((0, 0, 0), (36, 48, 41))
    sinus = ball((-26, -38, 0), (7, 6, 9)) & ~brain
    chi = np.where(brain, -0.02, 0.0) + 0.03 * _folds(shape, rng) * brain
    rate = np.where(brain, 20.0, 25.0)
    sources = {}
    for side in (-1, 1):
        for centre, radii, ppm in (
            ((0, 4, 17), (8, 9, 5), 0.06), ((-1, 6, 11), (5, 6, 3), 0.13), ((8, -8, 9), (6, 6, 4), 0.05),
        ):
            part = ball((centre[0], centre[1], side * centre[2]), radii)
            chi[part] = ppm
            rate[part] += 100 * ppm
    for number, ppm in enumerate((0.6, 0.9, 1.2, 1.6, 2.0)):
        angle = 2 * np.pi * number / 5
        part = ball((6 * np.sin(3 * angle), 28 * np.cos(angle), 22 * np.sin(angle)), (1.8, 1.8, 1.8))
        chi[part] = ppm
        rate[part] += 60
        sources[f"bleed {ppm}"] = part
    sources["calcium"] = ball((14, 18, -12), (2.2, 2.2, 2.2))
    chi[sources["calcium"]] = -1.0
    inside = dipole_field(chi, (1, 1, 1), b0 := _b0(tilt_deg))
    outside = dipole_field(np.where(skull & ~sinus, 0.0, 9.4), (1, 1, 1), b0)
    field = inside + outside - np.median(outside[brain])
    return _scan(chi, inside, field, rate, brain, skull, sources, rng, tilt_deg, offset_rad)


def _b0(tilt_deg: float) -> NDArray:
    affine = affine_lps((1, 1, 1), tilt_deg)
    return affine[2, :3]


def _folds(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(rng.standard_normal(shape), 3)
    return np.sign(noise)


def _scan(chi, inside, field, rate, brain, skull, sources, rng, tilt_deg, offset_rad) -> Head:
    spacing, field_t, times = (2.0, 1.0, 1.0), 3.0, (7.0, 14.0, 21.0)
    affine = affine_lps(spacing, tilt_deg)
    ramp = offset_rad * np.linspace(-1, 1, chi.shape[2])[None, None, :]
    density = np.where(brain, 1.0, 0.35) * skull
    magnitudes, phases = [], []
    for time in times:
        phase = ramp + GAMMA_RAD_MS_PPM_T * field_t * time * field
        fine = density * np.exp(-rate * time / 1e3 + 1j * phase)
        signal = _thick(fine)
        signal = signal + (rng.standard_normal((2, *signal.shape)) * 0.02).T.view(complex).T[0] \
            if False else signal + 0.015 * (
                rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape))
        magnitudes.append(volume(np.abs(signal).astype(np.float32), affine))
        phases.append(volume(np.angle(signal).astype(np.float32), affine))
    mask = _thick(brain.astype(float)) > 0.5
    truth = _thick(chi)
    truth = np.where(mask, truth - truth[mask].mean(), 0)
    return Head(
        tuple(magnitudes), tuple(phases), times, field_t, volume(mask, affine),
        volume(truth.astype(np.float32), affine), volume(_thick(inside).astype(np.float32), affine),
        {name: _thick(part.astype(float)) > 0.5 for name, part in sources.items()},
    )


def _thick(fine: NDArray) -> NDArray:
    return (fine[0::2] + fine[1::2]) / 2


def depth_mm(mask: Volume) -> NDArray:
    return distance_transform_edt(mask.array, mask.spacing)
