"""Lobes, capsules and corpus callosum of a head whose nuclei and tissues are known.

The atlas is brought to the head by an affine on landmarks that both have: centres of nuclei,
cerebellum and hemispheres, and the far ends of the cerebrum. A hemisphere, a side of the cerebellum
or an end that the field of view cuts is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from operators.region_segmenter.classes import CALLOSUM
from operators.resampling import Matrix, Shape, coordinates, sample

Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

_STEP = 2
_CORTEX = tuple(range(13, 23))
_WHITE = (*range(11, 26),)
_NUCLEI, _CEREBELLUM = range(1, 9), (27, 28)
_FAR_MM = 15.0
"""Where the head is cut, a landmark this far from where the centres have it is none: another place
has become the farthest end (our choice)."""
CAPSULE_MM = 8.0
"""Own choice: how near white matter of the internal capsule is to the nuclei on both its sides."""


@dataclass(frozen=True, slots=True, eq=False)
class _Atlas:
    """Every second voxel of the atlas: `near_cortex` and `near_white` go on beyond its lobes."""

    shape: Shape
    affine: Matrix
    near_cortex: Labels
    near_white: Labels
    landmarks: Points


def fill_territories(
    regions: Labels, cerebral: Mask, cortex: Mask, left: Mask, affine: Matrix,
    known: Mask | None = None,
) -> tuple[Labels, Matrix]:
    """Numbers of `labels.STRUCTURES` for `cerebral` grey (`cortex`) and white matter.

    `regions` holds nuclei (three at least) and cerebellum, `left` tells the hemisphere, `affine`
    leads from indices to LPS mm, `known` is where the image has values (None: everywhere). Returns
    the regions filled, and the affine from the head to the atlas, LPS mm.
    """
    regions = regions.copy()
    atlas = _atlas()
    edge = np.zeros(regions.shape, bool) if known is None else _beside(~known)
    to_atlas = _affine(regions, left & cerebral, cerebral, edge, affine, atlas.landmarks)
    points = coordinates(_shape(regions), affine, atlas.shape, atlas.affine, to_atlas)
    for source, found in ((atlas.near_cortex, cortex), (atlas.near_white, ~cortex)):
        lobes = sample(source, points, nearest=True).astype(np.uint8)
        fill = cerebral & found
        regions[fill] = lobes[fill]
    _keep_side(regions, cerebral, left)
    return regions, to_atlas


def add_internal_capsule(regions: Labels, white: Mask, left: Mask, spacing_mm: Points) -> None:
    """The internal capsule of both sides, in place, where nuclei are labelled and white matter is.

    Distances are measured within 10 mm of the nuclei.
    """
    from scipy.ndimage import find_objects

    margin = [round(10 / step) for step in spacing_mm]
    found = find_objects(np.isin(regions, range(1, 9)).astype(np.uint8))
    if not found:
        return
    box = tuple(slice(max(0, s.start - m), s.stop + m)
                for s, m in zip(found[0], margin, strict=True))
    inner, white_inside = regions[box], white[box]
    for offset, side in ((0, left[box]), (1, ~left[box])):
        medial, lateral = (np.isin(inner, (first + offset, second + offset))
                           for first, second in ((1, 7), (3, 5)))
        inner[between(medial, lateral, spacing_mm) & white_inside & side] = 9 + offset


def between(medial: Mask, lateral: Mask, spacing_mm: Points) -> Mask:
    """Where both caudate or thalamus and the lentiform nucleus are near: the internal capsule."""
    from scipy.ndimage import distance_transform_edt

    if not (medial.any() and lateral.any()):
        return np.zeros(medial.shape, bool)
    near = [distance_transform_edt(~group, sampling=spacing_mm) < CAPSULE_MM
            for group in (medial, lateral)]
    return np.asarray(near[0] & near[1])


@cache
def _atlas() -> _Atlas:
    from scipy.ndimage import distance_transform_edt

    from operators.region_segmenter.atlas import load_atlas

    volume = load_atlas()
    labels, whole = np.asarray(volume.array, np.uint8), np.asarray(volume.affine)
    near = []
    part = labels[::_STEP, ::_STEP, ::_STEP]
    for allowed in (_CORTEX, _WHITE):
        index = distance_transform_edt(
            ~np.isin(part, allowed), return_distances=False, return_indices=True)
        near.append(part[tuple(index)])
    affine = whole.copy()
    affine[:3, :3] *= _STEP
    cerebral = np.isin(labels, range(9, 26)) & (labels != CALLOSUM)
    left = cerebral & (labels % 2 == 1) & (labels < 24)
    nowhere = np.zeros(labels.shape, bool)
    marks = np.concatenate([_centres(labels, left, cerebral, nowhere, whole),
                            _ends(_points(cerebral, whole), _some(nowhere[cerebral]), np.eye(4))])
    return _Atlas(_shape(part), affine, near[0], near[1], marks)


def _beside(unknown: Mask) -> Mask:
    """Voxels at most two steps away from what is unknown."""
    from scipy.ndimage import binary_dilation

    return np.asarray(binary_dilation(unknown, iterations=2))


def _affine(
    regions: Labels, left: Mask, cerebral: Mask, edge: Mask, affine: Matrix, wanted: Points
) -> Matrix:
    """Head point -> atlas point by least squares, thrice: far ends depend on the head's pose.

    Landmarks that are missing are put where a similarity by the others has them, so that those
    alone, which lie close together, do not decide how long the rest of the head is.
    """
    matrix = np.eye(4)
    centres = _centres(regions, left, cerebral, edge, affine)
    cloud, cut = _points(cerebral, affine), _some(edge[cerebral])
    for _ in range(3):
        found = np.concatenate([centres, _ends(cloud, cut, matrix)])
        there = np.isfinite(found).all(axis=1)
        if cut.any():
            back = _similarity(wanted[:12][there[:12]], centres[there[:12]])
            rest = np.linalg.norm(wanted @ back[:3, :3].T + back[:3, 3] - found, axis=1)
            there &= rest < _FAR_MM
        back = _similarity(wanted[there], found[there])
        found[~there] = wanted[~there] @ back[:3, :3].T + back[:3, 3]
        design = np.c_[found, np.ones(len(found))]
        solution, *_ = np.linalg.lstsq(design, wanted, rcond=None)
        matrix = np.eye(4)
        matrix[:3] = solution.T
    return matrix


def _similarity(points: Points, wanted: Points) -> Matrix:
    """Turn, scale and shift that bring points (n, 3) nearest to the wanted ones (Umeyama, IEEE
    Trans Pattern Anal 1991;13:376)."""
    from scipy.spatial.transform import Rotation

    one, two = points - points.mean(axis=0), wanted - wanted.mean(axis=0)
    turn = Rotation.align_vectors(two, one)[0].as_matrix()
    matrix = np.eye(4)
    matrix[:3, :3] = (two * (one @ turn.T)).sum() / (one**2).sum() * turn
    matrix[:3, 3] = wanted.mean(axis=0) - matrix[:3, :3] @ points.mean(axis=0)
    return matrix


def _centres(regions: Labels, left: Mask, cerebral: Mask, edge: Mask, affine: Matrix) -> Points:
    """(12, 3) LPS mm: centres of nuclei, cerebellum and hemispheres; NaN where one is missing, or
    is large and reaches the `edge` of what is known."""
    nuclei = [_centre(regions == number, affine) for number in _NUCLEI]
    large = [*(regions == number for number in _CEREBELLUM), left, cerebral & ~left]
    return np.array(nuclei + [np.full(3, np.nan) if (mask & edge).any() else _centre(mask, affine)
                              for mask in large])


def _ends(cloud: Points, cut: Mask, to_atlas: Matrix) -> Points:
    """(6, 3) LPS mm: the far ends of a cloud of points along the atlas's axes; NaN where any of
    the end's points is `cut` off from what is beyond."""
    marks = []
    turned = cloud @ to_atlas[:3, :3].T
    for axis in range(3):
        low, high = np.quantile(turned[:, axis], (0.005, 0.995))
        for end in (turned[:, axis] <= low, turned[:, axis] >= high):
            marks.append(np.full(3, np.nan) if cut[end].any() else cloud[end].mean(axis=0))
    return np.array(marks)


def _centre(mask: Mask, affine: Matrix) -> Points:
    points = _points(mask, affine)
    return points.mean(axis=0) if len(points) else np.full(3, np.nan)


def _points(mask: Mask, affine: Matrix) -> Points:
    return np.asarray(_some(np.argwhere(mask)) @ affine[:3, :3].T + affine[:3, 3])


def _some(rows: NDArray) -> NDArray:
    """Every so many of the rows: 60 000 to 120 000 of many."""
    return rows[::max(1, len(rows) // 60000)]


def _keep_side(regions: Labels, cerebral: Mask, left: Mask) -> None:
    """A lobe found across the midline is the lobe of the voxel's own hemisphere."""
    paired = cerebral & (regions != CALLOSUM) & (regions > 0)
    is_left = regions % 2 == 1
    is_left = np.where(regions >= 24, ~is_left, is_left)
    regions[paired & left & ~is_left] -= 1
    regions[paired & ~left & is_left] += 1


def _shape(array: Labels) -> Shape:
    z, y, x = array.shape
    return z, y, x
