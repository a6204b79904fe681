"""Where a lesion lies: its structure in the region map, and so its MARS location."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from operators.labels import STRUCTURES, Structure


def locate(
    centre: Sequence[float], labels: NDArray[np.uint8], spacing_mm: Sequence[float],
    *, reach_mm: float,
) -> Structure | None:
    """The structure at index `centre` (slice, row, column), or the nearest within `reach_mm`.

    A structure without a MARS location (a ventricle) is given only where no other is in reach.
    None: nothing is.
    """
    voxel = np.clip(np.rint(centre), 0, np.asarray(labels.shape) - 1).astype(int)
    here = STRUCTURES.get(int(labels[tuple(voxel)]))
    if here is not None and here.mars is not None:
        return here
    reach = np.ceil(reach_mm / np.asarray(spacing_mm)).astype(int)
    low = np.maximum(voxel - reach, 0)
    high = np.minimum(voxel + reach + 1, labels.shape)
    crop = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    placed = np.isin(crop, [n for n, one in STRUCTURES.items() if one.mars is not None])
    found = np.argwhere(placed)
    if found.size:
        distance = np.linalg.norm((found + low - voxel) * np.asarray(spacing_mm), axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] <= reach_mm:
            return STRUCTURES[int(crop[tuple(found[nearest])])]
    return here
