"""What a scanner's reconstruction makes beside the images: SWI, projections, other slice planes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MINIP_SLICES = 8
"""Slab of the sliding minimum projection: N slices give N - 7 (Siemens)."""


def susceptibility_weighted(
    magnitude: NDArray[np.float32], phase_rad: NDArray[np.float32], *, window: float = 0.25
) -> NDArray[np.float32]:
    """SWI as scanners make it, slice by slice: homodyne high-pass, mask to the fourth power.

    Haacke et al., Magn Reson Med 2004;52:612. Positive local phase (paramagnetic, as the phantom
    defines it) darkens. `window` is the width of the Hann low-pass as a share of k-space.
    """
    complex_image = magnitude * np.exp(1j * phase_rad.astype(np.float64))
    rows, columns = magnitude.shape[1:]
    low_pass = np.outer(_hann(rows, window), _hann(columns, window))
    smooth = np.fft.ifft2(np.fft.fft2(complex_image) * low_pass)
    local = np.angle(complex_image * np.conj(smooth))
    mask = np.clip(1 - local / np.pi, 0, 1)
    return np.asarray(magnitude * mask**4, dtype=np.float32)


def sliding_minimum(
    swi: NDArray[np.float32], affine_lps_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Minimum over 8 neighbouring slices (fewer in a thinner volume), and its affine.

    N slices give N - 7, each placed at the middle of its slab.
    """
    slab = min(MINIP_SLICES, swi.shape[0])
    windows = np.lib.stride_tricks.sliding_window_view(swi, slab, axis=0)
    affine = affine_lps_mm.copy()
    affine[:3, 3] += affine_lps_mm[:3, 0] * (slab - 1) / 2
    return np.ascontiguousarray(windows.min(axis=-1)), affine


def resample(
    array: NDArray[np.generic], affine_lps_mm: NDArray[np.float64],
    target_affine_lps_mm: NDArray[np.float64], shape: tuple[int, int, int],
) -> NDArray[np.generic]:
    """Linear resampling onto another grid; 0 outside. Real or complex."""
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(affine_lps_mm) @ target_affine_lps_mm
    resampled: NDArray[np.generic] = affine_transform(
        array, to_source[:3, :3], to_source[:3, 3], output_shape=shape, order=1
    )
    return resampled


def centred_affine(
    axes: NDArray[np.float64], spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int], centre_lps_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Affine of a grid of `shape` around a centre; columns of `axes` are unit directions."""
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(spacing_mm)
    affine[:3, 3] = centre_lps_mm - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def centre_of(
    affine_lps_mm: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Patient coordinates of the middle of a grid."""
    centre: NDArray[np.float64] = (
        affine_lps_mm[:3, :3] @ ((np.asarray(shape) - 1) / 2) + affine_lps_mm[:3, 3]
    )
    return centre


def _hann(length: int, window: float) -> NDArray[np.float64]:
    frequency = np.abs(np.fft.fftfreq(length))
    half = window / 2
    return np.where(frequency < half, np.cos(np.pi * frequency / (2 * half)) ** 2, 0.0)
