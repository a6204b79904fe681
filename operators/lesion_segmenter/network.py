"""The network: a deep 2.5D U-Net. Imported only where the network is built: it loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

LEVELS: tuple[int, ...] = (16, 24, 48, 64, 96, 128, 128)
"""Channels per resolution level. Seven levels after DEEPMIR's finding (Rashid et al., Sci Rep
2021;11:14124) that more levels than a usual U-Net help; the widths are our choice."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [
            nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.01, inplace=True),
        ]
    return nn.Sequential(*layers)


class LesionNet(nn.Module):
    """U-Net on a slice and its neighbours.

    Input (batch, contrasts * slices, row, column), contrast by contrast, each from the lower to the
    upper slice; rows and columns are multiples of `stride`. Output (batch, classes, row, column),
    scores before softmax, of the middle slice.

    Batch normalisation with statistics that training freezes half-way (see `training`): patch and
    whole slice then go through the same function, and it costs nothing at inference.
    """

    def __init__(
        self, contrasts: int = 3, slices: int = 3, classes: int = 5,
        levels: Sequence[int] = LEVELS,
    ) -> None:
        super().__init__()
        pairs = list(pairwise(levels))
        first = _block(contrasts * slices, levels[0])
        self.down = nn.ModuleList([first, *(_block(a, b) for a, b in pairs)])
        self.up = nn.ModuleList([_block(a + b, a) for a, b in reversed(pairs)])
        self.head = nn.Conv2d(levels[0], classes, 1)
        self.stride = 2 ** (len(levels) - 1)

    def forward(self, image: Tensor) -> Tensor:
        skips = [self.down[0](image)]
        for block in self.down[1:]:
            skips.append(block(nn.functional.max_pool2d(skips[-1], 2)))
        out = skips.pop()
        for block in self.up:
            out = nn.functional.interpolate(out, scale_factor=2.0, mode="nearest")
            out = block(torch.cat([skips.pop(), out], dim=1))
        scores: Tensor = self.head(out)
        return scores
