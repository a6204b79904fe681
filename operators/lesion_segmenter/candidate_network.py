"""The second stage's network: what a candidate is. Imported only where it is built: loads torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SEEN_MM = 24
"""Side of the cube that it looks at, of 1 mm voxels."""


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm3d(outputs),
        nn.LeakyReLU(0.01, inplace=True),
    )


class CandidateNet(nn.Module):
    """A small 3D classifier.

    Input (batch, contrasts + 3, 24, 24, 24): contrasts, lesion probability, candidate, brain (see
    `cubes`). Output (batch, classes), scores before softmax: 0 nothing, then `LesionClass`. Depth
    and widths are our choice.
    """

    def __init__(self, contrasts: int = 3, classes: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(contrasts + 3, 16), nn.MaxPool3d(2),
            _block(16, 32), _block(32, 32), nn.MaxPool3d(2),
            _block(32, 64), _block(64, 64), nn.MaxPool3d(2), _block(64, 96),
        )
        self.head = nn.Sequential(nn.Dropout(0.3), nn.Linear(2 * 96, classes))

    def forward(self, cube: Tensor) -> Tensor:
        seen = self.features(cube).flatten(2)
        scores: Tensor = self.head(torch.cat([seen.mean(dim=2), seen.amax(dim=2)], dim=1))
        return scores
