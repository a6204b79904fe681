"""Grids of the simulated series, and resampling between them.

A grid is a shape (slice, row, column) and an affine to LPS mm whose first three columns are the
steps along those axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators import resampling
from operators.resampling import sample

if TYPE_CHECKING:
    import torch
    from highdicom import Volume

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Shape and (4, 4) affine, LPS mm."""

    shape: tuple[int, int, int]
    affine: Matrix

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        steps = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(steps[0]), float(steps[1]), float(steps[2])

    def divided(self, factors: tuple[int, int, int]) -> Grid:
        """The same block of space with each voxel cut into `factors` cells."""
        affine = self.affine.copy()
        affine[:3, :3] /= np.array(factors)
        affine[:3, 3] += affine[:3, :3] @ ((1 - np.array(factors)) / 2)
        shape = tuple(n * f for n, f in zip(self.shape, factors, strict=True))
        return Grid(shape, affine)  # type: ignore[arg-type]

    def index(self, point_lps_mm: Sequence[float]) -> NDArray[np.float64]:
        """Fractional (slice, row, column) of a point."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(inverse[:3, :3] @ np.asarray(point_lps_mm) + inverse[:3, 3])

    def point(self, index: Sequence[float] | NDArray) -> NDArray[np.float64]:
        """LPS mm of a fractional index."""
        return np.asarray(self.affine[:3, :3] @ np.asarray(index) + self.affine[:3, 3])

    def volume(self, array: NDArray) -> Volume:
        """The array as a highdicom Volume in patient coordinates."""
        from highdicom import Volume

        return Volume(np.ascontiguousarray(array), self.affine, coordinate_system="PATIENT")


def rotation(tilt_deg: Sequence[float] | NDArray) -> Matrix:
    """(3, 3) rotation about x, then y, then z."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_euler("xyz", tilt_deg, degrees=True).as_matrix())


def axial_grid(
    voxel_mm: Sequence[float], extent_mm: Sequence[float] | NDArray,
    centre_lps_mm: Sequence[float] | NDArray, turn: Matrix | None = None,
) -> Grid:
    """Transverse slices, feet to head, rows front to back, columns right to left, turned by `turn`.

    `voxel_mm` and `extent_mm` are (slice, row, column).
    """
    shape = tuple(round(e / v) for e, v in zip(extent_mm, voxel_mm, strict=True))
    axes = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    affine = np.eye(4)
    affine[:3, :3] = (axes if turn is None else turn @ axes) * np.asarray(voxel_mm)
    affine[:3, 3] = np.asarray(centre_lps_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid(shape, affine)  # type: ignore[arg-type]


def coordinates(target: Grid, source: Grid, motion: Matrix | None = None) -> torch.Tensor:
    """Normalised coordinates in `source` of every voxel of `target`, for `sample`.

    `motion` (4, 4) maps a target point to the point of the same tissue in the source, LPS mm.
    """
    return resampling.coordinates(target.shape, target.affine, source.shape, source.affine, motion)


def resample(
    array: NDArray, source: Grid, target: Grid, *, motion: Matrix | None = None,
    nearest: bool = False, border: bool = False,
) -> NDArray[np.float32]:
    """`array` on another grid, linear (or nearest), 0 outside unless `border`.

    Where a target voxel is larger than the source's, cells of the target are averaged.
    """
    ratio = np.array(target.spacing_mm) / np.array(source.spacing_mm)
    factors = (1, 1, 1) if nearest else tuple(int(max(1, round(r))) for r in ratio)
    fine = target.divided(factors)  # type: ignore[arg-type]
    values = sample(array, coordinates(fine, source, motion), nearest=nearest, border=border)
    from apps.phantom.gre import average_blocks

    if values.ndim == 4:
        return np.stack([average_blocks(v, factors) for v in values])  # type: ignore[arg-type]
    return average_blocks(values, factors)  # type: ignore[arg-type]
