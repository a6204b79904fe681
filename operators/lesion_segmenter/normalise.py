"""What the network sees: contrasts on one scale, cropped to the brain, about 1 mm in plane.

Training and inference both come through `network_input`, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.errors import StepFailed
from operators.types import Role

Array = NDArray[np.float32]
CHANNELS: tuple[Role, ...] = (Role.SWI, Role.QSM, Role.T2W)
"""Contrasts of the network, in channel order."""

IN_PLANE_MM = 1.0
"""Training resolution in the slice plane; our choice: a 2 mm microbleed still spans two pixels."""
TOLERANCE = 1.25
"""In-plane spacings within this factor of `IN_PLANE_MM` are left as they are."""
BIAS_SIGMA_MM = 20.0
"""Width of the local mean that divides intensities: wide against every lesion (our choice)."""
QSM_SCALE_PPM, QSM_LIMIT_PPM = 0.15, 0.9
MARGIN_MM = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class NetworkInput:
    """Contrasts on the working grid, and the way back.

    Attributes
    ----------
    array : (channel, slice, row, column), about -1 to 6, 0 where nothing is known.
    brain : bool (slice, row, column) on the working grid.
    spacing_mm : of the working grid (slice, row, column).
    box : the part of the reference grid that the working grid covers.
    reference_shape : of the reference grid.
    present : contrasts that are there.
    """

    array: Array
    brain: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]
    box: tuple[slice, slice, slice]
    reference_shape: tuple[int, int, int]
    present: tuple[Role, ...]

    def to_reference(self, maps: Array) -> Array:
        """Maps (class, slice, row, column) of the working grid on the reference grid; 0 outside."""
        rows, columns = (self.box[axis].stop - self.box[axis].start for axis in (1, 2))
        out = np.zeros((len(maps), *self.reference_shape), np.float32)
        out[(slice(None), *self.box)] = resize(maps, (rows, columns))
        return out


def network_input(
    contrasts: Mapping[Role, Array], brain: NDArray[np.bool_], spacing_mm: Sequence[float],
    *, channels: Sequence[Role] = CHANNELS,
) -> NetworkInput:
    """Scale, crop and resample the contrasts for the network.

    `contrasts` and `brain` are (slice, row, column) on the reference grid of spacing `spacing_mm`,
    NaN where a field of view ends. A channel whose contrast is missing is 0. Raises StepFailed on
    an empty brain mask or a contrast without signal in the brain.
    """
    if not brain.any():
        raise StepFailed("The brain mask is empty; lesions need a brain. Check the registration.")
    box = _bounding_box(brain, spacing_mm)
    inside = brain[box]
    size, working = _working_grid(inside.shape, spacing_mm)
    array = np.zeros((len(channels), *size), np.float32)
    for channel, role in enumerate(channels):
        if role in contrasts:
            scaled = scale_contrast(contrasts[role][box], inside, role, spacing_mm)
            array[channel] = resize(scaled[None], size[1:])[0]
    small = resize(inside[None].astype(np.float32), size[1:])[0] > 0.5
    present = tuple(role for role in channels if role in contrasts)
    shape = (brain.shape[0], brain.shape[1], brain.shape[2])
    return NetworkInput(array, small, working, box, shape, present)


def scale_contrast(
    image: Array, brain: NDArray[np.bool_], role: Role, spacing_mm: Sequence[float]
) -> Array:
    """One contrast on the network's scale, 0 outside the brain and where it is unknown.

    QSM: ppm from the brain's median, in units of 0.15 ppm, limited to 0.9 ppm. Others: divided by
    their local mean in the brain (coil shading drops out), minus 1, limited to -1..2.
    """
    known = brain & np.isfinite(image)
    values = image[known]
    if values.size == 0 or not np.any(values):
        raise StepFailed(
            f"The {role.value} series has no signal in the brain. Check its registration, "
            "or reject the series in app.yaml."
        )
    clean = np.where(known, image, 0).astype(np.float32)
    if role is Role.QSM:
        limited = np.clip(clean - np.float32(np.median(values)), -QSM_LIMIT_PPM, QSM_LIMIT_PPM)
        scaled: Array = limited / np.float32(QSM_SCALE_PPM)
    else:
        ratio = clean / _local_mean(clean, known, spacing_mm)
        scaled = np.asarray(np.clip(ratio, 0, 3) - 1, np.float32)
    return np.where(known, scaled, 0).astype(np.float32)


def resize(maps: Array, size: Sequence[int]) -> Array:
    """Maps (map, slice, row, column) with `size` rows and columns: bilinear, antialiased."""
    if maps.shape[-2:] == tuple(size):
        return maps
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(maps))
    out = torch.nn.functional.interpolate(
        tensor, size=tuple(size), mode="bilinear", align_corners=False, antialias=True
    )
    return np.asarray(out.numpy(), np.float32)


def _local_mean(image: Array, known: NDArray[np.bool_], spacing_mm: Sequence[float]) -> Array:
    """Gaussian mean over known voxels, computed on every fifth millimetre."""
    from scipy import ndimage

    strides = [max(1, round(5.0 / float(step))) for step in spacing_mm]
    coarse = tuple(slice(None, None, stride) for stride in strides)
    sigma = [BIAS_SIGMA_MM / (step * stride)
             for step, stride in zip(spacing_mm, strides, strict=True)]
    weight = ndimage.gaussian_filter(known[coarse].astype(np.float32), sigma, mode="constant")
    total = ndimage.gaussian_filter(image[coarse], sigma, mode="constant")
    whole = float(image[known].mean())
    local = np.maximum(total / np.maximum(weight, 1e-3), 0.1 * whole)
    mean: Array = np.where(weight > 1e-3, local, whole)
    factors = [full / part for full, part in zip(image.shape, mean.shape, strict=True)]
    return np.asarray(ndimage.zoom(mean, factors, order=1, mode="nearest"), np.float32)


def _bounding_box(
    brain: NDArray[np.bool_], spacing_mm: Sequence[float]
) -> tuple[slice, slice, slice]:
    edges = []
    for axis in range(3):
        filled = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = 0 if axis == 0 else round(MARGIN_MM / spacing_mm[axis])
        edges.append(slice(max(0, int(filled[0]) - margin),
                           min(brain.shape[axis], int(filled[-1]) + 1 + margin)))
    return edges[0], edges[1], edges[2]


def _working_grid(
    shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """Size and spacing of the working grid over a box of `shape`; slices are left alone."""
    size, working = [shape[0]], [float(spacing_mm[0])]
    for count, step in zip(shape[1:], spacing_mm[1:], strict=True):
        keep = 1 / TOLERANCE <= step / IN_PLANE_MM <= TOLERANCE
        size.append(count if keep else max(1, round(count * step / IN_PLANE_MM)))
        working.append(count * float(step) / size[-1])
    return (size[0], size[1], size[2]), (working[0], working[1], working[2])
