"""The two networks: one small U-Net in 3D. Imported only where they are built: it loads torch.

Not MONAI's BasicUNet, for the CPU's sake: nearest neighbours in place of transposed convolutions,
and normalisation in the form that torch computes faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from operators.region_segmenter.classes import HeadClass, NucleusClass

HEAD_LEVELS: tuple[int, ...] = (12, 24, 48, 96, 128)
NUCLEI_LEVELS: tuple[int, ...] = (16, 32, 64, 96, 128)
"""Channels per resolution level (our choice)."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv3d(channels, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(outputs, outputs),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


class RegionNet(nn.Module):
    """U-Net. Input (batch, 1, slice, row, column), sizes multiples of 16, as of `scaled`; output
    (batch, classes, slice, row, column), scores before softmax.

    Every channel of an image is normalised by itself, as contrasts differ widely: a group of one
    channel is instance normalisation, in the form that torch computes faster.
    """

    def __init__(self, classes: int, levels: Sequence[int]) -> None:
        super().__init__()
        pairs = list(pairwise(levels))
        self.down = nn.ModuleList([_block(1, levels[0]), *(_block(a, b) for a, b in pairs)])
        self.up = nn.ModuleList([_block(a + b, a) for a, b in reversed(pairs)])
        self.head = nn.Conv3d(levels[0], classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        skips = [self.down[0](image)]
        for block in self.down[1:]:
            skips.append(block(nn.functional.max_pool3d(skips[-1], 2)))
        out = skips.pop()
        for block in self.up:
            out = nn.functional.interpolate(out, scale_factor=2.0, mode="nearest")
            out = block(torch.cat([skips.pop(), out], dim=1))
        scores: Tensor = self.head(out)
        return scores


def head_network() -> RegionNet:
    """Tells `HeadClass`."""
    return RegionNet(len(HeadClass), HEAD_LEVELS)


def nuclei_network() -> RegionNet:
    """Tells `NucleusClass`."""
    return RegionNet(len(NucleusClass), NUCLEI_LEVELS)


def scaled(image: Tensor) -> Tensor:
    """Brightness by its 99th percentile above zero, cut at 0 and 2; what is unknown is 0."""
    image = torch.nan_to_num(image, posinf=0.0, neginf=0.0)
    values = image[image > 0]
    if values.numel() == 0:
        return torch.zeros_like(image)
    rank = max(1, round(0.99 * values.numel()))
    return (image / values.kthvalue(rank).values).clamp(0, 2)
