"""The brain in one image, without a trained model.

Shared by the rooms that need a brain before anything is registered. The way is that of
median_otsu (dipy): smooth, threshold by Otsu; then what it lacks, an opening wide enough to cut
neck, eyes and scalp from the brain, done on a coarse grid by distances, so that it takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.types import Role

if TYPE_CHECKING:
    from highdicom import Volume

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

# Own choices, set on simulated contrasts of real heads.
_SPACING_MM = 2.5
_SCALP_MM = 5.0
_OPENING_MM = 6.0
_CLOSING_MM = 8.0
_SMALLEST_BRAIN_MM3 = 1.0e5
_LOW: dict[Role, float] = {Role.T1W: 0.45}


def brain_mask(image: Volume, *, role: Role) -> Volume:
    """The brain with its ventricles, bool on the grid of `image`.

    `image` is one magnitude-like image, (slice, row, column), of any unit: SWI, GRE magnitude
    (mean of echoes), T1w, T2w, b0 (role DWI) or M0 (role ASL); not finite values count as zero.
    `role` tells how dark fluid is in it. An image without a head gives an empty mask.
    """
    array = np.nan_to_num(image.array.astype(np.float32), posinf=0.0, neginf=0.0)
    coarse = _resized(array, _coarse_shape(image.spatial_shape, image.spacing))
    size = np.multiply(image.spatial_shape, image.spacing)
    spacing_mm = tuple(float(edge / count) for edge, count in zip(size, coarse.shape, strict=True))
    mask = _coarse_brain(coarse, spacing_mm, _LOW.get(role, 0.35))
    fine = _resized(mask.astype(np.float32), image.spatial_shape) > 0.5
    return image.with_array(fine)


def _coarse_shape(shape: tuple[int, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
    return tuple(
        max(1, round(count * step / max(step, _SPACING_MM)))
        for count, step in zip(shape, spacing, strict=True)
    )


def _resized(array: Image, shape: tuple[int, ...]) -> Image:
    """`array` over the same field of view in another number of voxels; means when it shrinks."""
    from scipy import ndimage

    factors = [old / new for old, new in zip(array.shape, shape, strict=True)]
    for axis, factor in enumerate(factors):
        if factor > 1.01:
            array = ndimage.gaussian_filter1d(array, 0.4 * factor, axis=axis, mode="nearest")
    offset = [0.5 * factor - 0.5 for factor in factors]
    out: Image = ndimage.affine_transform(
        array, np.array(factors), offset, output_shape=shape, order=1, mode="nearest"
    )
    return out


def _coarse_brain(image: Image, spacing_mm: tuple[float, ...], low: float) -> Mask:
    """Brain in `image` (coarse grid). `low`: share of typical brain intensity that is tissue."""
    from scipy import ndimage

    image = ndimage.median_filter(image, size=3)
    empty: Mask = np.zeros(image.shape, bool)
    head = _head(image, spacing_mm)
    if head.sum() * np.prod(spacing_mm) < _SMALLEST_BRAIN_MM3:
        return empty
    depth = _inside_mm(head, spacing_mm)
    inner = image[depth > 25.0] if (depth > 25.0).any() else image[head]
    typical = np.median(inner[inner > 0.3 * np.percentile(inner, 90)])
    tissue = (image > low * typical) & (depth > _SCALP_MM)
    core = _most_central(_inside_mm(tissue, spacing_mm) > _OPENING_MM, depth)
    if not core.any():
        return empty
    grown = tissue & (_outside_mm(core, spacing_mm) < _OPENING_MM + 1.0)
    return _smoothed(grown, spacing_mm)


def _head(image: Image, spacing_mm: tuple[float, ...]) -> Mask:
    """Head and neck, filled slice by slice along every axis."""
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    top = np.percentile(image, 99.0)
    if not top > 0:
        return np.zeros(image.shape, bool)
    head: Mask = image > 0.5 * threshold_otsu(np.minimum(image, top))
    labels, count = ndimage.label(head)
    if count > 1:
        head = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    head = _outside_mm(head, spacing_mm) <= _CLOSING_MM
    for axis in range(3):
        for index in range(head.shape[axis]):
            plane = (slice(None),) * axis + (index,)
            head[plane] = ndimage.binary_fill_holes(head[plane])
    return _inside_mm(head, spacing_mm) > _CLOSING_MM


def _most_central(mask: Mask, depth: Image) -> Mask:
    """The component of `mask` with the largest summed depth inside the head."""
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count == 0:
        return mask
    weight = np.bincount(labels.ravel(), weights=depth.ravel())
    return np.asarray(labels == 1 + np.argmax(weight[1:]))


def _smoothed(mask: Mask, spacing_mm: tuple[float, ...]) -> Mask:
    """Sulci and ventricles closed, spurs opened away, one component."""
    from scipy import ndimage

    closed = _inside_mm(_outside_mm(mask, spacing_mm) <= _CLOSING_MM, spacing_mm) > _CLOSING_MM
    closed = ndimage.binary_fill_holes(closed | mask)
    opened = _outside_mm(_inside_mm(closed, spacing_mm) > _OPENING_MM, spacing_mm) <= _OPENING_MM
    labels, count = ndimage.label(opened)
    if count <= 1:
        return np.asarray(opened)
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def _inside_mm(mask: Mask, spacing_mm: tuple[float, ...]) -> Image:
    """Distance of each voxel of `mask` to the outside; the field of view's edge is no outside."""
    from scipy import ndimage

    if mask.all():
        return np.full(mask.shape, np.inf, np.float32)
    return np.asarray(ndimage.distance_transform_edt(mask, spacing_mm), np.float32)


def _outside_mm(mask: Mask, spacing_mm: tuple[float, ...]) -> Image:
    """Distance of each voxel to `mask`."""
    return _inside_mm(~mask, spacing_mm)
