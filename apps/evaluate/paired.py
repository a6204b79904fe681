"""Two models on the same subjects: the difference of a figure, by a paired bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from apps.evaluate.examination import Examination
from apps.evaluate.statistics import froc, tally
from operators.errors import InputError
from operators.labels import LesionClass

Pairs = Sequence[tuple[Examination, Examination]]
Figures = tuple[float, float]
ROUNDS = 2000


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two models, and the second minus the first with its 95 % interval.

    `undefined` is the share of rounds in which the figure could not be told; they are left out.
    """

    first: float
    second: float
    value: float
    low: float
    high: float
    undefined: float


def paired_bootstrap(
    first: Sequence[Examination], second: Sequence[Examination],
    measure: Callable[[Pairs], Figures], *, seed: int, rounds: int = ROUNDS,
) -> Difference:
    """Draw subjects with replacement, `rounds` times; percentiles of the difference.

    `measure` gives the figure of both models on pairs of the same subjects. InputError where the
    subjects are not the same.
    """
    by_name = {one.subject: one for one in second}
    if sorted(by_name) != sorted(one.subject for one in first):
        raise InputError("Two models are compared on different subjects. Examine the same ones.")
    pairs = [(one, by_name[one.subject]) for one in first]
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in range(rounds):
        one, other = measure([pairs[i] for i in generator.integers(len(pairs), size=len(pairs))])
        drawn.append(other - one)
    known = np.array(drawn)[np.isfinite(drawn)]
    low, high = np.percentile(known, (2.5, 97.5)) if known.size else (math.nan, math.nan)
    one, other = measure(pairs)
    return Difference(one, other, other - one, float(low), float(high), 1 - known.size / rounds)


def precision_at(kind: LesionClass, sensitivity: float) -> Callable[[Pairs], Figures]:
    """Precision of both over all lesions, each at its highest probability that reaches
    `sensitivity`, or, where one never does, what both reach; NaN where that is nothing.

    Give candidates, which go far down.
    """
    def measure(pairs: Pairs) -> Figures:
        curves = [froc(side, kind) for side in zip(*pairs, strict=True)]
        if not all(curves):
            return math.nan, math.nan
        wanted = min(sensitivity, *(curve[-1].sensitivity for curve in curves))
        if wanted == 0:
            return math.nan, math.nan
        first, second = (next((one.precision for one in curve if one.sensitivity >= wanted),
                              math.nan) for curve in curves)
        return first, second
    return measure


def false_per_scan(kind: LesionClass) -> Callable[[Pairs], Figures]:
    """False positives per scan of both."""
    def measure(pairs: Pairs) -> Figures:
        first, second = (sum(tally(one, kind).false for one in side) / len(side)
                         for side in zip(*pairs, strict=True))
        return first, second
    return measure
