"""The field of what lies outside the brain, taken away (V-SHARP)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.geometry import Vector

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


def local_field(
    field: Array,
    mask: Mask,
    *,
    spacing: Vector,
    largest_mm: float,
    smallest_mm: float,
    step_mm: float,
    threshold: float,
) -> tuple[Array, Mask]:
    """The part of `field` whose sources lie inside `mask`, and the mask where it is known.

    The mean of a harmonic field over a sphere is its value at the centre: a field minus its
    spherical mean holds local sources only. Each voxel takes the largest sphere that fits into
    the mask; the spherical mean is then undone by the largest sphere's response, where that
    exceeds `threshold` (V-SHARP: Li et al., NeuroImage 2011;55:1645; Wu et al., MRM 2012;67:137).
    Grid: padded by zeros by at least `largest_mm`. The unit is the unit of `field`; 0 outside.
    """
    from scipy.fft import irfftn, rfftn
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(mask, spacing).astype(np.float32)
    spectrum = rfftn(np.where(mask, field, np.float32(0)), workers=-1)
    filtered = np.zeros(field.shape, np.float32)
    done = np.zeros(field.shape, bool)
    first: NDArray | None = None
    for radius in _radii(largest_mm, smallest_mm, step_mm):
        fits = (depth > radius) & ~done
        if not fits.any():
            continue
        response = 1 - sphere_response(field.shape, spacing, radius)
        first = response if first is None else first
        filtered[fits] = irfftn(spectrum * response, s=field.shape, workers=-1)[fits]
        done |= fits
    if first is None:
        return filtered, done
    inverse = np.where(np.abs(first) > threshold, 1 / np.where(first == 0, 1, first), 0)
    deconvolved = irfftn(rfftn(filtered, workers=-1) * inverse, s=field.shape, workers=-1)
    return np.where(done, deconvolved, 0).astype(np.float32), done


def _radii(largest: float, smallest: float, step: float) -> list[float]:
    """Radii from largest to smallest, both included, mm."""
    count = max(1, int(np.ceil((largest - smallest) / step)) + 1)
    return [float(radius) for radius in np.linspace(largest, smallest, count)]


def sphere_response(shape: tuple[int, ...], spacing: Vector, radius_mm: float) -> NDArray:
    """Real FFT of a sphere of unit sum centred on voxel 0; edge voxels count by their share."""
    from scipy.fft import rfftn

    kernel = np.zeros(shape, np.float32)
    half = [int(np.ceil(radius_mm / step)) for step in spacing]
    patch = _sphere(half, spacing, radius_mm)
    index = np.ix_(*[np.arange(-h, h + 1) % n for h, n in zip(half, shape, strict=True)])
    kernel[index] = patch / patch.sum()
    return np.asarray(rfftn(kernel, workers=-1).real)


def _sphere(half: list[int], spacing: Vector, radius_mm: float) -> NDArray:
    """Share of each voxel that lies in the sphere, on 5 samples an axis."""
    fine = 5
    axes = [
        ((np.arange((2 * h + 1) * fine) + 0.5) / fine - h - 0.5) * step
        for h, step in zip(half, spacing, strict=True)
    ]
    square = axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2
    inside = (square <= radius_mm**2).astype(np.float32)
    a, b, c = (2 * h + 1 for h in half)
    return np.asarray(inside.reshape(a, fine, b, fine, c, fine).mean(axis=(1, 3, 5)))


