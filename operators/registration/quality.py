"""How good a rigid registration is: how much mutual information a displacement of it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

Matrix = NDArray[np.float64]

DISPLACEMENT_MM = 6.0
"""Own choice: beyond the width of a well-registered optimum, within a cortical fold's reach."""
_BINS = 32
_POINTS = 40_000


@dataclass(frozen=True, slots=True)
class Quality:
    """`sharpness`: share of mutual information lost 6 mm away (worst of six directions).

    `overlap`: share of brain points inside the moving field of view.
    """

    sharpness: float
    overlap: float


def assess(fixed: Volume, moving: Volume, matrix: Matrix, *, brain: Volume) -> Quality:
    """Judge `matrix` (fixed to moving points, LPS mm) on points of the fixed brain."""
    points, values = _brain_points(fixed, brain)
    sampled = _sample(moving, points, matrix)
    overlap = float(np.isfinite(sampled).mean())
    here = mutual_information(values, sampled)
    shifts = DISPLACEMENT_MM * np.vstack([np.eye(3), -np.eye(3)])
    away = [mutual_information(values, _sample(moving, points + s, matrix)) for s in shifts]
    return Quality(1 - max(away) / here if here > 0 else 0.0, overlap)


def mutual_information(first: Matrix, second: Matrix) -> float:
    """Mutual information of paired samples, nats; pairs with a NaN are left out."""
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < _BINS**2:
        return 0.0
    joint, _, _ = np.histogram2d(_ranked(first[known]), _ranked(second[known]), bins=_BINS)
    joint /= joint.sum()
    product = joint.sum(axis=1, keepdims=True) @ joint.sum(axis=0, keepdims=True)
    filled = joint > 0
    return float((joint[filled] * np.log(joint[filled] / product[filled])).sum())


def _ranked(values: Matrix) -> Matrix:
    """Values clipped to their 1st and 99th percentile, so that outliers do not eat the bins."""
    low, high = np.percentile(values, (1, 99))
    return np.clip(values, low, high)


def _brain_points(fixed: Volume, brain: Volume) -> tuple[Matrix, Matrix]:
    """At most 40 000 brain voxels: their LPS points (n, 3), and the smoothed fixed values."""
    indices = np.argwhere(np.asarray(brain.array))
    indices = indices[:: max(1, len(indices) // _POINTS)]
    points = indices @ brain.affine[:3, :3].T + brain.affine[:3, 3]
    return points, _sample(fixed, points, np.eye(4))


def _sample(volume: Volume, points: Matrix, matrix: Matrix) -> Matrix:
    """Linear values at points mapped by `matrix`; NaN outside the field of view."""
    from scipy.ndimage import map_coordinates

    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    indices = volume.map_reference_to_indices(moved)
    image = volume.array.astype(np.float32)
    values: Matrix = map_coordinates(image, indices.T, order=1, cval=np.nan)
    return values
