"""What the second stage sees of a candidate: a cube about its centre, 1 mm a voxel.

The network that finds candidates sees three slices; whether a dark spot is a ball or a vessel that
runs through them shows in a cube.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from operators.lesion_segmenter.components import LESION_CLASSES, Component

Array = NDArray[np.float32]
SIDE_MM = 32
"""Training turns and shifts cubes before the network's 24 mm are cut out of them."""
MASKS = 3
"""Channels after the contrasts: probability of any lesion, the candidate's mask, the brain's."""


def cubes(
    contrasts: Array, maps: Array, brain: NDArray[np.bool_], spacing_mm: Sequence[float],
    parts: Sequence[Component], *, box: Sequence[slice] | None = None,
) -> NDArray[np.float16]:
    """One cube per candidate, (candidate, contrast + 3, slice, row, column), 0 beyond the volume.

    `contrasts` (contrast, slice, row, column) on the network's scale and `maps`, class
    probabilities (class, slice, row, column), are on the network's own grid, that of `brain`.
    `parts` are on that grid too, or, with `box`, on one of which it covers that part in voxels of
    another size. The last three channels are those of `MASKS`.
    """
    whole = [*contrasts, maps[list(LESION_CLASSES)].sum(axis=0), brain]
    box = box or [slice(0, size) for size in brain.shape]
    corner = np.array([side.start for side in box])
    size = np.array([side.stop - side.start for side in box])
    ratio = np.asarray(brain.shape) / size
    own_mm = np.asarray(spacing_mm) * ratio
    sides = (SIDE_MM, SIDE_MM, SIDE_MM)
    out = np.empty((len(parts), len(contrasts) + MASKS, *sides), np.float16)
    for cube, part in zip(out, parts, strict=True):
        mask = np.zeros(size, bool)
        mask[tuple((part.voxels - corner).T)] = True
        middle = np.asarray(part.centroid) - corner
        # Voxels of both grids share outer faces, not centres.
        centre = (middle + 0.5) * ratio - 0.5
        drawn = [_cut(volume, centre, spacing_mm) for volume in whole]
        cube[:] = [*drawn[:-1], _cut(mask, middle, own_mm), drawn[-1]]
    return out


def _cut(volume: NDArray, centre: NDArray, spacing_mm: Sequence[float] | NDArray) -> Array:
    """The voxels of one cube, by linear interpolation."""
    from scipy import ndimage

    step = 1 / np.asarray(spacing_mm)
    first = centre - (SIDE_MM - 1) / 2 * step
    low = np.clip(np.floor(first).astype(int), 0, np.asarray(volume.shape) - 1)
    high = np.clip(np.ceil(first + SIDE_MM * step).astype(int) + 1, low + 1, volume.shape)
    part = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return np.asarray(ndimage.affine_transform(
        part.astype(np.float32), step, first - low, output_shape=(SIDE_MM,) * 3, order=1,
        mode="constant",
    ), np.float32)
