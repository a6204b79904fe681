"""The two looks at a head: a coarse one at all of it, and a fine one at the nuclei of a side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.processor import computes_bf16
from operators.region_segmenter import frames
from operators.resampling import Matrix, Shape, coordinates, sample

if TYPE_CHECKING:
    from highdicom import Volume
    from torch import Tensor, nn

    from operators.region_segmenter.bundle import RegionNetworks

Labels = NDArray[np.uint8]
Array = NDArray[np.float32]
Box = tuple[slice, slice, slice]
MARGIN_MM = 20.0
"""Own choice: how far beyond the brain mask it was given the first look goes."""
_STRIDE = 16
"""Four halvings: the head network's grid is a multiple of it, and at least twice as large."""


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Voxels ((channel,) slice, row, column) with their affine to LPS mm."""

    array: NDArray
    affine: Matrix

    @property
    def shape(self) -> Shape:
        z, y, x = self.array.shape[-3:]
        return z, y, x

    def covered(self, shape: Shape, affine: Matrix) -> Box:
        """The part of another grid that this one may reach; empty slices where it reaches none."""
        ends = [(0, n - 1) for n in self.shape]
        corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3)
        to_index = np.linalg.inv(affine) @ self.affine
        index = corners @ to_index[:3, :3].T + to_index[:3, 3]
        low = np.clip(np.floor(index.min(0)), 0, shape).astype(int)
        high = np.clip(np.ceil(index.max(0)) + 1, low, shape).astype(int)
        return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])

    def at(self, shape: Shape, affine: Matrix, *, nearest: bool) -> Array:
        """On another grid of the same space; 0 outside."""
        where = coordinates(shape, affine, self.shape, self.affine)
        return sample(self.array, where, nearest=nearest, border=False)


def first_look(image: Placed, where: NDArray[np.float64], networks: RegionNetworks) -> Placed:
    """Head classes (largest body of them) in half the head network's voxels, about the brain.

    It is looked for in `where`: lowest and highest corner, LPS mm.
    """
    import torch
    from scipy.ndimage import find_objects

    shape, affine = _head_grid(where)
    scores = _seen(networks.head, _shrunk(image, frames.HEAD_MM).at(shape, affine, nearest=False))
    coarse = _largest(scores.max(0).indices.numpy().astype(np.uint8))
    seen = find_objects((coarse > 0).astype(np.uint8))
    if seen:
        z, y, x = (slice(max(0, s.start - 2), s.stop + 2) for s in seen[0])
        scores, affine = scores[:, z, y, x], part_of((z, y, x), affine)[1]
    fine = torch.nn.functional.interpolate(
        scores[None], scale_factor=2.0, mode="trilinear", align_corners=False)[0]
    halved = affine.copy()
    halved[:3, :3] /= 2
    halved[:3, 3] -= halved[:3, :3] @ np.full(3, 0.5)
    return Placed(_largest(fine.max(0).indices.numpy().astype(np.uint8)), halved)


def second_look(
    image: Placed, to_atlas: Matrix, networks: RegionNetworks, *, right: bool
) -> Placed:
    """Probabilities of nucleus classes on one side's grid, where the head lies in the patient."""
    affine = np.linalg.inv(to_atlas) @ frames.nuclei_affine(right=right)
    near = _shrunk(image, frames.NUCLEI_MM)
    scores = _seen(networks.nuclei, near.at(frames.NUCLEI_SHAPE, affine, nearest=False))
    return Placed(scores.softmax(0).numpy(), affine)


def _seen(network: nn.Module, image: Array) -> Tensor:
    """Scores (class, ...) of an image; in bf16, as they were learned, where the CPU computes it."""
    import torch

    from operators.region_segmenter.network import scaled

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=computes_bf16()):
        scores: Tensor = network(scaled(torch.from_numpy(image))[None, None])[0]
    return scores.float()


def look_where(brain: Volume) -> NDArray[np.float64]:
    """Lowest and highest corner, LPS mm, of the brain and its margin; of the image without one."""
    inside = np.asarray(brain.array) > 0
    ends = []
    for axis in range(3):
        along = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        ends.append((along[0], along[-1]) if len(along) else (0, inside.shape[axis] - 1))
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), -1).reshape(-1, 3)
    points = corners @ np.asarray(brain.affine)[:3, :3].T + np.asarray(brain.affine)[:3, 3]
    margin = MARGIN_MM if inside.any() else 0.0
    return np.stack([points.min(0) - margin, points.max(0) + margin])


def _head_grid(box: NDArray[np.float64]) -> tuple[Shape, Matrix]:
    extent = (box[1] - box[0])[::-1]
    count = [max(2 * _STRIDE, int(np.ceil(e / frames.HEAD_MM / _STRIDE)) * _STRIDE) for e in extent]
    shape: Shape = (count[0], count[1], count[2])
    centre = box.mean(axis=0) + 0.11  # so that no voxel of an image lies just between two of it
    return shape, frames.grid_affine(frames.HEAD_MM, shape, centre.tolist())


def _shrunk(image: Placed, spacing_mm: float) -> Placed:
    """Means of voxels that are much smaller than `spacing_mm`."""
    import torch

    steps = np.linalg.norm(image.affine[:3, :3], axis=0)
    most = np.maximum(1, np.array(image.shape) // 2)
    factors = np.clip(np.rint(0.6 * spacing_mm / steps), 1, most).astype(int)
    if (factors == 1).all():
        return image
    array = torch.nn.functional.avg_pool3d(
        torch.from_numpy(image.array)[None], tuple(int(f) for f in factors))[0]
    affine = image.affine.copy()
    affine[:3, :3] = affine[:3, :3] * factors
    affine[:3, 3] += image.affine[:3, :3] @ ((factors - 1) / 2)
    return Placed(array.numpy(), affine)


def _largest(labels: Labels) -> Labels:
    from scipy.ndimage import label

    parts, count = label(labels > 0)
    if count > 1:
        sizes = np.bincount(parts.ravel())
        sizes[0] = 0
        labels = np.where(parts == sizes.argmax(), labels, 0).astype(np.uint8)
    return labels


def part_of(box: Box, affine: Matrix) -> tuple[Shape, Matrix]:
    """Shape and affine of a part of a grid."""
    inner = affine.copy()
    inner[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    sizes = [s.stop - s.start for s in box]
    return (sizes[0], sizes[1], sizes[2]), inner
