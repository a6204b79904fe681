"""How far a known lesion stands out of what surrounds it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.lesion_segmenter.mimics import RING_MM

_LEAST_RING = 20
_NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def contrast_to_noise(
    image: NDArray, voxels: NDArray[np.intp], background: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
) -> float | None:
    """Contrast of a lesion in standard deviations of its surroundings; dark is positive.

    (median of the ring - mean of the lesion) / robust standard deviation of the ring, which holds
    the noise and the anatomy that a reader has to look past. The ring is what `background`, brain
    without any known object, holds 2 to 5 mm away (`RING_MM`). `image` is (slice, row, column),
    `voxels` (n, 3) indices. None where fewer than 20 voxels of the ring are left, or the lesion's
    own are unknown.
    """
    from scipy import ndimage

    reach = np.ceil(RING_MM[1] / spacing_mm).astype(int)
    low = np.maximum(voxels.min(axis=0) - reach, 0)
    high = np.minimum(voxels.max(axis=0) + reach + 1, image.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    lesion = np.zeros(tuple(high - low), bool)
    lesion[tuple((voxels - low).T)] = True
    away = ndimage.distance_transform_edt(~lesion, sampling=spacing_mm)
    near = (away >= RING_MM[0]) & (away <= RING_MM[1]) & background[box] & np.isfinite(image[box])
    ring = image[box][near].astype(np.float64)
    if ring.size < _LEAST_RING:
        return None
    level = float(np.median(ring))
    spread = _NORMAL_MAD * float(np.median(np.abs(ring - level)))
    inside = float(image[box][lesion].astype(np.float64).mean())
    return (level - inside) / spread if spread > 0 and np.isfinite(inside) else None
