"""The two networks: MONAI's BasicUNet. Imported only where they are built: it loads torch."""

from __future__ import annotations

import torch
from monai.networks.nets.basic_unet import BasicUNet
from torch import Tensor

from operators.region_segmenter.classes import HeadClass, NucleusClass

WIDTHS = (16, 32, 64, 96, 128, 16)
"""Channels per level, and of the last one (our choice: 2.6 million weights)."""


def _unet(classes: int) -> BasicUNet:
    return BasicUNet(3, 1, classes, WIDTHS, norm=("instance", {"affine": True}))


def head_network() -> BasicUNet:
    """(batch, 1, slice, row, column) to scores of `HeadClass`, before softmax."""
    return _unet(len(HeadClass))


def nuclei_network() -> BasicUNet:
    """(batch, 1, slice, row, column) to scores of `NucleusClass`, before softmax."""
    return _unet(len(NucleusClass))


def scaled(image: Tensor) -> Tensor:
    """Brightness by its 99th percentile above zero, cut at 0 and 2; what is unknown is 0."""
    image = torch.nan_to_num(image, posinf=0.0, neginf=0.0)
    values = image[image > 0]
    if values.numel() == 0:
        return torch.zeros_like(image)
    rank = max(1, round(0.99 * values.numel()))
    return (image / values.kthvalue(rank).values).clamp(0, 2)
