"""The field of what lies outside the brain, taken away by spherical means (V-SHARP).

The mean of a harmonic field over a sphere is its value at the centre: a field minus its spherical
mean holds sources inside the sphere only. Grids are zero-padded, (slice, row, column), float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.geometry import Vector

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]

_TOUCH = 1e-4
"""Share of a sphere below which it counts as not touching: single precision of the FFT."""
_POLYNOMIAL_ORDER = 4
"""Own choice, on simulated subjects: what V-SHARP leaves is a bowl over the whole brain."""


@dataclass(frozen=True, slots=True, eq=False)
class Sphere:
    """One radius of V-SHARP.

    Attributes
    ----------
    response : real FFT of "value minus mean over the sphere".
    where : voxels whose largest sphere inside the brain this is.
    """

    response: Array
    where: Mask


def spheres(mask: Mask, *, spacing: Vector, radii_mm: Sequence[float]) -> tuple[Sphere, ...]:
    """The largest sphere inside `mask` around each voxel, of the radii given; no empty ones.

    A sphere lies inside where no voxel that it touches lies outside.
    """
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(mask.astype(np.float32), workers=-1)
    done = ~mask
    found = []
    for radius in sorted(radii_mm, reverse=True):
        mean = _sphere_response(mask.shape, spacing, radius)
        filled = irfftn(spectrum * mean, s=mask.shape, workers=-1)
        where = (filled > 1 - _TOUCH) & ~done
        done |= where
        if where.any():
            found.append(Sphere(1 - mean, where))
    return tuple(found)


def whole(mask: Mask) -> Sphere:
    """The field of `mask` as it is, no mean taken away."""
    shape = (*mask.shape[:-1], mask.shape[-1] // 2 + 1)
    return Sphere(np.ones(shape, np.float32), mask)


def known(parts: Sequence[Sphere]) -> Mask:
    """Voxels that any of the spheres serves."""
    return np.asarray(np.any([sphere.where for sphere in parts], axis=0))


def local_field(field: Array, parts: Sequence[Sphere], *, threshold: float) -> Array:
    """The part of `field` whose sources lie inside the brain, in its unit; 0 where not known.

    The spherical mean is taken away with the largest sphere that fits, then undone by the largest
    sphere's response where that exceeds `threshold` (V-SHARP: Li et al., NeuroImage 2011;55:1645;
    Wu et al., MRM 2012;67:137). What this leaves of the background, a smooth bowl, goes with a
    polynomial fit. `field` is 0 outside the brain.
    """
    from scipy.fft import irfftn, rfftn

    spectrum = rfftn(field, workers=-1)
    filtered = np.zeros(field.shape, np.float32)
    for sphere in parts:
        high = irfftn(spectrum * sphere.response, s=field.shape, workers=-1)
        filtered[sphere.where] = high[sphere.where]
    response = parts[0].response
    strong = np.abs(response) > threshold
    inverse = np.divide(1, response, out=np.zeros_like(response), where=strong)
    local = irfftn(rfftn(filtered, workers=-1) * inverse, s=field.shape, workers=-1)
    return without_polynomial(local, known(parts), _POLYNOMIAL_ORDER)


def without_polynomial(values: Array, mask: Mask, order: int) -> Array:
    """Values minus their polynomial of total degree `order` inside `mask`, 0 outside.

    Fitted on at most 50 000 voxels by three rounds of Cauchy-weighted least squares, so that veins
    and nuclei do not pull it.
    """
    index = np.nonzero(mask)
    powers = [
        (a, b, c) for a in range(order + 1) for b in range(order + 1 - a)
        for c in range(order + 1 - a - b)
    ]
    places = [2 * i.astype(np.float32) / n - 1 for i, n in zip(index, mask.shape, strict=True)]
    inside = values[index]
    step = max(1, inside.size // 50_000)
    design = _monomials([place[::step] for place in places], powers)
    sample, trust = inside[::step], np.ones(design.shape[0], np.float32)
    weights = np.zeros(len(powers), np.float32)
    for _ in range(3):
        weights = np.linalg.lstsq(design * trust[:, None], sample * trust, rcond=None)[0]
        rest = sample - design @ weights
        scale = max(2 * 1.4826 * float(np.median(np.abs(rest))), float(np.finfo(np.float32).tiny))
        trust = (1 / np.sqrt(1 + np.square(rest / scale))).astype(np.float32)
    out = np.zeros_like(values)
    out[index] = inside - _monomials(places, powers) @ weights
    return out


def _monomials(places: list[Array], powers: list[tuple[int, int, int]]) -> Array:
    x, y, z = places
    columns = [x**a * y**b * z**c for a, b, c in powers]
    return np.asarray(np.stack(columns, axis=1), np.float32)


def _sphere_response(shape: tuple[int, ...], spacing: Vector, radius_mm: float) -> Array:
    """Real FFT of a sphere of unit sum centred on voxel 0; edge voxels count by their share."""
    from scipy.fft import rfftn

    kernel = np.zeros(shape, np.float32)
    half = [int(np.ceil(radius_mm / step)) for step in spacing]
    patch = _sphere(half, spacing, radius_mm)
    index = np.ix_(*[np.arange(-h, h + 1) % n for h, n in zip(half, shape, strict=True)])
    kernel[index] = patch / patch.sum()
    return np.asarray(rfftn(kernel, workers=-1).real)


def _sphere(half: list[int], spacing: Vector, radius_mm: float) -> Array:
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
