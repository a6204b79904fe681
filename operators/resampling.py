"""Voxels of one grid at the places of another, by torch: linear or nearest, on all cores.

A grid is a shape (slice, row, column) and an affine (4, 4) from those indices to LPS mm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]
Shape = tuple[int, int, int]


def coordinates(
    shape: Shape, affine: Matrix, source_shape: Shape, source_affine: Matrix,
    motion: Matrix | None = None,
) -> torch.Tensor:
    """Normalised coordinates in the source grid of every voxel of a grid, for `sample`.

    `motion` (4, 4) maps a point of the grid to the point of the same tissue in the source, LPS mm.
    """
    import torch

    moved = affine if motion is None else motion @ affine
    to_source = np.linalg.inv(source_affine) @ moved
    normalise = np.diag([*(2 / (np.array(source_shape) - 1)), 1.0])
    normalise[:3, 3] = -1
    theta = (normalise @ to_source).astype(np.float32)
    axes = [torch.arange(n, dtype=torch.float32) for n in shape]
    points = torch.empty((1, *shape, 3))
    for place, r in enumerate((2, 1, 0)):
        terms = [float(theta[r, c]) * axes[c] for c in range(3)]
        plane = terms[1][:, None] + terms[2] + float(theta[r, 3])
        torch.add(terms[0][:, None, None], plane, out=points[0, ..., place])
    return points


def sample(
    source: NDArray, at: torch.Tensor, *, nearest: bool = False, border: bool = True
) -> NDArray[np.float32]:
    """Values of `source` ((channel,) slice, row, column) at normalised coordinates.

    `at` (1, d, h, w, 3) holds (column, row, slice) from -1 to 1 at voxel centres, as
    torch.nn.functional.grid_sample wants them. Outside: the border value, or 0.
    """
    import torch

    out = torch.nn.functional.grid_sample(
        tensor(source), at, mode="nearest" if nearest else "bilinear",
        padding_mode="border" if border else "zeros", align_corners=True,
    )[0]
    values = out.numpy()
    return values if source.ndim == 4 else values[0]


def tensor(array: NDArray) -> torch.Tensor:
    """Float32 torch view (1, channel, slice, row, column) of a (channel, ...) or 3D array."""
    import torch

    array = np.ascontiguousarray(array, dtype=np.float32)
    return torch.from_numpy(array if array.ndim == 4 else array[None])[None]
