"""Where in the T1w a model's answer comes from: Grad-CAM (Selvaraju et al., ICCV 2017), by MONAI.

The maps of the third block are cells of 8 mm: one says in which part of a region the
evidence lies, not in which voxel. bf16, where the CPU computes in it, is precise enough for that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import structure
from operators.lnc_scorer.crops import SIDES, cube
from operators.processor import computes_bf16

if TYPE_CHECKING:
    from highdicom import Volume

    from operators.lnc_scorer.network import LncNet

LAYER = "body.layer3"


def saliency_maps(
    network: LncNet, crops: NDArray[np.float32], wanted: Mapping[str, NDArray[np.float64]],
    labels: Volume, names: Sequence[str],
) -> dict[str, Volume]:
    """Per answer, how much a place raises it: 0 to 1, the largest being 1; on the grid of `labels`.

    `crops` (region, side, 2, z, y, x) of the regions `names`; `wanted`: per answer (region,
    feature) weights of it, one row per region whose evidence counts.
    """
    width = next(iter(wanted.values())).shape[1] // len(names) if wanted else 0
    out = {}
    for name, rows in wanted.items():
        cubes = [_cam(network, crops[n], rows[n, n * width:(n + 1) * width])
                 for n in range(len(names))]
        whole: NDArray[np.float32] = np.zeros(labels.spatial_shape, np.float32)
        for own, region in zip(cubes, names, strict=True):
            for cam, side in zip(own, SIDES, strict=True):
                place = cube(labels, structure(region, side))
                if place is not None:
                    _paste(whole, cam, np.linalg.inv(place) @ labels.affine)
        largest = whole.max()
        out[name] = labels.with_array(whole / largest if largest > 0 else whole)
    return out


def _cam(
    network: LncNet, crops: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(crop, z, y, x), 0 or more."""
    import torch
    from monai.visualize import GradCAM
    from torch import nn

    class Answer(nn.Module):
        """One number per crop."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = network

        def forward(self, seen: torch.Tensor) -> torch.Tensor:
            row = torch.from_numpy(weights.astype(np.float32))
            return (self.inner.features(seen) @ row)[:, None]

    look = GradCAM(nn_module=Answer().eval(), target_layers=f"inner.{LAYER}",
                   postprocessing=lambda cam: cam)
    with torch.autocast("cpu", torch.bfloat16, enabled=computes_bf16()):
        maps = [torch.as_tensor(look(torch.from_numpy(one[None]), class_idx=0)).detach()[0, 0]
                .float().numpy() for one in crops]
    return np.asarray(np.maximum(np.stack(maps), 0), np.float32)


def _paste(
    whole: NDArray[np.float32], cam: NDArray[np.float32], matrix: NDArray[np.float64]
) -> None:
    """The larger of what is there and the cube; `matrix` from a voxel of `whole` to the cube's."""
    from scipy import ndimage

    inverse = np.linalg.inv(matrix)
    corners = np.array(np.meshgrid(*[(0, side - 1) for side in cam.shape])).reshape(3, -1)
    points = inverse[:3, :3] @ corners + inverse[:3, 3:]
    low = np.maximum(np.floor(points.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=1)).astype(int) + 1, whole.shape)
    if (high <= low).any():
        return
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    offset = matrix[:3, :3] @ low + matrix[:3, 3]
    own = ndimage.affine_transform(
        cam, matrix[:3, :3], offset, output_shape=tuple(high - low), order=1, cval=0.0)
    np.maximum(whole[box], own, out=whole[box])
