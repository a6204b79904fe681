"""Regions of a head by two networks: a coarse look at all of it, then a fine one at the nuclei."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.region_segmenter import frames
from operators.region_segmenter.classes import (
    AS_THEY_ARE,
    DEEP_WHITE,
    VENTRICLES,
    HeadClass,
    NucleusClass,
)
from operators.region_segmenter.looks import (
    Placed,
    first_look,
    look_where,
    part_of,
    second_look,
)
from operators.region_segmenter.masks import RIM_MM
from operators.region_segmenter.territories import between, fill_territories
from operators.resampling import Matrix, Shape

if TYPE_CHECKING:
    from highdicom import Volume

    from operators.region_segmenter.bundle import RegionNetworks

Labels = NDArray[np.uint8]
Array = NDArray[np.float32]
_LEFT = (1, 3, 5, 7, 9, 11)
_CEREBRUM = tuple(range(1, 14))
_NO_STRUCTURE, _DOUBTED = 255, 254
VENTRICLE_MM = 1.5
"""Own choice, half a voxel of the coarse look: how far beyond its ventricles the fine look's are
believed."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkRegions:
    """Regions as the networks see them, on the grid asked for.

    `labels` and `brain` go at most `RIM_MM` beyond the brain mask, `seen` is the brain without that
    limit. `quality`: mean Dice, over the eight nuclei, of the coarse look with the fine one.
    """

    labels: Labels
    brain: NDArray[np.bool_]
    seen: NDArray[np.bool_]
    quality: float


def read_regions(
    image: Volume, brain: Volume, networks: RegionNetworks
) -> NetworkRegions | None:
    """Regions and brain on the grid of `image`, or None where no upright brain's nuclei are seen.

    `image` of any contrast, NaN where it is unknown; `brain` (bool, the same grid) tells where to
    look, an empty one to look everywhere.
    """
    if min(image.spatial_shape) < 2:
        return None
    upright = image.to_patient_orientation("HPL")  # the same however the array was stored
    filled = np.nan_to_num(np.asarray(upright.array, np.float32), posinf=0.0, neginf=0.0)
    placed = Placed(filled, np.asarray(upright.affine))
    head = first_look(placed, look_where(brain), networks)
    try:
        to_atlas, rest_mm = frames.pose(
            frames.centres(np.asarray(head.array, np.uint8), head.affine))
    except ValueError:
        return None
    if rest_mm > frames.MOST_REST_MM or (np.diag(to_atlas)[:3] < frames.LEAST_COSINE).any():
        return None
    sides = [second_look(placed, to_atlas, networks, right=right) for right in (False, True)]
    quality = float(np.mean([_agreement(head, side, right=right)
                             for side, right in zip(sides, (False, True), strict=True)]))
    shape: Shape = image.spatial_shape  # type: ignore[assignment]
    affine = np.asarray(image.affine)
    field = Placed(np.isfinite(upright.array).astype(np.uint8), placed.affine)
    far = _far_from(brain, head)
    regions = _territories(Placed(np.where(far, 0, head.array), head.affine), field)
    regions[far & (head.array > 0)] = _DOUBTED
    labels = _on_grid(regions, head, shape, affine)
    seen, doubted = labels > 0, labels == _DOUBTED
    labels[labels == _NO_STRUCTURE] = 0
    for side, right in zip(sides, (False, True), strict=True):
        _put_fine(labels, head, side, affine, to_atlas, right=right)
    labels[doubted] = 0
    return NetworkRegions(labels, seen & ~doubted | (labels > 0), seen | (labels > 0), quality)


def _far_from(brain: Volume, head: Placed) -> NDArray[np.bool_]:
    """Voxels of the first look farther than `RIM_MM` from the brain mask; none from an empty one.

    A skull that looks like brain to the network is none: it takes two to believe in brain.
    """
    from scipy.ndimage import distance_transform_edt

    mask = Placed(np.asarray(brain.array, np.uint8), np.asarray(brain.affine)).at(
        head.shape, head.affine, nearest=True) > 0
    if not mask.any():
        return mask
    spacing = np.linalg.norm(head.affine[:3, :3], axis=0)
    return np.asarray(distance_transform_edt(~mask, spacing) > RIM_MM)


def _on_grid(labels: Labels, head: Placed, shape: Shape, affine: Matrix) -> Labels:
    """Labels on the first look's grid brought to another, 0 outside."""
    out = np.zeros(shape, np.uint8)
    box = head.covered(shape, affine)
    if out[box].size:
        out[box] = Placed(labels, head.affine).at(*part_of(box, affine), nearest=True)
    return out


def _agreement(head: Placed, side: Placed, *, right: bool) -> float:
    """Mean Dice of the nuclei of a side in both looks."""
    coarse = head.at(side.shape, side.affine, nearest=True).astype(np.uint8)
    own = _own_half(side.shape)
    fine = side.array.argmax(0)
    out = []
    for kind in (NucleusClass.CAUDATE, NucleusClass.PUTAMEN, NucleusClass.PALLIDUM,
                 NucleusClass.THALAMUS):
        one, two = (fine == kind) & own, (coarse == 2 * kind - 1 + right) & own
        out.append(2 * float((one & two).sum()) / max(1, int(one.sum() + two.sum())))
    return float(np.mean(out))


def _own_half(shape: Shape) -> NDArray[np.bool_]:
    """Voxels of a side's grid that lie on its side of the atlas's midline."""
    affine = frames.nuclei_affine(right=False)
    x = affine[0, 2] * np.arange(shape[2]) + affine[0, 3]
    return np.broadcast_to(x >= 0, shape)


def _territories(head: Placed, field: Placed) -> Labels:
    """Numbers of `labels.STRUCTURES` on the first look's grid, under the nuclei white matter;
    `_NO_STRUCTURE` in the rest of the brain. `field`: 1 where the image has a value."""
    labels = np.asarray(head.array, np.uint8)
    regions = np.where(labels <= 8, labels, 0).astype(np.uint8)
    for number, kind in AS_THEY_ARE.items():
        regions[labels == kind] = number
    cortex = np.isin(labels, (HeadClass.LEFT_CORTEX, HeadClass.RIGHT_CORTEX))
    cerebral = np.isin(labels, _CEREBRUM) & (labels != HeadClass.CALLOSUM)
    filled, _ = fill_territories(
        regions, cerebral, cortex, np.isin(labels, _LEFT), head.affine,
        field.at(head.shape, head.affine, nearest=True) > 0)
    filled[(filled == 0) & (labels > 0)] = _NO_STRUCTURE
    return filled


def _put_fine(
    labels: Labels, head: Placed, side: Placed, affine: Matrix, to_atlas: Matrix, *, right: bool
) -> None:
    """What the fine look sees of a side into `labels`, by interpolated probabilities."""
    box = side.covered(labels.shape, affine)  # type: ignore[arg-type]
    view = labels[box]
    if view.size == 0:
        return
    shape, inner = part_of(box, affine)
    found = Placed(fine_structures(head, side), side.affine).at(shape, inner, nearest=False)
    best, own = found.argmax(0), found.sum(0) > 0.5
    x = (to_atlas @ inner)[0]
    z, y, c = (np.arange(n) for n in shape)
    across = x[0] * z[:, None, None] + x[1] * y[:, None] + x[2] * c + x[3]
    own &= (across < 0) if right else (across >= 0)
    for kind in range(1, 6):
        view[own & (best == kind)] = 2 * kind - 1 + right
    view[own & (best == 6)] = VENTRICLES
    view[own & (best == 7) & (view == VENTRICLES)] = DEEP_WHITE + right


def fine_structures(head: Placed, side: Placed) -> Array:
    """Probabilities (8, ...) on the grid of `side`, the fine look's: the rest, caudate, putamen,
    pallidum, thalamus, internal capsule, ventricle, white matter where `head` has ventricle.

    `head`: head classes of the coarse look; `side`: probabilities of nucleus classes. Fluid is
    ventricle near the coarse look's ventricles, and where that saw a nucleus.
    """
    from scipy.ndimage import distance_transform_edt

    best = side.array.argmax(0)
    spacing = np.full(3, frames.NUCLEI_MM)
    capsule = between(
        np.isin(best, (NucleusClass.CAUDATE, NucleusClass.THALAMUS)),
        np.isin(best, (NucleusClass.PUTAMEN, NucleusClass.PALLIDUM)),
        spacing) & (best == NucleusClass.WHITE)
    coarse = head.at(side.shape, side.affine, nearest=True)
    seen = coarse == HeadClass.VENTRICLES
    inside = (distance_transform_edt(~seen, spacing) <= VENTRICLE_MM) & seen.any()
    inside |= (coarse >= 1) & (coarse <= 8)
    found = [*side.array[1:5], np.where(capsule, side.array[NucleusClass.WHITE], 0),
             np.where(inside, side.array[NucleusClass.FLUID], 0),
             np.where(seen & ~capsule, side.array[NucleusClass.WHITE], 0)]
    return np.asarray(np.stack([1 - np.sum(found, axis=0), *found]), np.float32)
