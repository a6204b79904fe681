"""What a scanner reconstructs beside the images: projections, other slice planes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", NDArray[np.float32], NDArray[np.complex128])

MINIP_SLICES = 8
"""Slab of the sliding minimum projection: N slices give N - 7 (Siemens)."""


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
    array: Values, affine_lps_mm: NDArray[np.float64],
    target_affine_lps_mm: NDArray[np.float64], shape: tuple[int, int, int],
) -> Values:
    """Linear resampling onto another grid; 0 outside. Real or complex."""
    from scipy.ndimage import affine_transform

    to_source = np.linalg.inv(affine_lps_mm) @ target_affine_lps_mm
    resampled: Values = affine_transform(
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

