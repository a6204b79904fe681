"""Regions of cortex and white matter that a label map does not tell apart, taken from the atlas.

The atlas is brought to the head by an affine on landmarks that both have: centres of nuclei, brain
stem, cerebellum and hemispheres, and the far ends of the cerebrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid, Matrix, coordinates, sample
from apps.phantom.tissue import Tissue

Labels = NDArray[np.uint8]
Points = NDArray[np.float64]

CEREBRAL = (Tissue.GREY, Tissue.WHITE, Tissue.WHITE_LESION)
_STEP = 2
_CORTEX = tuple(range(13, 23))
_WHITE = (*range(11, 26),)
_CENTRES = (1, 2, 3, 4, 5, 6, 7, 8, 27, 28)

# Centres and half axes, mm from the AC (MNI, LPS, right side; mirrored for the left), and turn
# about the slice normal. Read off standard atlases by us.
_SMALL_NUCLEI: tuple[tuple[Tissue, tuple[float, float, float], tuple[float, float, float], float],
                     ...] = (
    (Tissue.RED_NUCLEUS, (-5.0, 20.5, -9.0), (3.0, 3.2, 4.0), 0.0),
    (Tissue.SUBSTANTIA_NIGRA, (-10.0, 17.5, -12.5), (2.0, 7.0, 3.5), -40.0),
    (Tissue.DENTATE, (-14.0, 57.0, -36.0), (4.5, 8.5, 4.5), 25.0),
)


@dataclass(frozen=True, slots=True, eq=False)
class _Atlas:
    """Every second voxel of the atlas: `near_cortex` and `near_white` go on beyond its lobes."""

    grid: Grid
    near_cortex: Labels
    near_white: Labels
    landmarks: Points


def parcellate(
    tissue: Labels, regions: Labels, left: NDArray[np.bool_], grid: Grid
) -> tuple[Labels, Labels]:
    """Fill structure 0 of cerebral grey and white matter; add callosum, capsules, small nuclei.

    `left` tells the hemisphere where structures do not. Returns (tissue, regions).
    """
    tissue, regions = tissue.copy(), regions.copy()
    cerebral = (regions == 0) & np.isin(tissue, CEREBRAL)
    atlas = _atlas()
    to_atlas = _affine(regions, left & cerebral, cerebral, grid, atlas.landmarks)
    points = coordinates(grid, atlas.grid, to_atlas)
    for source, found in ((atlas.near_cortex, tissue == Tissue.GREY),
                          (atlas.near_white, tissue != Tissue.GREY)):
        lobes = sample(source, points, nearest=True).astype(np.uint8)
        fill = cerebral & found
        regions[fill] = lobes[fill]
    _keep_side(regions, cerebral, left)
    _internal_capsule(tissue, regions, left)
    white = tissue == Tissue.WHITE
    tissue[white & (regions == 23)] = Tissue.CALLOSUM
    tissue[white & np.isin(regions, (9, 10, 11, 12))] = Tissue.CAPSULE
    add_small_nuclei(tissue, regions, grid, to_atlas)
    return tissue, regions


@cache
def _atlas() -> _Atlas:
    from scipy.ndimage import distance_transform_edt

    from operators.region_segmenter.atlas import load_atlas

    volume = load_atlas()
    full = Grid(volume.spatial_shape, np.asarray(volume.affine))
    labels = np.asarray(volume.array, np.uint8)
    near = []
    part = labels[::_STEP, ::_STEP, ::_STEP]
    for allowed in (_CORTEX, _WHITE):
        index = distance_transform_edt(
            ~np.isin(part, allowed), return_distances=False, return_indices=True)
        near.append(part[tuple(index)])
    affine = full.affine.copy()
    affine[:3, :3] *= _STEP
    cerebral = np.isin(labels, range(9, 26)) & (labels != 23)
    marks = _landmarks(labels, cerebral & (labels % 2 == 1) & (labels < 24), cerebral, full,
                       np.eye(4))
    shape = (part.shape[0], part.shape[1], part.shape[2])
    return _Atlas(Grid(shape, affine), near[0], near[1], marks)


def _affine(
    regions: Labels, left: NDArray[np.bool_], cerebral: NDArray[np.bool_], grid: Grid,
    wanted: Points,
) -> Matrix:
    """Head point -> atlas point by least squares, thrice: far ends depend on the head's pose."""
    matrix = np.eye(4)
    for _ in range(3):
        found = _landmarks(regions, left, cerebral, grid, matrix)
        design = np.c_[found, np.ones(len(found))]
        solution, *_ = np.linalg.lstsq(design, wanted, rcond=None)
        matrix = np.eye(4)
        matrix[:3] = solution.T
    return matrix


def _landmarks(
    regions: Labels, left: NDArray[np.bool_], cerebral: NDArray[np.bool_], grid: Grid,
    to_atlas: Matrix,
) -> Points:
    """(18, 3) LPS mm: centres of `_CENTRES` and both hemispheres, six ends of the cerebrum."""
    marks = [_points(regions == number, grid).mean(axis=0) for number in _CENTRES]
    marks += [_points(left, grid).mean(axis=0), _points(cerebral & ~left, grid).mean(axis=0)]
    cloud = _points(cerebral, grid)
    turned = cloud @ to_atlas[:3, :3].T
    for axis in range(3):
        low, high = np.quantile(turned[:, axis], (0.005, 0.995))
        marks.append(cloud[turned[:, axis] <= low].mean(axis=0))
        marks.append(cloud[turned[:, axis] >= high].mean(axis=0))
    return np.array(marks)


def _points(mask: NDArray[np.bool_], grid: Grid) -> Points:
    index = np.argwhere(mask)
    step = max(1, len(index) // 60000)
    return np.asarray(index[::step] @ grid.affine[:3, :3].T + grid.affine[:3, 3])


def _keep_side(regions: Labels, cerebral: NDArray[np.bool_], left: NDArray[np.bool_]) -> None:
    """A lobe found across the midline is the lobe of the voxel's own hemisphere."""
    paired = cerebral & (regions != 23) & (regions > 0)
    is_left = regions % 2 == 1
    is_left = np.where(regions >= 24, ~is_left, is_left)
    regions[paired & left & ~is_left] -= 1
    regions[paired & ~left & is_left] += 1


def _internal_capsule(tissue: Labels, regions: Labels, left: NDArray[np.bool_]) -> None:
    """White matter within 8 mm of both the lentiform nucleus and caudate or thalamus."""
    from scipy.ndimage import distance_transform_edt, find_objects

    box = tuple(
        slice(max(0, s.start - 10), s.stop + 10)
        for s in find_objects(np.isin(regions, range(1, 9)).astype(np.uint8))[0])
    inner_regions, white = regions[box], tissue[box] == Tissue.WHITE
    for offset, side in ((0, left[box]), (1, ~left[box])):
        medial = np.isin(inner_regions, (1 + offset, 7 + offset))
        lateral = np.isin(inner_regions, (3 + offset, 5 + offset))
        near = (distance_transform_edt(~medial) < 8) & (distance_transform_edt(~lateral) < 8)
        inner_regions[near & white & side] = 9 + offset


def add_small_nuclei(tissue: Labels, regions: Labels, grid: Grid, to_atlas: Matrix) -> None:
    """Red nucleus, substantia nigra and dentate inside brain stem and cerebellar white matter."""
    hosts = (Tissue.BRAIN_STEM, Tissue.VENTRAL_DIENCEPHALON, Tissue.CEREBELLAR_WHITE,
             Tissue.CEREBELLAR_GREY, Tissue.WHITE)
    index = np.argwhere(np.isin(regions, (26, 27, 28)) & np.isin(tissue, hosts))
    points = (index @ grid.affine[:3, :3].T + grid.affine[:3, 3]) @ to_atlas[:3, :3].T
    points += to_atlas[:3, 3]
    for nucleus, centre, axes, turn_deg in _SMALL_NUCLEI:
        for mirror in (1.0, -1.0):
            offset = points * (mirror, 1.0, 1.0) - centre
            c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
            x, y = c * offset[:, 0] - s * offset[:, 1], s * offset[:, 0] + c * offset[:, 1]
            r = (x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (offset[:, 2] / axes[2]) ** 2
            tissue[tuple(index[r < 1].T)] = nucleus
