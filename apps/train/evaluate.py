"""Lesion-wise scores on subjects with a truth, through the product's own `segment_lesions`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from apps.train.subjects import Examined, as_study, load_examined
from operators.errors import StepFailed
from operators.labels import LesionClass
from operators.lesion_segmenter.calibration import Logistic, features, fit
from operators.lesion_segmenter.matching import Candidate, best_operating_point, match
from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Lesion, NotAssessed

SCORED = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT, LesionClass.CALCIFICATION)
LEAST = 0.05
"""Every candidate above this probability is listed where operating points are chosen."""
SHOWN_MM = 3.0
"""Lesions wider than this are also counted apart: the size that must not be missed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A lesion that was listed, the class of the planted object it matches, and that object's size.

    `truth` is None where it matches nothing (a false positive in healthy tissue).
    """

    kind: LesionClass
    probability: float
    vesselness: float
    volume_mm3: float
    mean_ppm: float | None
    reason: str
    truth: LesionClass | None
    truth_mm: float


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was listed and all that was there in one subject."""

    subject: str
    found: tuple[Found, ...]
    planted: tuple[tuple[LesionClass, float], ...]


def examine_all(paths: Sequence[Path], bundle: Path, settings: LesionSettings) -> list[Examination]:
    """Run the lesion segmenter on study files."""
    return [_examine(load_examined(path), bundle, settings) for path in paths]


def listing_all() -> LesionSettings:
    """Settings that list every candidate, to choose operating points from."""
    return LesionSettings(
        microbleed_probability=LEAST, iron_probability=LEAST, calcification_probability=LEAST
    )


MOST_FALSE_PER_SCAN = 0.5
"""No class may ask for more to be struck out: the project's bar for microbleeds."""


def operating_points(examinations: Sequence[Examination]) -> dict[LesionClass, float]:
    """The probability with the best F1 per class, over all subjects together.

    Of those with at most `MOST_FALSE_PER_SCAN`; none for a class of which no such point finds one.
    """
    points = {}
    for kind in SCORED:
        candidates = [Candidate(one.probability, one.truth is kind)
                      for each in examinations for one in each.found if one.kind is kind]
        planted = sum(true is kind for each in examinations for true, _ in each.planted)
        point, f1 = best_operating_point(
            candidates, planted, least=LEAST,
            most_false=max(1, MOST_FALSE_PER_SCAN * len(examinations)))
        if f1 > 0:
            points[kind] = point
    return points


def calibrations(examinations: Sequence[Examination]) -> dict[LesionClass, Logistic]:
    """One regression per class from what an uncalibrated bundle lists in all subjects together."""
    out = {}
    for kind in SCORED:
        found = [one for each in examinations for one in each.found if one.kind is kind]
        rows = [features(one.probability, one.volume_mm3, one.mean_ppm) for one in found]
        fitted = fit(rows, [one.truth is kind for one in found])
        if fitted is not None:
            out[kind] = fitted
    return out


def calibrated(
    examinations: Sequence[Examination], models: Mapping[LesionClass, Logistic]
) -> list[Examination]:
    """The same examinations with the probabilities that a calibrated bundle would give."""
    def one(found: Found) -> Found:
        if found.kind not in models:
            return found
        row = features(found.probability, found.volume_mm3, found.mean_ppm)
        return replace(found, probability=models[found.kind].probability(row))
    return [replace(each, found=tuple(map(one, each.found))) for each in examinations]


def scores(examinations: Sequence[Examination]) -> dict[str, float]:
    """Sensitivity, precision and false positives per scan of what the examinations list.

    A listed lesion is true when it matches a planted object of its own class. `..._over_3mm` counts
    planted objects wider than 3 mm; "calcification_called_microbleed" is a share of planted
    calcifications, "vessel_called_microbleed" a number per scan.
    """
    scans = len(examinations)
    found = [one for each in examinations for one in each.found]
    planted = [one for each in examinations for one in each.planted]
    out: dict[str, float] = {"scans": scans}
    for kind in SCORED:
        name = kind.name.lower()
        listed = [one for one in found if one.kind is kind]
        hits = [one for one in listed if one.truth is kind]
        sizes = [size for true, size in planted if true is kind]
        out[f"{name}_planted"] = len(sizes)
        out[f"{name}_sensitivity"] = _ratio(len(hits), len(sizes))
        out[f"{name}_precision"] = _ratio(len(hits), len(listed))
        out[f"{name}_false_positives_per_scan"] = _ratio(len(listed) - len(hits), scans)
        out[f"{name}_sensitivity_over_3mm"] = _ratio(
            sum(one.truth_mm > SHOWN_MM for one in hits), sum(size > SHOWN_MM for size in sizes))
    bleeds = [one for one in found if one.kind is LesionClass.MICROBLEED]
    out["calcification_called_microbleed"] = _ratio(
        sum(one.truth is LesionClass.CALCIFICATION for one in bleeds),
        sum(true is LesionClass.CALCIFICATION for true, _ in planted))
    out["vessel_called_microbleed_per_scan"] = _ratio(
        sum(one.truth is LesionClass.VESSEL for one in bleeds), scans)
    return out


def table(results: Mapping[str, float], where: str = "simulated subjects") -> str:
    """The scores as a Markdown table."""
    lines = [f"| measure ({where}) | value |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {value:g} |" for name, value in results.items()]
    return "\n".join(lines)


def _examine(subject: Examined, bundle: Path, settings: LesionSettings) -> Examination:
    study, regions = as_study(subject)
    result = segment_lesions(study, regions, bundle=bundle, settings=settings)
    if isinstance(result, NotAssessed):
        raise StepFailed(f"Subject {subject.subject} was not assessed: {result.reason}")
    inside = np.where(subject.brain, subject.truth, 0)
    here = sorted(set(np.unique(inside)[1:].tolist()) & set(subject.kinds))
    pairs = _pairs(inside, result.labels.array, result.lesions, subject)
    found = tuple(
        Found(one.kind, one.probability, one.vesselness, one.volume_mm3, one.mean_ppm,
              one.reason,              subject.kinds.get(pairs.get(one.index, 0)),
              subject.diameters_mm.get(pairs.get(one.index, 0), 0.0))
        for one in result.lesions
    )
    planted = tuple((subject.kinds[number], subject.diameters_mm[number]) for number in here)
    return Examination(subject.subject, found, planted)


def _pairs(
    truth: np.ndarray, labels: np.ndarray, lesions: Sequence[Lesion], subject: Examined
) -> dict[int, int]:
    """Listed -> planted: first within each class, then, for confusions, whatever is left."""
    pairs: dict[int, int] = {}
    for kind in SCORED:
        own = [one.index for one in lesions if one.kind is kind]
        there = [number for number, true in subject.kinds.items() if true is kind]
        pairs |= match(np.where(np.isin(truth, there), truth, 0).astype(np.int64),
                       np.where(np.isin(labels, own), labels, 0).astype(np.int64))
    left = np.where(np.isin(labels, list(pairs)), 0, labels).astype(np.int64)
    free = np.where(np.isin(truth, list(pairs.values())), 0, truth).astype(np.int64)
    return pairs | match(free, left)


def _ratio(part: float, whole: float) -> float:
    return round(part / whole, 4) if whole else float("nan")
