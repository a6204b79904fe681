"""The training loss. Imported only in training: it loads torch."""

from __future__ import annotations

import torch
from torch import Tensor

CLASS_WEIGHTS = (1.0, 3.0, 3.0, 3.0, 1.5)
"""Cross-entropy weights of background, microbleed, iron, calcification, vessel (our choice)."""
FALSE_POSITIVE, FALSE_NEGATIVE = 0.4, 0.6
"""Tversky weights (Salehi et al., MLMI 2017 use 0.3 and 0.7; ours lean less to recall)."""


def lesion_loss(scores: Tensor, target: Tensor, emphasis: Tensor) -> Tensor:
    """Cross-entropy plus Tversky loss over the batch.

    `scores` (batch, class, row, column) before softmax, `target` (batch, row, column) class
    numbers, `emphasis` of the same shape: what each pixel counts in the cross-entropy besides its
    class. The Tversky part skips background and classes the batch does not hold.
    """
    weights = torch.tensor(CLASS_WEIGHTS, device=scores.device)[target] * emphasis
    each = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    entropy = (each * weights).sum() / weights.sum()
    probability = scores.softmax(dim=1)
    truth = torch.nn.functional.one_hot(target, scores.shape[1]).permute(0, 3, 1, 2).float()
    axes = (0, 2, 3)
    hits = (probability * truth).sum(axes)
    wrong = (probability * (1 - truth)).sum(axes)
    missed = ((1 - probability) * truth).sum(axes)
    index = (hits + 1) / (hits + FALSE_POSITIVE * wrong + FALSE_NEGATIVE * missed + 1)
    held = truth.sum(axes) > 0
    held[0] = False
    tversky = (1 - index[held]).mean() if held.any() else scores.new_zeros(())
    return entropy + tversky
