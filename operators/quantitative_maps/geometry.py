"""Where B0 points in a volume, and the part of it that is worth computing on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

Shape = tuple[int, int, int]
Vector = tuple[float, float, float]


def b0_direction(volume: Volume) -> Vector:
    """Unit vector of B0 along the volume's axes (slice, row, column).

    B0 is taken along patient z, the bore of a cylindrical magnet with the patient lying in it.
    """
    axes = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    slice_, row, column = (float(value) for value in axes[2])
    return (slice_, row, column)


def spacing_mm(volume: Volume) -> Vector:
    """Voxel edges along the volume's axes, mm."""
    slice_, row, column = (float(value) for value in volume.spacing)
    return (slice_, row, column)


def inside_mm(mask: NDArray[np.bool_], spacing: Vector) -> NDArray[np.float32]:
    """Distance of each voxel of `mask` to the outside, mm; 0 outside."""
    from scipy.ndimage import distance_transform_edt

    return np.asarray(distance_transform_edt(mask, spacing), np.float32)


def grown(mask: NDArray[np.bool_], spacing: Vector, by_mm: float) -> NDArray[np.bool_]:
    """`mask` and all within `by_mm` of it."""
    return np.asarray(inside_mm(~mask, spacing) <= by_mm)


@dataclass(frozen=True, slots=True)
class Window:
    """A mask's bounding box on a zero-padded grid of a size that FFTs fast."""

    inside: tuple[slice, slice, slice]
    padded: tuple[slice, slice, slice]
    shape: Shape
    full: Shape

    def cut(self, array: NDArray) -> NDArray:
        """`array` (full grid) inside the box, zeros around it."""
        out = np.zeros(self.shape, array.dtype)
        out[self.padded] = array[self.inside]
        return out

    def back(self, array: NDArray) -> NDArray:
        """`array` (padded grid) on the full grid, zero outside the box."""
        out = np.zeros(self.full, array.dtype)
        out[self.inside] = array[self.padded]
        return out


def window(mask: NDArray[np.bool_], spacing: Vector, margin_mm: float) -> Window:
    """Bounding box of a mask that is not empty, with at least `margin_mm` of zeros around it."""
    from scipy.fft import next_fast_len
    from scipy.ndimage import find_objects

    box = find_objects(mask.astype(np.uint8))[0]
    pads = [int(np.ceil(margin_mm / step)) for step in spacing]
    edges = [part.stop - part.start for part in box]
    sizes = [next_fast_len(n + 2 * p, real=True) for n, p in zip(edges, pads, strict=True)]
    padded = [slice(p, p + n) for n, p in zip(edges, pads, strict=True)]
    return Window(
        inside=(box[0], box[1], box[2]),
        padded=(padded[0], padded[1], padded[2]),
        shape=(sizes[0], sizes[1], sizes[2]),
        full=(mask.shape[0], mask.shape[1], mask.shape[2]),
    )


def frequencies(shape: Shape, spacing: Vector) -> tuple[NDArray, NDArray, NDArray]:
    """Spatial frequencies, cycles per mm, of a real FFT on that grid, ready to broadcast."""
    from scipy.fft import fftfreq, rfftfreq

    first = fftfreq(shape[0], spacing[0]).astype(np.float32)[:, None, None]
    second = fftfreq(shape[1], spacing[1]).astype(np.float32)[None, :, None]
    third = rfftfreq(shape[2], spacing[2]).astype(np.float32)[None, None, :]
    return first, second, third
