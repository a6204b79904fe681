"""The parts of the results page, each a heading and its tables, from examinations alone."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence

from apps.evaluate.examination import Examination, Found, Known
from apps.evaluate.markdown import averaged, limits, number, ratio, table
from apps.evaluate.pairing import SCORED
from apps.evaluate.published import PUBLISHED, bars
from apps.evaluate.statistics import (
    ClassFigures,
    Ratio,
    breakdown,
    class_figures,
    confusion,
    figures,
    froc,
    mimics,
    reliability,
)
from operators.labels import LESIONS, LesionClass

Examinations = Sequence[Examination]
_FALSE_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per scan at which the FROC curve is tabled; those of the LUNA16 challenge."""


def bars_section(one: Examinations) -> str:
    """The project's bars, met or missed."""
    words = {True: "met", False: "MISSED", None: "cannot be said"}
    rows = [(bar.name, f"{bar.sign} {bar.wanted:g}", number(bar.found),
             words[bar.met]) for bar in bars(one)]
    return "## The project's bars (simulated scans)\n\n" + table(
        ("figure, over all lesions", "wanted", "found", ""), rows)


def main_section(ways: Mapping[str, Examinations]) -> str:
    """Sensitivity and precision of every class and way, over all lesions and over scans."""
    pooled, means = [], []
    for kind in SCORED:
        for way, examinations in ways.items():
            own = class_figures(examinations, kind)
            name = (LESIONS[kind].name, way)
            pooled.append((*name, ratio(own.sensitivity), ratio(own.precision), number(own.f1),
                           number(own.false_per_scan, 2)))
            means.append((*name, averaged(own.sensitivity_mean), averaged(own.precision_mean),
                          ratio(own.near_sensitivity), ratio(own.near_precision)))
    return "\n\n".join((
        "## Sensitivity and precision",
        "Over all lesions of all scans together, with Wilson's 95 % interval:",
        table(("class", "input", "sensitivity", "precision", "F1", "false per scan"), pooled),
        "Averaged over scans (± standard error, Student's 95 % interval): sensitivity over scans "
        "with a known lesion of the class, precision over scans with a listed one. Last, over all "
        "lesions, where centres at most 5 mm apart match too:",
        table(("class", "input", "sensitivity, mean", "precision, mean", "sensitivity, 5 mm",
               "precision, 5 mm"), means),
    ))


def gap_section(dicom: Examinations, arrays: Examinations) -> str:
    """What the way from DICOM costs against the tree's own arrays, on the scans that have both."""
    both = {one.subject for one in dicom} & {one.subject for one in arrays}
    rows = []
    for kind in SCORED:
        far, near = (class_figures([each for each in side if each.subject in both], kind)
                     for side in (dicom, arrays))
        for name, pick in _GAPS.items():
            rows.append((LESIONS[kind].name, name, number(pick(near)), number(pick(far)),
                         number(pick(far) - pick(near))))
    return f"## From DICOM against from arrays ({len(both)} scans that have both)\n\n" + table(
        ("class", "figure, over all lesions", "from arrays", "from DICOM", "gap"), rows)


_GAPS: Mapping[str, Callable[[ClassFigures], float]] = {
    "sensitivity": lambda own: own.sensitivity.value,
    "precision": lambda own: own.precision.value,
    "F1": lambda own: own.f1,
    "false per scan": lambda own: own.false_per_scan,
}


def published_section(one: Examinations, where: str) -> str:
    """Ours beside what others published."""
    rows = []
    for kind, others in PUBLISHED.items():
        name, own = LESIONS[kind].name, class_figures(one, kind)
        rows.append((name, f"**this model, {len(one)} {where}**", number(own.sensitivity.value),
                     number(own.precision.value), number(own.false_per_scan, 2), "-"))
        rows += [(name, each.name, each.sensitivity, each.precision, each.false_per_scan,
                  each.differs) for each in others]
    return "## Beside published figures\n\nOther scans, other truths: no row is a comparison.\n\n" \
        + table(("class", "who", "sensitivity", "precision", "false per scan", "what differs"),
                rows)


def agreement_section(one: Examinations) -> str:
    """Scans without a lesion, counts, volumes and Dice."""
    rows = [(LESIONS[kind].name, f"{number(own.false_per_free_scan, 2)} ({own.free_scans} scans)",
             number(own.counts.pearson), limits(own.counts), number(own.volumes_mm3.pearson),
             limits(own.volumes_mm3, 1), averaged(own.dice))
            for kind, own in figures(one).items()]
    return "\n\n".join((
        "## Scans without a lesion, counts, volumes, Dice",
        "Pearson's r and Bland-Altman's mean difference [limits of agreement], listed minus known, "
        "over scans. Dice of the class's voxels, averaged over scans with a known lesion.",
        table(("class", "false per scan without one", "r, counts", "difference, counts",
               "r, volumes", "difference, mm³", "Dice"), rows),
    ))


def froc_section(one: Examinations) -> str:
    """Sensitivity at usual rates of false positives."""
    rows = []
    for kind in SCORED:
        known = class_figures(one, kind).sensitivity.whole
        at = [max((point.sensitivity for point in froc(one, kind)
                   if point.false_per_scan <= rate), default=0.0) if known else math.nan
              for rate in _FALSE_RATES]
        rows.append((LESIONS[kind].name, *map(number, at)))
    return "## Sensitivity by false positives per scan\n\n" + table(
        ("class", *(f"{rate:g}" for rate in _FALSE_RATES)), rows)


def calibration_section(one: Examinations) -> str:
    """How often a probability is right."""
    parts = ["## Calibration", "Listed lesions by probability: how many, their mean probability, "
             "the share that is true."]
    for kind in SCORED:
        bins, error = reliability(one, kind)
        parts.append(f"{LESIONS[kind].name}: expected calibration error {number(error)}")
        parts.append(table(("probability", "lesions", "mean", "true"),
                           [(f"{each.low:.1f} to {each.high:.1f}", str(each.count),
                             number(each.mean_probability), number(each.share_true))
                            for each in bins]))
    return "\n\n".join(parts)


def confusion_section(one: Examinations) -> str:
    """What every known object was listed as; the last row is listed where nothing is."""
    seen = confusion(one)
    head = [*LesionClass, None]
    rows = [(_name(kind, "nothing there"), str(counts.total()),
             *(str(counts[name]) for name in head)) for kind, counts in seen.items()]
    columns = ("in all", *(_name(kind, "not listed") for kind in head))
    parts = ["## What was listed as what", table(("known", *columns), rows)]
    planted = [(name.replace("_", " "), str(counts.total()), *(str(counts[kind]) for kind in head))
               for name, counts in mimics(one).items()]
    if planted:
        parts += ["Of the known VESSEL, by what was planted:",
                  table(("planted", *columns), planted)]
    return "\n\n".join(parts)


def _name(kind: LesionClass | None, nothing: str) -> str:
    return LESIONS[kind].abbreviation if kind else nothing


def breakdown_section(one: Examinations) -> str:
    """Sensitivity and precision by size, place and scanner."""
    parts = ["## By size, place and scanner", "A known lesion is in the group of its own size and "
             "place, a listed one in that of its own. Sizes are of the sphere of the same volume."]
    for title, (of_known, of_found) in _GROUPS.items():
        rows = []
        for kind in SCORED:
            groups = breakdown(one, kind, of_known, of_found)
            rows += [(LESIONS[kind].name, name, ratio(sensitivity), ratio(precision))
                     for name, (sensitivity, precision) in sorted(groups.items())]
        parts.append(table(("class", title, "sensitivity", "precision"), rows))
    return "\n\n".join(parts)


def conspicuity_section(one: Examinations) -> str:
    """Sensitivity by how far lesions stand out of their surroundings."""
    rows = [(LESIONS[kind].name, *(ratio(groups[band]) if band in groups else "-"
                                   for band in _STANDING_OUT))
            for kind, groups in by_conspicuity(one).items()]
    return "\n\n".join((
        "## By how far lesions stand out",
        "Sensitivity by contrast on SWI in standard deviations of what lies 2 to 5 mm around, "
        "noise and anatomy.",
        table(("class", *_STANDING_OUT), rows),
    ))


def by_conspicuity(one: Examinations) -> dict[LesionClass, dict[str, Ratio]]:
    """Sensitivity by band of contrast to noise."""
    def band(_: Examination, each: Known) -> str:
        if each.contrast_to_noise is None:
            return _STANDING_OUT[-1]
        return _STANDING_OUT[bisect_right(_CONTRASTS, each.contrast_to_noise)]
    return {kind: {name: found for name, (found, _) in breakdown(
                       one, kind, band, lambda *_: "").items() if name}
            for kind in SCORED}


_CONTRASTS = (3.0, 5.0, 8.0)
_STANDING_OUT = ("below 3", "3 to 5", "5 to 8", "8 and more", "unknown")


def _size(diameter_mm: float) -> str:
    """Below 2, 2 to 5, 5 to 10 mm and more; an edge belongs to the larger sizes."""
    return _band(bisect_right((2.0, 5.0, 10.0), diameter_mm), (0.0, 2.0, 5.0, 10.0))


def _thickness(one: Examination, _: Known | Found) -> str:
    """Up to 1.5, to 2.5 mm and more; an edge belongs to the thinner slices."""
    if one.slice_mm is None:
        return "unknown"
    return _band(bisect_left((1.5, 2.5), round(one.slice_mm, 3)), (0.0, 1.5, 2.5))


def _band(number: int, edges: Sequence[float]) -> str:
    if number == len(edges) - 1:
        return f"over {edges[-1]:g} mm"
    return f"{edges[number]:g} to {edges[number + 1]:g} mm"


def _sphere_mm(volume_mm3: float) -> float:
    return float((6 * volume_mm3 / math.pi) ** (1 / 3))


def _field(one: Examination, _: Known | Found) -> str:
    return "unknown" if one.field_strength_t is None else f"{one.field_strength_t:g} T"


def _place(_: Examination, each: Known | Found) -> str:
    return each.location.value if each.location else "unknown"


_GROUPS: Mapping[str, tuple[Callable[[Examination, Known], str],
                            Callable[[Examination, Found], str]]] = {
    "size": (lambda _, each: _size(each.diameter_mm),
             lambda _, each: _size(_sphere_mm(each.volume_mm3))),
    "place": (_place, _place),
    "slices": (_thickness, _thickness),
    "field": (_field, _field),
}


def as_groups(one: Examinations) -> dict[str, dict[LesionClass, Mapping[str, tuple[Ratio, Ratio]]]]:
    """The breakdowns as data."""
    return {title: {kind: breakdown(one, kind, *groups) for kind in SCORED}
            for title, groups in _GROUPS.items()}
