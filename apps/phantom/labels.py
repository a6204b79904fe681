"""What a reader would outline: signal that differs from the lesion-free twin.

Both twins have the same head, coil and noise, so that every difference is the planted objects'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid
from apps.phantom.sources import Source
from apps.phantom.types import Planted, PlantedLesion

Float = NDArray[np.float32]

# Share of the neighbourhood's signal that must be lost: our choice. Iron is faint by nature.
VISIBLE_DROP: dict[Planted, float] = {
    Planted.MICROBLEED: 0.25, Planted.IRON_DEPOSIT: 0.12, Planted.CALCIFICATION: 0.25,
    Planted.VEIN: 0.20, Planted.FLOW_VOID: 0.30, Planted.SIDEROSIS: 0.20,
    Planted.CAVERNOMA: 0.25,
}
BLOOMING_MM: dict[Planted, float] = {
    Planted.MICROBLEED: 2.5, Planted.IRON_DEPOSIT: 1.0, Planted.CALCIFICATION: 2.5,
    Planted.VEIN: 2.0, Planted.FLOW_VOID: 1.5, Planted.SIDEROSIS: 2.0, Planted.CAVERNOMA: 3.0,
}
"""How far beyond its source an object's darkness may reach: our choice."""


def signal_drop(with_lesions: Float, without: Float, *, smooth_mm: float, grid: Grid) -> Float:
    """Signal lost to the lesions over the smoothed signal of the twin, per voxel."""
    from scipy.ndimage import gaussian_filter

    sigma = smooth_mm / np.array(grid.spacing_mm)
    around = gaussian_filter(without, sigma, truncate=2.5)
    floor = np.float32(0.3 * np.median(around[around > 0.25 * around.max()]))
    return np.asarray((without - with_lesions) / np.maximum(around, floor), dtype=np.float32)


def outline(
    drop: Float, sources: Sequence[Source], grid: Grid, factors: tuple[int, int, int]
) -> tuple[NDArray[np.uint16], tuple[PlantedLesion, ...]]:
    """Label every visible source on the acquired grid, numbered from 1; with its list.

    A voxel belongs to a source when the drop exceeds the class's `VISIBLE_DROP`, it hangs together
    with the source, and no other source is nearer. Sources that nobody would see are left out.
    """
    owner = np.full(grid.shape, -1, np.int32)
    nearest = np.full(grid.shape, np.inf, np.float32)
    for number, source in enumerate(sources):
        _claim(drop, source, number, grid, factors, owner, nearest)
    labels = np.zeros(grid.shape, np.uint16)
    planted: list[PlantedLesion] = []
    voxel_mm3 = float(np.prod(grid.spacing_mm))
    counts = np.bincount(owner[owner >= 0], minlength=len(sources))
    for number, source in enumerate(sources):
        if counts[number] < 2:
            continue
        index = len(planted) + 1
        box = _padded_box(source, grid, factors)
        labels[box][owner[box] == number] = index
        diameter = 2 * (3 * counts[number] * voxel_mm3 / (4 * np.pi)) ** (1 / 3)
        planted.append(PlantedLesion(
            index, source.kind, source.centre_lps_mm, float(diameter), source.chi_ppm,
            source.structure))
    return labels, tuple(planted)


def _padded_box(source: Source, grid: Grid, factors: tuple[int, int, int]
                ) -> tuple[slice, slice, slice]:
    pad = [int(np.ceil(BLOOMING_MM[source.kind] / s)) + 1 for s in grid.spacing_mm]
    slices = [
        slice(max(0, s.start // f - p), min(n, -(-s.stop // f) + p))
        for s, f, p, n in zip(source.box, factors, pad, grid.shape, strict=True)
    ]
    return slices[0], slices[1], slices[2]


def _claim(
    drop: Float, source: Source, number: int, grid: Grid, factors: tuple[int, int, int],
    owner: NDArray[np.int32], nearest: Float,
) -> None:
    """Give `source` the voxels it darkens, where no earlier source is nearer."""
    from scipy import ndimage

    box = _padded_box(source, grid, factors)
    core = _core(source, box, factors)
    if not core.any():
        return
    distance = ndimage.distance_transform_edt(~core, sampling=grid.spacing_mm)
    dark = (drop[box] > VISIBLE_DROP[source.kind]) & (distance <= BLOOMING_MM[source.kind])
    parts, _ = ndimage.label(dark, structure=np.ones((3, 3, 3)))
    touching = np.unique(parts[(distance <= 1.01 * max(grid.spacing_mm[1:])) & dark])
    mine = np.isin(parts, touching) & dark & (distance < nearest[box])
    owner[box][mine] = number
    nearest[box][mine] = distance[mine]


def _core(source: Source, box: tuple[slice, slice, slice], factors: tuple[int, int, int]
          ) -> NDArray[np.bool_]:
    """Acquired voxels that hold the source: where its weight exceeds half its maximum."""
    shape = [s.stop - s.start for s in box]
    core = np.zeros(shape, bool)
    cells = np.argwhere(source.weight > 0.5 * source.weight.max())
    start = np.array([s.start for s in source.box])
    voxels = (cells + start) // np.array(factors) - np.array([s.start for s in box])
    inside = ((voxels >= 0) & (voxels < shape)).all(axis=1)
    core[tuple(voxels[inside].T)] = True
    return core
