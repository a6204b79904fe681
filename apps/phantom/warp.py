"""No two subjects alike: pose, affine and elastic deformation drawn per seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid, Matrix, axial_grid, coordinates, rotation
from operators.resampling import sample

if TYPE_CHECKING:
    import torch

KNOT_MM = 24.0
EXTENT_MM = 288.0


@dataclass(frozen=True, slots=True, eq=False)
class Warp:
    """Patient point -> anatomy point: `affine` @ point + elastic displacement, LPS mm.

    `lattice` is (3 = x y z, slice, row, column) in millimetres on `grid`.
    """

    affine: Matrix
    lattice: NDArray[np.float32]
    grid: Grid

    def coordinates(self, target: Grid, source: Grid) -> torch.Tensor:
        """Normalised coordinates in the anatomy of every voxel of a patient grid."""
        import torch

        base = coordinates(target, source, self.affine)
        moved = sample(self.lattice, coordinates(target, self.grid))
        to_voxels = np.linalg.inv(source.affine[:3, :3])
        scale = 2.0 / (np.array(source.shape) - 1)
        for row, axis in enumerate((2, 1, 0)):
            for c in range(3):
                factor = float(to_voxels[axis, c] * scale[axis])
                if factor:
                    base[0, ..., row] += torch.from_numpy(moved[c]) * factor
        return base


def random_warp(generator: np.random.Generator) -> Warp:
    """A head of another person in another pose.

    Our choice: size within 6 % per axis, shear to 2 %, pitch to 7 and yaw and roll to 4 degrees,
    shift to 4 mm; elastic knots every 24 mm with a standard deviation of 1.2 to 2.4 mm.
    """
    from scipy.ndimage import zoom

    turn = rotation(generator.uniform(-1, 1, 3) * np.array([7.0, 4.0, 4.0]))
    scale = np.diag(generator.uniform(0.94, 1.06, 3)) + np.triu(
        generator.uniform(-0.02, 0.02, (3, 3)), 1)
    affine = np.eye(4)
    affine[:3, :3] = scale @ turn
    affine[:3, 3] = generator.uniform(-4, 4, 3)
    count = int(EXTENT_MM / KNOT_MM) + 1
    knots = generator.normal(0.0, generator.uniform(1.2, 2.4), (3, count, count, count))
    fine = np.stack([zoom(k, 4, order=3, mode="nearest") for k in knots]).astype(np.float32)
    step = KNOT_MM * (count - 1) / (4 * count - 1)
    grid = axial_grid((step,) * 3, (step * 4 * count,) * 3, (0.0, 0.0, 0.0))
    return Warp(affine, fine, grid)
