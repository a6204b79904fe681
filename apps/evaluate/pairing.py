"""Which listed lesion is which known one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from operators.labels import LesionClass
from operators.lesion_segmenter.components import LESION_CLASSES
from operators.lesion_segmenter.matching import match
from operators.types import Lesion

Labels = NDArray[np.integer]
Point = NDArray[np.float64]
SCORED = LESION_CLASSES
NEAR_MM = 5.0
"""Centres this close match by the secondary criterion, as in the evaluation of MicrobleedNet."""


def pair(
    truth: Labels, labels: Labels, lesions: Sequence[Lesion], kinds: Mapping[int, LesionClass]
) -> dict[int, int]:
    """Listed -> known, by shared voxels, one to one, the largest overlap first.

    First within each class, then, for confusions, whatever is left. Both label maps are on one
    grid; `kinds` gives the class of each number in `truth`.
    """
    pairs: dict[int, int] = {}
    for kind in SCORED:
        own = [one.index for one in lesions if one.kind is kind]
        there = [number for number, true in kinds.items() if true is kind]
        pairs |= match(_only(truth, there), _only(labels, own))
    left = [one.index for one in lesions if one.index not in pairs]
    free = set(kinds) - set(pairs.values())
    return pairs | match(_only(truth, free), _only(labels, left))


def pair_near(
    known: Mapping[int, tuple[LesionClass, Point]], listed: Mapping[int, tuple[LesionClass, Point]]
) -> dict[int, int]:
    """Listed -> known of the same class whose centres lie within `NEAR_MM`, nearest first.

    One to one. Centres in millimetres; only what overlap left unmatched belongs in here.
    """
    distances = sorted(
        (float(np.linalg.norm(here - there)), number, true)
        for number, (kind, here) in listed.items()
        for true, (of, there) in known.items() if of is kind
    )
    pairs: dict[int, int] = {}
    for distance, number, true in distances:
        if distance <= NEAR_MM and number not in pairs and true not in pairs.values():
            pairs[number] = true
    return pairs


def dice(
    truth: Labels, labels: Labels, known: Iterable[int], listed: Iterable[int]
) -> float | None:
    """Dice of the voxels of `known` in `truth` and of `listed` in `labels`; None: both empty."""
    one, other = _only(truth, list(known)) > 0, _only(labels, list(listed)) > 0
    sizes = int(one.sum()) + int(other.sum())
    return 2 * int((one & other).sum()) / sizes if sizes else None


def _only(labels: Labels, numbers: Collection[int]) -> NDArray[np.int64]:
    """The label map with every other number than `numbers` at 0."""
    table = np.zeros(int(labels.max(initial=0)) + 1, np.int64)
    kept = [number for number in numbers if number < table.size]
    table[kept] = kept
    return np.asarray(table[labels])
