"""Figures of examinations: sensitivity, precision, agreement, FROC, calibration, confusion.

A listed lesion is a hit when it matches a known one of its own class; all else listed is a false
positive. Intervals are 95 %. NaN stands for what the scans cannot say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from apps.evaluate.examination import Examination, Found, Known
from apps.evaluate.pairing import SCORED
from operators.labels import LesionClass

K = TypeVar("K")
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Ratio:
    """`part` of `whole`, over all scans together."""

    part: int
    whole: int

    @property
    def value(self) -> float:
        return self.part / self.whole if self.whole else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval (Wilson, J Am Stat Assoc 1927;22:209)."""
        from scipy.stats import binomtest

        if not self.whole:
            return math.nan, math.nan
        low, high = binomtest(self.part, self.whole).proportion_ci(LEVEL, method="wilson")
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean over `count` scans with its standard error and Student's interval."""

    value: float
    sem: float
    low: float
    high: float
    count: int


def mean(values: Sequence[float]) -> Mean:
    """Mean of the values, of which none is NaN; without a spread below two of them."""
    from scipy.stats import t

    count = len(values)
    if count == 0:
        return Mean(math.nan, math.nan, math.nan, math.nan, 0)
    centre = float(np.mean(values))
    if count == 1:
        return Mean(centre, math.nan, math.nan, math.nan, 1)
    sem = float(np.std(values, ddof=1)) / math.sqrt(count)
    half = float(t.ppf((1 + LEVEL) / 2, count - 1)) * sem
    return Mean(centre, sem, centre - half, centre + half, count)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Listed against known, per scan: Pearson's r; mean difference, limits of agreement.

    Differences are listed minus known; limits are 1.96 standard deviations away (Bland and Altman,
    Lancet 1986;327:307).
    """

    pearson: float
    difference: float
    low: float
    high: float


def agreement(known: Sequence[float], listed: Sequence[float]) -> Agreement:
    """Agreement of two measurements, one pair per scan."""
    first, second = np.asarray(known, float), np.asarray(listed, float)
    if len(first) < 2:
        return Agreement(math.nan, math.nan, math.nan, math.nan)
    spread = bool(first.std() > 0 and second.std() > 0)
    pearson = float(np.corrcoef(first, second)[0, 1]) if spread else math.nan
    apart = second - first
    centre, half = float(apart.mean()), 1.96 * float(apart.std(ddof=1))
    return Agreement(pearson, centre, centre - half, centre + half)


@dataclass(frozen=True, slots=True)
class Tally:
    """One class in one scan. `near`: listed lesions that match by the centres' distance alone."""

    known: int
    listed: int
    hits: int
    near: int
    known_mm3: float
    listed_mm3: float

    @property
    def false(self) -> int:
        return self.listed - self.hits


def tally(one: Examination, kind: LesionClass) -> Tally:
    """Count one class in one scan."""
    known = [each for each in one.known if each.kind is kind]
    listed = [each for each in one.found if each.kind is kind]
    return Tally(len(known), len(listed), sum(each.truth is kind for each in listed),
                 sum(each.near for each in listed), sum(each.volume_mm3 for each in known),
                 sum(each.volume_mm3 for each in listed))


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """All of one class. `..._mean` are averages over scans, the plain ones over all lesions.

    Sensitivity is averaged over scans with a known lesion, precision over scans with a listed one,
    Dice over scans with a known one. `near_...` also take matches by centre distance. `free_scans`
    have no known lesion of the class.
    """

    scans: int
    sensitivity: Ratio
    precision: Ratio
    near_sensitivity: Ratio
    near_precision: Ratio
    sensitivity_mean: Mean
    precision_mean: Mean
    false_per_scan: float
    free_scans: int
    false_per_free_scan: float
    counts: Agreement
    volumes_mm3: Agreement
    dice: Mean

    @property
    def f1(self) -> float:
        """Harmonic mean of sensitivity and precision over all lesions."""
        total = self.sensitivity.whole + self.precision.whole
        return 2 * self.sensitivity.part / total if total else math.nan


def class_figures(examinations: Sequence[Examination], kind: LesionClass) -> ClassFigures:
    """The figures of one class."""
    tallies = [tally(one, kind) for one in examinations]
    known, listed, hits, near = (sum(getattr(one, name) for one in tallies)
                                 for name in ("known", "listed", "hits", "near"))
    free = [one.false for one in tallies if not one.known]
    return ClassFigures(
        scans=len(tallies),
        sensitivity=Ratio(hits, known), precision=Ratio(hits, listed),
        near_sensitivity=Ratio(hits + near, known), near_precision=Ratio(hits + near, listed),
        sensitivity_mean=mean([one.hits / one.known for one in tallies if one.known]),
        precision_mean=mean([one.hits / one.listed for one in tallies if one.listed]),
        false_per_scan=_share(listed - hits, len(tallies)),
        free_scans=len(free), false_per_free_scan=_share(sum(free), len(free)),
        counts=agreement([one.known for one in tallies], [one.listed for one in tallies]),
        volumes_mm3=agreement([one.known_mm3 for one in tallies],
                              [one.listed_mm3 for one in tallies]),
        dice=mean([one.dice.get(kind, 0.0) for one in examinations
                   if any(each.kind is kind for each in one.known)]),
    )


@dataclass(frozen=True, slots=True)
class Point:
    """What is listed at and above `probability`."""

    probability: float
    sensitivity: float
    precision: float
    false_per_scan: float


def froc(examinations: Sequence[Examination], kind: LesionClass) -> list[Point]:
    """A point per distinct probability of the listed lesions, highest first."""
    listed = sorted(((each.probability, each.truth is kind) for one in examinations
                     for each in one.found if each.kind is kind), reverse=True)
    known = sum(each.kind is kind for one in examinations for each in one.known)
    points, hits = [], 0
    for number, (probability, true) in enumerate(listed, start=1):
        hits += true
        if number == len(listed) or listed[number][0] < probability:
            points.append(Point(probability, _share(hits, known), hits / number,
                                (number - hits) / len(examinations)))
    return points


@dataclass(frozen=True, slots=True)
class Bin:
    """Listed lesions whose probability lies in [low, high)."""

    low: float
    high: float
    count: int
    mean_probability: float
    share_true: float


def reliability(
    examinations: Sequence[Examination], kind: LesionClass, *, bins: int = 10
) -> tuple[list[Bin], float]:
    """Bins of equal width that hold a listed lesion, and the expected calibration error.

    The error is the mean of |share true - mean probability|, weighted by the bins' counts (Guo et
    al., ICML 2017).
    """
    listed = [(each.probability, each.truth is kind) for one in examinations
              for each in one.found if each.kind is kind]
    number = [min(int(probability * bins), bins - 1) for probability, _ in listed]
    out = []
    for index in sorted(set(number)):
        inside = [one for one, own in zip(listed, number, strict=True) if own == index]
        probability, true = np.mean(inside, axis=0)
        out.append(Bin(index / bins, (index + 1) / bins, len(inside), float(probability),
                       float(true)))
    error = sum(one.count * abs(one.share_true - one.mean_probability) for one in out)
    return out, _share(error, len(listed))


def confusion(
    examinations: Sequence[Examination],
) -> dict[LesionClass | None, Counter[LesionClass | None]]:
    """Known class -> what it was listed as; None is nothing: listed as, or there was, nothing."""
    table: dict[LesionClass | None, Counter[LesionClass | None]] = {
        kind: Counter() for kind in (*LesionClass, None)}
    for one in examinations:
        for known in one.known:
            table[known.kind][known.listed] += 1
        for found in one.found:
            if found.truth is None:
                table[None][found.kind] += 1
    return table


def mimics(
    examinations: Sequence[Examination],
) -> dict[str, Counter[LesionClass | None]]:
    """What a simulator planted that is no lesion -> what it was listed as."""
    table: dict[str, Counter[LesionClass | None]] = {}
    for one in examinations:
        for known in one.known:
            if known.planted and known.kind is LesionClass.VESSEL:
                table.setdefault(known.planted, Counter())[known.listed] += 1
    return dict(sorted(table.items()))


def called(
    examinations: Sequence[Examination], kind: LesionClass, name: LesionClass
) -> Ratio:
    """How many known objects of a class were listed as another."""
    known = [each for one in examinations for each in one.known if each.kind is kind]
    return Ratio(sum(each.listed is name for each in known), len(known))


def breakdown(
    examinations: Sequence[Examination], kind: LesionClass,
    of_known: Callable[[Examination, Known], K], of_found: Callable[[Examination, Found], K],
) -> Mapping[K, tuple[Ratio, Ratio]]:
    """Sensitivity and precision per group that known and listed lesions fall into."""
    known, listed, hits, found = Counter[K](), Counter[K](), Counter[K](), Counter[K]()
    for one in examinations:
        for each in one.known:
            if each.kind is kind:
                known[of_known(one, each)] += 1
                found[of_known(one, each)] += each.listed is kind
        for every in one.found:
            if every.kind is kind:
                listed[of_found(one, every)] += 1
                hits[of_found(one, every)] += every.truth is kind
    return {group: (Ratio(found[group], known[group]), Ratio(hits[group], listed[group]))
            for group in {*known, *listed}}


def figures(examinations: Sequence[Examination]) -> dict[LesionClass, ClassFigures]:
    """The figures of every class that the model lists."""
    return {kind: class_figures(examinations, kind) for kind in SCORED}


def _share(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
