"""Deep features of regions: what the network's last layer makes of their crops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from operators.lnc_scorer.network import LncNet

Array = NDArray[np.float32]
FEATURES = 512
"""Of a region."""
_BATCH = 12


def deep_features(network: LncNet, crops: Array) -> Array:
    """(crop, 512) of crops (crop, 2, slice, row, column)."""
    import torch

    network.eval()
    out = []
    with torch.inference_mode():
        for first in range(0, len(crops), _BATCH):
            out.append(network.features(torch.from_numpy(crops[first:first + _BATCH])).numpy())
    return np.asarray(np.concatenate(out), np.float32)


def of_subject(deep: NDArray) -> NDArray:
    """One row of a subject: both sides' mean of (region, side, 512), the regions side by side."""
    return np.asarray(deep.mean(axis=1).ravel())
