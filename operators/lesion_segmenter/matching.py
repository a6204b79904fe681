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


def best_operating_point(
    candidates: Sequence[Candidate], positives: int, *, least: float = 0.5,
    most_false: float = np.inf,
) -> tuple[float, float]:
    """The probability with the best F1 and that F1; (`least`, 0) where there is none.

    Points with more than `most_false` false candidates do not count.
    The threshold lies midway to the next candidate below, never under `least`.
    """
    ranked = sorted(candidates, key=lambda one: -one.probability)
    hits = np.cumsum([one.true for one in ranked])
    taken = np.arange(1, len(ranked) + 1)
    f1 = 2 * hits / np.maximum(taken + positives, 1) * (taken - hits <= most_false)
    if f1.size == 0 or f1.max() == 0:
        return least, 0.0
    best = int(np.flatnonzero(f1 == f1.max())[-1])
    below = ranked[best + 1].probability if best + 1 < len(ranked) else least
    return max(least, (ranked[best].probability + below) / 2), float(f1[best])
