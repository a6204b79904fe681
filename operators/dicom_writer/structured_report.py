"""The TID 1500 structured report (Comprehensive 3D SR).

Groups, in this order: one per lesion class (how many, or that it was not evaluated), one for the
LNC (asymmetries, or that it was not evaluated), one for what an LNC model says where it says
anything, one per lesion, one per LNC region. A group on a segmented object carries the tracking
identifier and UID of its segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from operators.dicom_writer.burden import imaging_pattern
from operators.dicom_writer.coding import QUANTITY, concept
from operators.dicom_writer.content_items import (
    asymmetry,
    commented,
    evaluation,
    measure,
    observer,
    segment,
    site,
    statistic_measures,
    summary_group,
    tracking,
)
from operators.dicom_writer.estimates import estimates_group
from operators.dicom_writer.imprint import SOFTWARE, Imprint
from operators.dicom_writer.segmentation import (
    lesion_label,
    lesion_segments,
    region_segments,
    region_tracking_uid,
)
from operators.labels import (
    ABSENT,
    ANATOMY,
    BRAIN_MRI,
    DIAMETER,
    IMAGING_PATTERN,
    LESION_COUNT,
    LESIONS,
    LNC,
    MAXIMUM,
    MEAN,
    MINIMUM,
    MM,
    MM3,
    NO_UNIT,
    NOT_EVALUATED,
    PPM,
    PRESENT,
    PROBABILITY,
    RESEARCH_NOTICE,
    SUSCEPTIBILITY,
    VOLUME,
    Code,
    LesionClass,
)
from operators.types import (
    Findings,
    Lesion,
    LesionMap,
    LncScore,
    NotAssessed,
    RegionMeasure,
    Role,
)

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import (
        Comprehensive3DSR,
        Measurement,
        ReferencedSegment,
    )
    from pydicom import Dataset

    from operators.dicom_writer.content_items import Group


@dataclass(frozen=True, slots=True, eq=False)
class Segmentations:
    """The SEG objects the report refers to; None where there is none."""

    lesions: Segmentation | None = None
    regions: Segmentation | None = None


def structured_report(
    findings: Findings, segmentations: Segmentations, evidence: Sequence[Dataset],
    imprint: Imprint,
) -> Comprehensive3DSR:
    """The findings as a TID 1500 document.

    `evidence` are the source headers, those of the reference series first; the segmentations are
    added to them.
    """
    from highdicom.sr import Comprehensive3DSR, MeasurementReport

    segs = [item for item in (segmentations.lesions, segmentations.regions) if item is not None]
    source_uid = evidence[0].SeriesInstanceUID
    groups = [
        *(_class_group(kind, findings.lesions, imprint) for kind in LESIONS),
        _lnc_group(findings.lnc, imprint),
        *_estimate_groups(findings.lnc, imprint),
        *_lesion_groups(findings.lesions, segmentations.lesions, source_uid),
        *_region_groups(findings, segmentations.regions, source_uid, imprint),
    ]
    content = MeasurementReport(
        observation_context=observer(imprint), procedure_reported=concept(BRAIN_MRI),
        imaging_measurements=groups,
    )
    report = Comprehensive3DSR(
        evidence=[imprint.source(evidence[0]), *evidence[1:], *segs],
        content=content, is_complete=True,
        contributing_equipment=imprint.equipment(), coding_schemes=imprint.coding_schemes(),
        **imprint.keywords("SR_findings", 3, f"{SOFTWARE} findings (research)"),
    )
    imprint.finish(report)
    return report


def _class_group(
    kind: LesionClass, lesions: LesionMap | NotAssessed, imprint: Imprint
) -> Group:
    """How many lesions of one class; or that it was not evaluated, and why."""
    label = LESIONS[kind]
    name, uid = f"{label.abbreviation} total", imprint.stable_uid("total", label.abbreviation)
    if isinstance(lesions, NotAssessed):
        return summary_group(
            name, uid, label.code, comment=lesions.reason,
            qualitative_evaluations=[evaluation(label.code, NOT_EVALUATED)],
        )
    count = len(lesions.of(kind))
    evaluations = [evaluation(label.code, PRESENT if count else ABSENT)]
    if kind is LesionClass.MICROBLEED:
        evaluations.append(evaluation(IMAGING_PATTERN, imaging_pattern(lesions.lesions).code))
    return summary_group(
        name, uid, label.code, measurements=[measure(LESION_COUNT, count, NO_UNIT)],
        qualitative_evaluations=evaluations,
        comment=f"{RESEARCH_NOTICE} Network trained on: {lesions.model.training_data}",
    )


def _lnc_group(
    lnc: LncScore | NotAssessed, imprint: Imprint
) -> Group:
    """Asymmetries and the notes on them; or that the LNC was not evaluated, and why."""
    name, uid = "LNC total", imprint.stable_uid("total", "LNC")
    if isinstance(lnc, NotAssessed):
        evaluations = [evaluation(LNC, NOT_EVALUATED)]
        return summary_group(
            name, uid, LNC, comment=lnc.reason, qualitative_evaluations=evaluations
        )
    asymmetries = [
        asymmetry(entry.name, _asymmetric_quantity(lnc, entry.role), entry.percent)
        for entry in lnc.asymmetries
        if isfinite(entry.percent)
    ]
    said = [lnc.estimates.reason] if isinstance(lnc.estimates, NotAssessed) else []
    comment = " ".join([RESEARCH_NOTICE, *lnc.notes, *said])
    return summary_group(name, uid, LNC, measurements=asymmetries, comment=comment)


def _estimate_groups(lnc: LncScore | NotAssessed, imprint: Imprint) -> list[Group]:
    if isinstance(lnc, NotAssessed) or isinstance(lnc.estimates, NotAssessed):
        return []
    return [estimates_group(lnc.estimates, imprint)]


def _asymmetric_quantity(lnc: LncScore, role: Role | None) -> Code:
    if role is None:
        return VOLUME
    statistics = (measured.quantities.get(role) for measured in lnc.measures)
    return next(QUANTITY[statistic.unit] for statistic in statistics if statistic is not None)


def _lesion_groups(
    lesions: LesionMap | NotAssessed, segmentation: Segmentation | None, source_uid: str
) -> list[Group]:
    if isinstance(lesions, NotAssessed) or segmentation is None:
        return []
    segments = lesion_segments(lesions)
    return [
        _lesion_group(lesion, segment(segmentation, segments[lesion.index], source_uid))
        for lesion in lesions.lesions
    ]


def _lesion_group(
    lesion: Lesion, reference: ReferencedSegment
) -> Group:
    from highdicom.sr import VolumetricROIMeasurementsAndQualitativeEvaluations

    label = LESIONS[lesion.kind]
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(lesion_label(lesion), lesion.uid),
        referenced_segment=reference,
        finding_category=concept(label.category), finding_type=concept(label.code),
        finding_sites=[site(lesion.location)],
        measurements=[
            measure(VOLUME, lesion.volume_mm3, MM3),
            measure(DIAMETER, lesion.diameter_mm, MM),
            measure(PROBABILITY, lesion.probability, NO_UNIT),
            *_susceptibility(lesion),
        ],
    )
    return commented(group, lesion.reason)


def _susceptibility(lesion: Lesion) -> list[Measurement]:
    measures = []
    if lesion.mean_ppm is not None:
        measures.append(measure(SUSCEPTIBILITY, lesion.mean_ppm, PPM, derivation=MEAN))
    if lesion.peak_ppm is not None:
        extreme = MAXIMUM if lesion.peak_ppm >= 0 else MINIMUM
        measures.append(measure(SUSCEPTIBILITY, lesion.peak_ppm, PPM, derivation=extreme))
    return measures


def _region_groups(
    findings: Findings, segmentation: Segmentation | None, source_uid: str, imprint: Imprint
) -> list[Group]:
    lnc, regions = findings.lnc, findings.regions
    if isinstance(lnc, NotAssessed) or isinstance(regions, NotAssessed) or segmentation is None:
        return []
    segments = region_segments(regions)
    return [
        _region_group(
            measured, segment(segmentation, segments[measured.structure.number], source_uid),
            imprint,
        )
        for measured in lnc.measures
        if measured.structure.number in segments
    ]


def _region_group(
    measured: RegionMeasure, reference: ReferencedSegment, imprint: Imprint
) -> Group:
    from highdicom.sr import VolumetricROIMeasurementsAndQualitativeEvaluations

    here = measured.structure
    measures = [measure(VOLUME, measured.volume_mm3, MM3)]
    for statistic in measured.quantities.values():
        measures += statistic_measures(statistic)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(here.label, region_tracking_uid(here, imprint)),
        referenced_segment=reference,
        finding_category=concept(ANATOMY), finding_type=concept(here.code),
        finding_sites=[site(here)],
        measurements=measures,
    )
