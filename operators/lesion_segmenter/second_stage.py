"""The second stage: a network that looks at each candidate once more, in 3D."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.lesion_segmenter.cubes import SIDE_MM

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float32]
_BATCH = 32


def middle(cubes: NDArray, side: int) -> Array:
    """The inner `side` mm of cubes, as the network sees them when nothing is varied."""
    edge = (SIDE_MM - side) // 2
    inner = slice(edge, edge + side)
    return np.ascontiguousarray(cubes[..., inner, inner, inner], np.float32)


def classify(network: nn.Module, cubes: NDArray[np.float16]) -> Array:
    """Probabilities (candidate, class) of cubes: 0 nothing, then the numbers of `LesionClass`.

    The mean over the cube and its mirror images: which side is left says nothing.
    """
    import torch

    from operators.lesion_segmenter.candidate_network import SEEN_MM

    network.eval()
    found = []
    with torch.inference_mode():
        for first in range(0, len(cubes), _BATCH):
            seen = torch.from_numpy(middle(cubes[first:first + _BATCH], SEEN_MM))
            views = [seen.flip(axes) if axes else seen for axes in ((), (2,), (3,), (4,))]
            found.append(sum(network(view).softmax(dim=1) for view in views).numpy() / len(views))
    if not found:
        return np.zeros((0, 0), np.float32)
    return np.asarray(np.concatenate(found), np.float32)
