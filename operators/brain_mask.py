"""The brain in one image, without a trained model.

Shared by the rooms that need a brain before anything is registered. A sphere grows from the
middle of the head until it meets the dark of the skull: the Brain Extraction Tool of Smith, Human
Brain Mapping 2002;17:143-155 (equation numbers below are those of that paper), on a coarse grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.types import Role

if TYPE_CHECKING:
    from highdicom import Volume

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

# Smith 2002: curvature radii 3.33 and 10 mm, search depths 7 and 3 mm in its released program.
_RADIUS_MIN_MM, _RADIUS_MAX_MM = 3.33, 10.0
_DEPTH_DARK_MM, _DEPTH_BRIGHT_MM = 7, 3
# Own choices, set on simulated contrasts of real heads.
_SPACING_MM = 2.0
_HEAD_HEIGHT_MM = 150.0
_HIGHEST_BRAIN_MM, _BRAIN_HEIGHT_MM = 160.0, 130.0
_STEPS = ((3, 300), (4, 150))
_LOCAL = 0.7
_OPENING_MM, _PAD = 10.0, 8
_SMALLEST_BRAIN_MM3 = 5.0e4
_STOP = {Role.T1W: 0.5}


def brain_mask(image: Volume, *, role: Role) -> Volume:
    """The brain with its ventricles, bool on the grid of `image`.

    `image` is one magnitude-like image, (slice, row, column), of any unit: SWI, GRE magnitude
    (mean of echoes), T1w, T2w, b0 (role DWI) or M0 (role ASL); not finite values count as zero.
    `role` tells at what share of the brain's brightness its border lies. Where the field of view
    cuts the brain, so does the mask. An image without a head gives an empty mask.
    """
    array = np.nan_to_num(image.array.astype(np.float32), posinf=0.0, neginf=0.0)
    coarse = _resized(array, _coarse_shape(image.spatial_shape, image.spacing))
    size_mm = np.multiply(image.spatial_shape, image.spacing)
    spacing_mm: Array = size_mm / coarse.shape
    up = image.affine[2, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    mask = _coarse_brain(coarse, spacing_mm, up, _STOP.get(role, 0.6))
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


class _Levels(NamedTuple):
    """Intensities of equation 1 ff.: dark, bright and head threshold, and the brain's median."""

    dark: float
    threshold: float
    brain: float


def _coarse_brain(image: Image, spacing_mm: Array, up: Array, stop: float) -> Mask:
    """Brain in `image`. `up`: unit vector to the vertex along the index axes."""
    dark, bright = np.percentile(image, [2.0, 98.0])
    threshold = dark + 0.1 * (bright - dark)
    head = _upper_head(image > threshold, spacing_mm, up)
    if head.sum() * np.prod(spacing_mm) < _SMALLEST_BRAIN_MM3:
        return np.zeros(image.shape, bool)
    weight = np.where(head, np.minimum(image, bright), 0.0).astype(np.float64)
    grid = np.stack(np.meshgrid(*map(np.arange, image.shape), indexing="ij"), -1) * spacing_mm
    centre = np.tensordot(weight, grid, 3) / weight.sum()
    radius_mm = float((3.0 * head.sum() * np.prod(spacing_mm) / (4.0 * np.pi)) ** (1 / 3))
    near = head & (np.linalg.norm(grid - centre, axis=-1) < radius_mm)
    brain = float(np.median(image[near]))
    levels = _Levels(float(dark), float(dark) + _LOCAL * (brain - float(dark)), brain)
    points, faces = _grown(image, spacing_mm, centre, 0.5 * radius_mm, levels, stop)
    grown = _opened(_filled(points, faces, spacing_mm, image.shape), spacing_mm)
    return _without_neck(grown, spacing_mm, up)


def _without_neck(mask: Mask, spacing_mm: Array, up: Array) -> Mask:
    """A mask too high for a brain leaked into the neck: cut a brain's height below its top."""
    if not mask.any():
        return mask
    height_mm = _heights(mask.shape, spacing_mm, up)
    top_mm, low_mm = np.percentile(height_mm[mask], (99.9, 0.1))
    if top_mm - low_mm <= _HIGHEST_BRAIN_MM:
        return mask
    return np.asarray(mask & (height_mm > top_mm - _BRAIN_HEIGHT_MM))


def _opened(mask: Mask, spacing_mm: Array) -> Mask:
    """The largest part of `mask` that a ball of `_OPENING_MM` radius can reach."""
    from scipy import ndimage

    padded = np.pad(mask, _PAD, mode="edge")
    core = ndimage.distance_transform_edt(padded, spacing_mm) > _OPENING_MM
    labels, count = ndimage.label(core)
    if count == 0:
        return np.zeros(mask.shape, bool)
    core = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    opened = ndimage.distance_transform_edt(~core, spacing_mm) <= _OPENING_MM
    return np.asarray(opened[(slice(_PAD, -_PAD),) * 3])


def _upper_head(foreground: Mask, spacing_mm: Array, up: Array) -> Mask:
    """The largest bright component, down to a head's height below its top."""
    from scipy import ndimage

    labels, count = ndimage.label(ndimage.binary_opening(foreground))
    if count == 0:
        return np.zeros(foreground.shape, bool)
    head = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    height_mm = _heights(foreground.shape, spacing_mm, up)
    top_mm = np.percentile(height_mm[head], 99.9)
    return np.asarray(head & (height_mm > top_mm - _HEAD_HEIGHT_MM))


def _heights(shape: tuple[int, ...], spacing_mm: Array, up: Array) -> Array:
    """Of every voxel along `up`, millimetres."""
    ramps = [
        np.arange(size) * step * component
        for size, step, component in zip(shape, spacing_mm, up, strict=True)
    ]
    return np.asarray(ramps[0][:, None, None] + ramps[1][:, None] + ramps[2])


def _grown(
    image: Image, spacing_mm: Array, centre: Array, radius_mm: float, levels: _Levels, stop: float
) -> tuple[Array, NDArray[np.int64]]:
    """The surface after its growth: points (n, 3) in mm along the index axes, faces (m, 3)."""
    points, faces = _sphere()
    points = centre + radius_mm * points
    for level, iterations in _STEPS:
        while len(faces) < 20 * 4**level:
            points, faces = _split(points, faces)
        neighbours = _neighbours(faces, len(points))
        for _ in range(iterations):
            points = points + _step(points, faces, neighbours, image, spacing_mm, levels, stop)
            np.clip(points, -spacing_mm, spacing_mm * image.shape, out=points)
    return points, faces


def _step(
    points: Array, faces: NDArray[np.int64], neighbours: tuple[NDArray[np.int64], Array],
    image: Image, spacing_mm: Array, levels: _Levels, stop: float,
) -> Array:
    """One movement of every point: equations 6 (spacing), 8 (smoothness) and 12 (brightness)."""
    normal = _normals(points, faces)
    index, share = neighbours
    around: Array = points[index]
    to_mean = (around * share[:, :, None]).sum(1) - points
    edge_mm = float((np.linalg.norm(around - points[:, None], axis=2) * share).sum(1).mean())
    along = (to_mean * normal).sum(1, keepdims=True)
    inverse_radius = 2.0 * np.abs(along) / edge_mm**2
    middle = 0.5 * (1 / _RADIUS_MIN_MM + 1 / _RADIUS_MAX_MM)
    steep = 6.0 / (1 / _RADIUS_MIN_MM - 1 / _RADIUS_MAX_MM)
    smooth: Array = 0.5 * (1.0 + np.tanh(steep * (inverse_radius - middle)))
    push = 0.05 * _brightness(points, normal, image, spacing_mm, levels, stop) * edge_mm
    moved: Array = 0.5 * (to_mean - along * normal) + smooth * along * normal
    return moved + push[:, None] * normal


def _brightness(
    points: Array, normal: Array, image: Image, spacing_mm: Array, levels: _Levels, stop: float
) -> Array:
    """Equations 9 to 11: above 0 where the surface still lies in brain."""
    depth_mm = np.arange(_DEPTH_DARK_MM + 1)
    at = points[:, None] - depth_mm[None, :, None] * normal[:, None]
    index = np.rint(at / spacing_mm).astype(np.intp)
    np.clip(index, 0, np.array(image.shape) - 1, out=index)
    value = image[index[..., 0], index[..., 1], index[..., 2]].astype(np.float64)
    low = np.clip(value.min(1), levels.dark, levels.brain)
    high = np.clip(value[:, : _DEPTH_BRIGHT_MM + 1].max(1), levels.threshold, levels.brain)
    border = levels.dark + stop * (high - levels.dark)
    return np.asarray(2.0 * (low - border) / (high - levels.dark))


def _sphere() -> tuple[Array, NDArray[np.int64]]:
    """The icosahedron: 12 points of length 1, 20 faces turned outwards."""
    from scipy.spatial import ConvexHull

    gold = 0.5 * (1 + 5**0.5)
    points = np.array(
        [np.roll((0.0, a, b * gold), turn) for turn in range(3) for a in (-1, 1) for b in (-1, 1)]
    ) / np.hypot(1.0, gold)
    faces = ConvexHull(points).simplices.astype(np.int64)
    inward = np.linalg.det(points[faces]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return points, faces


def _split(points: Array, faces: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """Each face into four, by the middles of its edges."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    middle = inverse.reshape(-1, 3) + len(points)
    a, b, c = faces.T
    ab, bc, ca = middle.T
    split = np.stack([a, ab, ca, b, bc, ab, c, ca, bc, ab, bc, ca], 1).reshape(-1, 3)
    return np.vstack([points, points[unique].mean(1)]), split


def _neighbours(faces: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], Array]:
    """Neighbours of each point, (count, 6), and their weights (0 for the sixth of five)."""
    pairs = np.unique(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=0)
    start = np.searchsorted(pairs[:, 0], np.arange(count))
    degree = np.bincount(pairs[:, 0], minlength=count)
    column = np.minimum(np.arange(6), degree[:, None] - 1)
    share = (np.arange(6) < degree[:, None]) / degree[:, None]
    return pairs[start[:, None] + column, 1], share


def _normals(points: Array, faces: NDArray[np.int64]) -> Array:
    """Outward unit normals, (n, 3)."""
    a, b, c = points[faces].transpose(1, 0, 2)
    face = np.cross(b - a, c - a)
    normal = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(face[:, axis], 3), minlength=len(points))
            for axis in range(3)
        ],
        axis=1,
    )
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12))


def _filled(
    points: Array, faces: NDArray[np.int64], spacing_mm: Array, shape: tuple[int, ...]
) -> Mask:
    """Voxels inside a closed surface: its faces drawn on a padded grid, then filled."""
    from scipy import ndimage

    pad = 2
    edge_mm = np.linalg.norm(points[faces] - points[np.roll(faces, 1, axis=1)], axis=2).max()
    steps = int(np.clip(np.ceil(1.5 * edge_mm / spacing_mm.min()), 3, 40)) + 1
    u, v = np.meshgrid(np.linspace(0, 1, steps), np.linspace(0, 1, steps))
    u, v = u[u + v <= 1.0001], v[u + v <= 1.0001]
    weights = np.stack([u, v, 1 - u - v])
    drawn = np.einsum("fpa,pw->fwa", points[faces], weights).reshape(-1, 3)
    index = np.rint(drawn / spacing_mm).astype(np.intp) + pad
    grid = np.zeros(np.add(shape, 2 * pad), bool)
    grid[tuple(index.T)] = True
    inside = ndimage.binary_fill_holes(grid) & ~grid
    return np.asarray(inside[pad:-pad, pad:-pad, pad:-pad])
