"""Scans parted for cross-validation: no head and no subject on two sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.evaluate.tree import Scan
from operators.errors import InputError

VALIDATION_SHARE = 0.2
"""Of a fold's training scans; DEEPMIR's public code keeps 20 or 25 %."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Names of scans to learn from, to choose weights and operating points on, and to test on."""

    number: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def part(scans: Sequence[Scan], folds: int, seed: int) -> list[Fold]:
    """`folds` folds of whole anatomies, about as many scans in each.

    InputError where there are too few anatomies (subjects, where the tree names none).
    """
    groups: dict[str, list[str]] = {}
    for scan in scans:
        groups.setdefault(scan.anatomy, []).append(scan.name)
    if len(groups) < max(folds, 3) or folds < 2:
        raise InputError(
            f"{len(groups)} anatomies cannot be parted into {folds} folds with training, "
            "validation and test apart: at least 2 folds, and 3 anatomies, are wanted. Give more "
            "scans, or set --folds."
        )
    names = sorted(groups)
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    order.sort(key=lambda name: -len(groups[name]))
    parts: list[list[str]] = [[] for _ in range(folds)]
    for name in order:
        min(parts, key=lambda own: sum(len(groups[one]) for one in own)).append(name)
    return [_fold(number, own, order, groups, seed) for number, own in enumerate(parts)]


def _fold(
    number: int, test: Sequence[str], order: Sequence[str], groups: dict[str, list[str]], seed: int
) -> Fold:
    left = [name for name in order if name not in test]
    left = [left[i] for i in np.random.default_rng([seed, number]).permutation(len(left))]
    wanted = VALIDATION_SHARE * sum(len(groups[name]) for name in left)
    held = [left.pop()]
    while len(left) > 1 and sum(len(groups[name]) for name in held) < wanted:
        held.append(left.pop())

    def scans(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(scan for name in names for scan in groups[name]))
    return Fold(number, scans(left), scans(held), scans(test))
