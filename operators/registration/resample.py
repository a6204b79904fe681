"""A volume onto another grid through a rigid transform."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume


def onto(moving: Volume, grid: Volume, matrix: NDArray[np.float64]) -> Volume:
    """`moving` on `grid`, float32, linear; NaN outside its field of view.

    `matrix` (4, 4) maps points of `grid` to points of `moving`, LPS mm. A volume that already
    lies on the grid with the identity passes untouched.
    """
    if moving.geometry_equal(grid) and np.allclose(matrix, np.eye(4)):
        return moving
    from scipy.ndimage import affine_transform

    indices = np.linalg.inv(moving.affine) @ matrix @ grid.affine
    array = affine_transform(
        moving.array.astype(np.float32), indices[:3, :3], indices[:3, 3],
        output_shape=grid.spatial_shape, order=1, cval=np.nan,
    )
    return grid.with_array(array.astype(np.float32))
