"""What the network sees of a region: a cube of T1w about its centre, and where in it the region is.

Left and right look alike in it: the right one is mirrored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import LNC_NAMES, Side, Structure

if TYPE_CHECKING:
    from highdicom import Volume

Array = NDArray[np.float32]
SIDE_MM = 40
"""Side of the cube, of 1 mm voxels: a putamen is 35 mm long (our choice)."""
REGIONS = LNC_NAMES[:3]
"""Whose features are taken unless others are asked for: caudate, putamen, pallidum."""
SIDES = (Side.LEFT, Side.RIGHT)


def normalised(t1w: Volume, regions: Volume) -> Volume:
    """T1w in standard deviations from its mean over all labelled tissue; 0 where it is unknown.

    `regions` may lie on another grid of the same patient space.
    """
    array = np.asarray(t1w.array, np.float32)
    tissue = np.asarray(regions.array) > 0
    if not _same_grid(t1w, regions):
        matrix = np.linalg.inv(regions.affine) @ t1w.affine
        tissue = _sampled(tissue, matrix[:3, :3], matrix[:3, 3], array.shape, order=0) > 0
    inside = array[tissue & np.isfinite(array)].astype(np.float64)
    if inside.size == 0 or inside.std() == 0:
        return t1w.with_array(np.zeros(array.shape, np.float32))
    scaled = (array - inside.mean()) / inside.std()
    return t1w.with_array(
        np.where(np.isfinite(scaled), np.clip(scaled, -5, 5), 0).astype(np.float32))


def crop(t1w: Volume, regions: Volume, region: Structure) -> Array | None:
    """The cube of a region, (T1w and mask, slice, row, column); None where the region is absent.

    `t1w` as of `normalised`, `regions` numbers of `STRUCTURES`, each on its own grid of the same
    patient space. Slices run to the head, rows to posterior, columns to left; of a right region to
    right.
    """
    steps_first = cube(regions, region)
    if steps_first is None:
        return None
    inside = regions.with_array((np.asarray(regions.array) == region.number).astype(np.float32))
    both = []
    for one in (t1w, inside):
        matrix = np.linalg.inv(one.affine) @ steps_first
        both.append(_sampled(np.asarray(one.array, np.float32), matrix[:3, :3], matrix[:3, 3],
                             (SIDE_MM,) * 3, order=1))
    return np.stack(both)


def cube(regions: Volume, region: Structure) -> NDArray[np.float64] | None:
    """From a voxel of the cube (slice, row, column) to the patient, (4, 4), LPS mm."""
    inside = np.argwhere(np.asarray(regions.array) == region.number)
    if not len(inside):
        return None
    affine = np.asarray(regions.affine)
    centre = affine[:3, :3] @ inside.mean(axis=0) + affine[:3, 3]
    out = np.eye(4)
    out[:3, :3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    if region.side is Side.RIGHT:
        out[:3, 2] = -out[:3, 2]
    out[:3, 3] = centre - out[:3, :3] @ np.full(3, (SIDE_MM - 1) / 2)
    return out


def _same_grid(one: Volume, other: Volume) -> bool:
    return one.spatial_shape == other.spatial_shape and np.allclose(one.affine, other.affine)


def _sampled(
    array: NDArray, matrix: NDArray[np.float64], offset: NDArray[np.float64],
    shape: tuple[int, ...], *, order: int,
) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.affine_transform(
        np.asarray(array, np.float32), matrix, offset, output_shape=shape, order=order, cval=0.0),
        np.float32)
