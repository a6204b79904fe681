"""Which predicted lesion is which true one, and the scores that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def match(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> dict[int, int]:
    """Pairs predicted -> true of two label maps on one grid.

    Two lesions match when they share a voxel, one to one, the largest overlap first (ties: lower
    true number, then lower predicted number).
    """
    both = (truth > 0) & (predicted > 0)
    pairs, counts = np.unique(
        np.stack([truth[both], predicted[both]]).astype(np.int64), axis=1, return_counts=True
    )
    ranked = sorted(zip(-counts, *pairs, strict=True))
    out: dict[int, int] = {}
    taken: set[int] = set()
    for _, true, found in ranked:
        if int(found) not in out and int(true) not in taken:
            out[int(found)] = int(true)
            taken.add(int(true))
    return out


@dataclass(frozen=True, slots=True)
class Candidate:
    """A predicted lesion: its probability and whether it is a true one of its class."""

    probability: float
    true: bool


def score_curve(
    candidates: Sequence[Candidate], positives: int, beta: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities, falling, and the F-beta score of taking every candidate from there up."""
    ranked = sorted(candidates, key=lambda one: -one.probability)
    hits = np.cumsum([one.true for one in ranked], dtype=float)
    taken = np.arange(1, len(ranked) + 1)
    return (np.array([one.probability for one in ranked]),
            (1 + beta**2) * hits / np.maximum(taken + beta**2 * positives, 1))


def best_operating_point(
    candidates: Sequence[Candidate], positives: int, *, least: float = 0.5, beta: float = 1.0,
    most_false: float = np.inf,
) -> tuple[float, float]:
    """The probability with the best F-beta and that score; (`least`, 0) where nothing is true.

    `beta` 1 is F1; 2 counts a missed lesion for four times as much as a false one. Points with more
    than `most_false` false candidates do not count.
    The threshold lies midway to the next candidate below, never under `least`.
    """
    probabilities, score = score_curve(candidates, positives, beta)
    ranked = sorted(candidates, key=lambda one: -one.probability)
    score = score * (np.cumsum([not one.true for one in ranked]) <= most_false)
    if score.size == 0 or score.max() == 0:
        return least, 0.0
    best = int(np.flatnonzero(score == score.max())[-1])
    below = probabilities[best + 1] if best + 1 < len(probabilities) else least
    return max(least, float(probabilities[best] + below) / 2), float(score[best])
