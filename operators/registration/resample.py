"""A volume onto another grid through a rigid transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.registration.images import same_grid

if TYPE_CHECKING:
    from highdicom import Volume


def onto(moving: Volume, grid: Volume, matrix: NDArray[np.float64]) -> Volume:
    """`moving` on `grid`, float32, linear; NaN outside its field of view.

    `matrix` (4, 4) maps points of `grid` to points of `moving`, LPS mm. The field of view ends
    half a voxel beyond the centres of its first and last voxels. Under the identity a volume
    that lies on the grid already keeps its values exactly.
    """
    if same_grid(moving, grid) and np.array_equal(matrix, np.eye(4)):
        return grid.with_array(moving.array.astype(np.float32))
    from scipy.ndimage import affine_transform

    padded = np.pad(moving.array.astype(np.float32), 1, mode="edge")
    indices = np.linalg.inv(moving.affine) @ matrix @ grid.affine
    array = affine_transform(
        padded, indices[:3, :3], indices[:3, 3] + 1.0, output_shape=grid.spatial_shape, order=1,
        cval=np.nan,
    )
    array[_outside(indices, grid.spatial_shape, moving.spatial_shape)] = np.nan
    return grid.with_array(np.asarray(array, np.float32))


def _outside(
    indices: NDArray[np.float64], shape: tuple[int, ...], limits: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Voxels of a grid of `shape` that `indices` (4, 4) maps outside an array of shape `limits`."""
    outside = np.zeros(shape, bool)
    first, second, third = (np.arange(n, dtype=np.float64) for n in shape)
    for row, limit in zip(indices[:3], limits, strict=True):
        plane = (row[0] * first + row[3])[:, None] + row[1] * second
        at = plane[:, :, None] + row[2] * third
        outside |= at < -0.5
        outside |= at > limit - 0.5
    return outside
