"""The network: MONAI's 3D ResNet18. Imported only where it is built: it loads torch."""

from __future__ import annotations

import torch
from monai.networks.nets.resnet import ResNet, ResNetBlock
from torch import Tensor, nn

from operators.lnc_scorer.features import FEATURES

WIDTHS = (32, 64, 128, 256)
"""Half of ResNet18's, so that the weights stay small; mean and maximum of the last give 512."""


class LncNet(nn.Module):
    """Deep features of a region, and what they say of its mean FA and CBF.

    Input (batch, 2, 40, 40, 40): T1w and mask, see `crops`. `features` gives (batch, 512); the call
    itself (batch, region, 2): FA and CBF, standardised as in training, by each region's head.
    """

    def __init__(self, regions: int = 3) -> None:
        super().__init__()
        self.body = ResNet(
            ResNetBlock, [2, 2, 2, 2], list(WIDTHS), spatial_dims=3, n_input_channels=2,
            conv1_t_size=5, conv1_t_stride=2, no_max_pool=True, feed_forward=False)
        self.head = nn.Linear(FEATURES, 2 * regions)

    def features(self, crops: Tensor) -> Tensor:
        body = self.body
        seen = body.act(body.bn1(body.conv1(crops)))
        for layer in (body.layer1, body.layer2, body.layer3, body.layer4):
            seen = layer(seen)
        whole = seen.flatten(2)
        return torch.cat([whole.mean(dim=2), whole.amax(dim=2)], dim=1)

    def forward(self, crops: Tensor) -> Tensor:
        both: Tensor = self.head(self.features(crops)).unflatten(1, (-1, 2))
        return both
