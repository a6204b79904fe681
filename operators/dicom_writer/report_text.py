"""The words of the report: what a neuroradiologist would dictate from the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from operators.dicom_writer.burden import imaging_pattern
from operators.labels import LESIONS, LesionClass, Side
from operators.types import (
    CoregisteredStudy,
    Findings,
    Lesion,
    LesionMap,
    LncEstimates,
    LncScore,
    NotAssessed,
    Role,
    Series,
)

ROLE_WORDS: Mapping[Role, str] = {
    Role.SWI: "SWI",
    Role.MAGNITUDE: "GRE magnitude",
    Role.PHASE: "GRE phase",
    Role.QSM: "QSM",
    Role.MIP: "SWI minimum intensity projection",
    Role.T2W: "T2-weighted",
    Role.T1W: "T1-weighted",
    Role.FA: "fractional anisotropy",
    Role.MD: "mean diffusivity",
    Role.DWI: "diffusion-weighted",
    Role.CBF: "cerebral blood flow",
    Role.ASL: "arterial spin labelling",
}
_BURDEN = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
NEVER_ASSESSED = "Superficial siderosis and change since an earlier scan are not assessed."


def impression(findings: Findings) -> list[str]:
    """Two to four sentences: lesions, iron, LNC."""
    sentences = _lesion_impression(findings.lesions)
    if isinstance(findings.lnc, NotAssessed):
        sentences.append(f"Lenticulostriate complex: not assessed. {findings.lnc.reason}")
    else:
        sentences.append(_lnc_impression(findings.lnc))
    return sentences


def _lnc_impression(lnc: LncScore) -> str:
    burden = [_number(count, LESIONS[kind].name.lower())
              for kind, count in lnc.lesion_counts.items() if count and kind in _BURDEN]
    held = f"They hold {' and '.join(burden) or 'no microbleed and no iron deposit'}."
    if lnc.lesion_volume_mm3 is None:
        held = "Lesions in them: not assessed."
    elif burden:
        held = f"{held[:-1]}, {lnc.lesion_volume_mm3:.0f} mm³."
    said = lnc.estimates
    told = "no score is derived"
    if not isinstance(said, NotAssessed) and (said.regions or said.labels):
        told = "model estimates beside them"
    elif not isinstance(said, NotAssessed) and said.z_scores:
        told = "compared with a reference group"
    return f"Lenticulostriate regions: measured values below; {told}. {held}"


def location_rows(lesions: Sequence[Lesion], kind: LesionClass) -> list[tuple[str, int, int, int]]:
    """(MARS location, left, right, midline) counts of one class, locations with any, by count."""
    counts: dict[str, Counter[Side]] = {}
    for lesion in lesions:
        if lesion.kind is kind:
            mars = lesion.location.mars if lesion.location else None
            side = lesion.location.side if lesion.location else Side.MIDLINE
            counts.setdefault(mars or "unclassified", Counter())[side] += 1
    rows = [
        (name, sides[Side.LEFT], sides[Side.RIGHT], sides[Side.MIDLINE])
        for name, sides in counts.items()
    ]
    return sorted(rows, key=lambda row: (-sum(row[1:]), row[0]))


def technique(findings: Findings) -> list[str]:
    """One line per contrast: where it comes from, field strength, echo times, voxel size; and how
    the regions were found."""
    study, regions = findings.study, findings.regions
    lines = [
        f"{ROLE_WORDS[role]}: {_series_words(series)}"
        for role, series in study.study.series.items()
        if role in study.contrasts or role in (Role.DWI, Role.ASL)
    ]
    if not isinstance(regions, NotAssessed):
        lines.append(f"Regions, on {ROLE_WORDS[regions.source]}: {regions.method}, "
                     f"{regions.quality:.2f}")
    return lines


def three_digits(value: float) -> str:
    """`value` to three significant digits, without an exponent."""
    return np.format_float_positional(value, precision=3, fractional=False, unique=False, trim="-")


def reference_words(study: CoregisteredStudy) -> str:
    """What lesions were counted on; a count means nothing without field, echo time and voxels."""
    return f"{ROLE_WORDS[study.reference]}, {_series_words(study.study.series[study.reference])}"


def limits(findings: Findings) -> list[str]:
    """What this report cannot say, and why."""
    dropped = [
        f"{ROLE_WORDS[role]} was not used: {reason}"
        for role, reason in findings.study.dropped.items()
    ]
    lnc = findings.lnc
    answers: list[LesionMap | LncScore | LncEstimates | NotAssessed] = [findings.lesions, lnc]
    if isinstance(lnc, LncScore):
        answers.append(lnc.estimates)
        if isinstance(lnc.estimates, NotAssessed):
            dropped.append(lnc.estimates.reason)
    notes = [note for a in answers if not isinstance(a, NotAssessed) for note in a.notes]
    return [*dropped, *notes, *findings.study.study.warnings, NEVER_ASSESSED]


def _lesion_impression(lesions: LesionMap | NotAssessed) -> list[str]:
    if isinstance(lesions, NotAssessed):
        return [f"Microbleeds and iron deposits: not assessed. {lesions.reason}"]
    bleeds = lesions.of(LesionClass.MICROBLEED)
    sentences = [_bleeds_sentence(bleeds)]
    iron = lesions.of(LesionClass.IRON_DEPOSIT)
    name = LESIONS[LesionClass.IRON_DEPOSIT].name.lower()
    sentences.append(f"{_number(len(iron), name)}.")
    mimics = [*lesions.of(LesionClass.CALCIFICATION), *lesions.of(LesionClass.VESSEL)]
    if mimics:
        sentences.append(f"{_number(len(mimics), 'mimic')} set apart (calcification or vessel).")
    return sentences


def _bleeds_sentence(bleeds: Sequence[Lesion]) -> str:
    if not bleeds:
        return "No cerebral microbleed found."
    categories = Counter(
        lesion.location.category.value
        for lesion in bleeds
        if lesion.location and lesion.location.category
    )
    where = ", ".join(f"{count} {name}" for name, count in categories.most_common())
    words = _number(len(bleeds), "cerebral microbleed")
    shape = imaging_pattern(bleeds).value
    return f"{words} ({where or 'location unclassified'}); imaging pattern: {shape}."


def _number(count: int, noun: str) -> str:
    if count == 0:
        return f"No {noun} found"
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _series_words(series: Series) -> str:
    if series.is_derived:
        origin = " and ".join(ROLE_WORDS[role] for role in series.derived_from)
        source = f"computed by Lentiform from {origin}"
    else:
        source = f"acquired, “{series.description}”"
    spacing = " x ".join(f"{mm:.2g}" for mm in series.volumes[0].spacing)
    echoes = sorted({s.echo_time_ms for s in series.samples if s.echo_time_ms is not None})
    field = series.acquisition.field_strength_t
    parts = [source, f"{spacing} mm"]
    if field is not None:
        parts.append(f"{field:g} T")
    if echoes:
        parts.append(f"TE {' / '.join(f'{echo:g}' for echo in echoes)} ms")
    return ", ".join(parts)
