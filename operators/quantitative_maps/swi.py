"""Susceptibility-weighted image and minimum intensity projection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume


def susceptibility_weighted(
    magnitude: Volume, phase: Volume, *, homodyne_fraction: float = 0.25, mask_power: int = 4
) -> Volume:
    """Magnitude times the phase mask to the power `mask_power`, in the unit of the magnitude.

    `phase` is in radians, positive where the field is stronger, on the magnitude's grid. The
    homodyne high-pass divides the complex image by its low-pass (in-plane Hann window over
    `homodyne_fraction` of k-space). The mask falls from 1 at phase 0 to 0 at phase pi, so that
    veins and blood turn dark (Haacke et al., MRM 2004;52:612).
    """
    local = homodyne_phase(magnitude.array, phase.array, homodyne_fraction)
    mask = np.clip(1 - local / np.float32(np.pi), 0, 1)
    return magnitude.with_array((magnitude.array * mask**mask_power).astype(np.float32))


def homodyne_phase(magnitude: NDArray, phase: NDArray, fraction: float) -> NDArray:
    """High-pass phase, radians, of a (slice, row, column) complex image."""
    from scipy.fft import fft2, ifft2

    signal = (magnitude * np.exp(1j * phase)).astype(np.complex64)
    rows, columns = (_hann(size, fraction) for size in signal.shape[1:])
    low = ifft2(fft2(signal, workers=-1) * (rows[:, None] * columns), workers=-1)
    return np.asarray(np.angle(signal * np.conj(low)).astype(np.float32))


def _hann(size: int, fraction: float) -> NDArray:
    """Hann window over the middle `fraction` of `size` frequencies, in FFT order."""
    from scipy.fft import fftfreq

    place = fftfreq(size) * 2 / fraction
    window = np.where(np.abs(place) < 1, 0.5 + 0.5 * np.cos(np.pi * place), 0)
    return window.astype(np.float32)


def minimum_intensity_projection(image: Volume, *, thickness_mm: float = 16.0) -> Volume:
    """Minimum over a slab of about `thickness_mm` centred on each slice.

    The result keeps every slice of `image`; at both ends the slab is cut short.
    """
    from scipy.ndimage import minimum_filter1d

    count = max(1, round(thickness_mm / image.spacing[0]))
    return image.with_array(minimum_filter1d(image.array, count, axis=0, mode="nearest"))
