"""What training makes of examinations: calibration, operating points, the model card's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from apps.evaluate.examination import LEAST, Examination, Found
from apps.evaluate.pairing import SCORED
from apps.evaluate.statistics import Ratio, called, figures
from operators.labels import LesionClass
from operators.lesion_segmenter.calibration import Logistic, fit
from operators.lesion_segmenter.matching import Candidate, best_operating_point

SHOWN_MM = 3.0
"""Lesions wider than this are also counted apart: the size that must not be missed."""
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
        planted = sum(one.kind is kind for each in examinations for one in each.known)
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
        fitted = fit([one.features for one in found], [one.truth is kind for one in found])
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
        return replace(found, probability=models[found.kind].probability(found.features))
    return [replace(each, found=tuple(map(one, each.found))) for each in examinations]


def scores(examinations: Sequence[Examination]) -> dict[str, float]:
    """Sensitivity, precision and false positives per scan of what the examinations list.

    A listed lesion is true when it matches a planted object of its own class. `..._over_3mm` counts
    planted objects wider than 3 mm; "calcification_called_microbleed" is a share of planted
    calcifications, "vessel_called_microbleed" a number per scan.
    """
    out: dict[str, float] = {"scans": len(examinations)}
    for kind, own in figures(examinations).items():
        name = kind.name.lower()
        large = [one.listed is kind for each in examinations for one in each.known
                 if one.kind is kind and one.diameter_mm > SHOWN_MM]
        out[f"{name}_planted"] = own.sensitivity.whole
        out[f"{name}_sensitivity"] = own.sensitivity.value
        out[f"{name}_precision"] = own.precision.value
        out[f"{name}_false_positives_per_scan"] = own.false_per_scan
        out[f"{name}_sensitivity_over_3mm"] = Ratio(sum(large), len(large)).value
    calcium, vessels = (called(examinations, kind, LesionClass.MICROBLEED)
                        for kind in (LesionClass.CALCIFICATION, LesionClass.VESSEL))
    out["calcification_called_microbleed"] = calcium.value
    out["vessel_called_microbleed_per_scan"] = vessels.part / len(examinations)
    return {name: round(value, 4) for name, value in out.items()}


def table(results: Mapping[str, float], where: str = "simulated subjects") -> str:
    """The scores as a Markdown table."""
    lines = [f"| measure ({where}) | value |", "|---|---|"]
    lines += [f"| {name.replace('_', ' ')} | {value:g} |" for name, value in results.items()]
    return "\n".join(lines)
