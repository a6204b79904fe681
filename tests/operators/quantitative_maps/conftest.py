"""A small simulated head in a magnet: nuclei, bleeds, a calcification, a sinus, tilted slices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from highdicom import Volume
from numpy.typing import NDArray
from pydicom import Dataset
from scipy import fft
from scipy.ndimage import gaussian_filter

from operators.types import Acquisition, Role, Sample, Series, Study, Unit

FIELD_T = 3.0
ECHO_TIMES_MS = (7.0, 14.0, 21.0)
RAD_PER_MS_PPM = 2 * np.pi * 42.577e-3 * FIELD_T
BLEEDS_PPM = (0.6, 0.9, 1.2, 1.6, 2.0)


@dataclass(frozen=True)
class Head:
    """Three echoes on 2 x 1 x 1 mm, and what is true in them; `sources` are bool, by name."""

    magnitudes: tuple[Volume, ...]
    phases: tuple[Volume, ...]
    brain: Volume
    susceptibility_ppm: NDArray[np.float64]
    sources: dict[str, NDArray[np.bool_]]


def axial(spacing: tuple[float, float, float], tilt_deg: float = 0.0) -> NDArray[np.float64]:
    """Affine (LPS) of slices upwards, rows to posterior, columns to left, tilted about x."""
    angle = np.deg2rad(tilt_deg)
    up, back = [0, -np.sin(angle), np.cos(angle)], [0, np.cos(angle), np.sin(angle)]
    affine = np.eye(4)
    affine[:3, :3] = np.array([up, back, [1, 0, 0]]).T * spacing
    return affine


def volume(array: NDArray, affine: NDArray) -> Volume:
    return Volume(array, affine, coordinate_system="PATIENT")


def dipole_field(chi: NDArray, b0: NDArray) -> NDArray:
    """Field, ppm, of a susceptibility distribution on 1 mm, padded to twice its size."""
    shape = tuple(2 * n for n in chi.shape)
    k = [fft.fftfreq(shape[0])[:, None, None], fft.fftfreq(shape[1])[None, :, None],
         fft.rfftfreq(shape[2])]
    square = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    square[0, 0, 0] = 1
    kernel = 1 / 3 - (k[0] * b0[0] + k[1] * b0[1] + k[2] * b0[2]) ** 2 / square
    kernel[0, 0, 0] = 0
    field = fft.irfftn(fft.rfftn(chi.astype(np.float32), shape) * kernel, shape)
    return field[tuple(slice(n) for n in chi.shape)]


def make_head(tilt_deg: float = 12.0) -> Head:
    """Simulated at 1 mm; two slices at a time are averaged as complex signal."""
    rng = np.random.default_rng(0)
    shape = (80, 104, 88)
    grid = np.stack(np.meshgrid(*[np.arange(n) - n / 2 + 0.5 for n in shape], indexing="ij"))

    def ball(centre: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.bool_]:
        scaled = (grid - np.reshape(centre, (3, 1, 1, 1))) / np.reshape(radii, (3, 1, 1, 1))
        return (scaled**2).sum(axis=0) <= 1

    brain, skull = ball((0, 0, 0), (31, 43, 36)), ball((0, 0, 0), (36, 48, 41))
    sinus = ball((-26, -42, 0), (7, 6, 9)) & ~brain
    folds = np.sign(gaussian_filter(rng.standard_normal(shape), 3))
    chi = np.where(brain, 0.03 * folds - 0.02, 0.0)
    decay = np.where(brain, 20.0, 25.0)
    sources = {}
    for side in (-1, 1):
        sources[f"pallidum {side}"] = ball((-1, 6, side * 13), (6, 7, 4))
        chi[sources[f"pallidum {side}"]] = 0.13
        decay[sources[f"pallidum {side}"]] = 33
    for number, ppm in enumerate(BLEEDS_PPM):
        angle = 2 * np.pi * number / len(BLEEDS_PPM)
        centre = (6 * np.sin(3 * angle), 28 * np.cos(angle), 22 * np.sin(angle))
        sources[f"bleed {ppm}"] = ball(centre, (2, 2, 2))
        chi[sources[f"bleed {ppm}"]] = ppm
        decay[sources[f"bleed {ppm}"]] = 60
    sources["calcium"] = ball((14, 18, -12), (2.2, 2.2, 2.2))
    chi[sources["calcium"]] = -1.0
    affine = axial((2.0, 1.0, 1.0), tilt_deg)
    air = gaussian_filter(np.where(skull & ~sinus, 0.0, 9.4), 1.0)
    field = dipole_field(chi + air, affine[2, :3] / [2, 1, 1])
    field -= np.median(field[brain])
    density = np.where(brain, 1.0, 0.35) * skull
    echoes = [_echo(density, decay, field, time, rng) for time in ECHO_TIMES_MS]
    mask = _thick(brain) > 0.5
    truth = _thick(chi) * mask
    return Head(
        tuple(volume(np.abs(echo).astype(np.float32), affine) for echo in echoes),
        tuple(volume(np.angle(echo).astype(np.float32), affine) for echo in echoes),
        volume(mask, affine), np.where(mask, truth - truth[mask].mean(), 0),
        {name: _thick(part) > 0.5 for name, part in sources.items()},
    )


def _echo(
    density: NDArray, decay: NDArray, field: NDArray, time_ms: float, rng: np.random.Generator
) -> NDArray:
    """Complex signal with a coil phase of +-1 rad across the head; noise is 1.5 % of the brain."""
    coil = np.linspace(-1, 1, density.shape[2])
    phase = coil + RAD_PER_MS_PPM * time_ms * field
    signal = _thick(density * np.exp(-decay * time_ms / 1e3 + 1j * phase))
    return signal + 0.015 * (
        rng.standard_normal(signal.shape) + 1j * rng.standard_normal(signal.shape)
    )


def _thick(fine: NDArray) -> NDArray:
    return (fine[0::2] + fine[1::2].astype(fine.dtype if fine.dtype != bool else float)) / 2


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head()


def series(role: Role, volumes: tuple[Volume, ...], samples: tuple[Sample, ...], **more) -> Series:
    unit = Unit.RADIAN if role is Role.PHASE else Unit.ARBITRARY
    header = Dataset()
    header.SeriesInstanceUID = f"1.2.{len(role.value)}"
    acquisition = more.pop("acquisition", Acquisition(field_strength_t=FIELD_T))
    return Series(
        role, volumes, samples, unit, (header,), header.SeriesInstanceUID, "made up", "by a test",
        acquisition,
    )


def study(*members: Series) -> Study:
    return Study("1.2.3", Dataset(), {one.role: one for one in members}, ())


@pytest.fixture(scope="session")
def gradient_echo(head: Head) -> tuple[Series, Series]:
    samples = tuple(Sample(echo_time_ms=time) for time in ECHO_TIMES_MS)
    return (
        series(Role.MAGNITUDE, head.magnitudes, samples),
        series(Role.PHASE, head.phases, samples),
    )
