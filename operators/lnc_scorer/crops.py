"""What the network sees of a region: a cube of T1w about its centre, and where in it the region is.

Left and right look alike in it: the right one is mirrored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import Side, Structure

if TYPE_CHECKING:
    from highdicom import Volume

Array = NDArray[np.float32]
SIDE_MM = 40
"""Side of the cube, of 1 mm voxels: a putamen is 35 mm long (our choice)."""


def normalised(t1w: Array, regions: NDArray[np.integer]) -> Array:
    """T1w in standard deviations from its mean over all labelled tissue; 0 where it is unknown."""
    inside = t1w[(regions > 0) & np.isfinite(t1w)].astype(np.float64)
    if inside.size == 0 or inside.std() == 0:
        return np.zeros(t1w.shape, np.float32)
    scaled = (t1w - inside.mean()) / inside.std()
    return np.where(np.isfinite(scaled), np.clip(scaled, -5, 5), 0).astype(np.float32)


def crop(t1w: Volume, regions: Volume, region: Structure) -> Array | None:
    """The cube of a region, (T1w and mask, slice, row, column); None where the region is absent.

    `t1w` as of `normalised`, `regions` numbers of `STRUCTURES` on its grid. Slices run to the head,
    rows to posterior, columns to left; of a right region to right.
    """
    inside = np.asarray(regions.array) == region.number
    if not inside.any():
        return None
    affine = np.asarray(regions.affine)
    centre = affine[:3, :3] @ np.argwhere(inside).mean(axis=0) + affine[:3, 3]
    steps = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    if region.side is Side.RIGHT:
        steps[:, 2] = -steps[:, 2]
    first = centre - steps @ np.full(3, (SIDE_MM - 1) / 2)
    inverse = np.linalg.inv(affine)
    matrix, offset = inverse[:3, :3] @ steps, inverse[:3, :3] @ first + inverse[:3, 3]
    return np.stack([_cut(np.asarray(one, np.float32), matrix, offset)
                     for one in (t1w.array, inside)])


def _cut(array: Array, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.affine_transform(
        array, matrix, offset, output_shape=(SIDE_MM,) * 3, order=1, cval=0.0), np.float32)
