"""Building blocks of the structured report: the parts of TID 1500 this project uses."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from operators.dicom_writer.coding import LATERALITY, QUANTITY, UNIT, concept
from operators.dicom_writer.imprint import SOFTWARE, Imprint
from operators.labels import (
    ASYMMETRY,
    BRAIN,
    COVERAGE,
    MEAN,
    MEDIAN,
    PERCENT,
    STANDARD_DEVIATION,
    STRUCTURES,
    Code,
    Structure,
)
from operators.types import Statistic

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from highdicom.sr import (
        FindingSite,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        QualitativeEvaluation,
        ReferencedSegment,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    Group = (
        MeasurementsAndQualitativeEvaluations | VolumetricROIMeasurementsAndQualitativeEvaluations
    )


def measure(
    name: Code, value: float, unit: Code, *, derivation: Code | None = None,
    site: FindingSite | None = None,
) -> Measurement:
    """One number (TID 300) with its unit and, where it is a statistic, how it was derived."""
    from highdicom.sr import Measurement

    return Measurement(
        concept(name), value, concept(unit),
        derivation=None if derivation is None else concept(derivation),
        finding_sites=None if site is None else [site],
    )


def statistic_measures(statistic: Statistic) -> list[Measurement]:
    """Mean, SD and median where they exist, and the coverage where it is not whole."""
    quantity, unit = QUANTITY[statistic.unit], UNIT[statistic.unit]
    figures = [
        (MEAN, statistic.mean), (STANDARD_DEVIATION, statistic.sd), (MEDIAN, statistic.median)
    ]
    measures = [
        measure(quantity, float(value), unit, derivation=derivation)
        for derivation, value in figures
        if isfinite(value)
    ]
    if statistic.coverage < 1:
        covered = 100.0 * statistic.coverage
        measures.append(measure(quantity, covered, PERCENT, derivation=COVERAGE))
    return measures


def asymmetry(name: str, quantity: Code, percent: float) -> Measurement:
    """Left-right asymmetry of a quantity in the structures called `name`."""
    return measure(
        quantity, float(percent), PERCENT, derivation=ASYMMETRY, site=both_sides(name)
    )


def both_sides(name: str) -> FindingSite:
    """The structures called `name`, without a side."""
    codes = [entry.code for entry in STRUCTURES.values() if entry.name == name]
    return _finding_site(codes[0] if codes else BRAIN, None)


def evaluation(name: Code, value: Code) -> QualitativeEvaluation:
    """A coded question and its coded answer."""
    from highdicom.sr import QualitativeEvaluation

    return QualitativeEvaluation(concept(name), concept(value))


def site(location: Structure | None) -> FindingSite:
    """Structure with side; the brain where the location is not known."""
    if location is None:
        return _finding_site(BRAIN, None)
    return _finding_site(location.code, LATERALITY.get(location.side))


def tracking(name: str, uid: str) -> TrackingIdentifier:
    """Tracking identifier and UID, the same pair as in the SEG."""
    from highdicom.sr import TrackingIdentifier

    return TrackingIdentifier(uid=uid, identifier=name)


def segment(segmentation: Segmentation, number: int, source_uid: str) -> ReferencedSegment:
    """Reference to one segment and the series it was drawn on."""
    from highdicom.sr import ReferencedSegment, SourceSeriesForSegmentation

    return ReferencedSegment(
        segmentation.SOPClassUID, segmentation.SOPInstanceUID, number,
        source_series=SourceSeriesForSegmentation(source_uid),
    )


def summary_group(name: str, uid: str, finding: Code, *, comment: str, **content: Any) -> Group:
    """A group on the whole brain (TID 1501): `measurements`, `qualitative_evaluations`."""
    from highdicom.sr import MeasurementsAndQualitativeEvaluations

    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking(name, uid), finding_type=concept(finding),
        finding_sites=[site(None)], **content,
    )
    return commented(group, comment)


def commented(group: Group, text: str) -> Group:
    """`group` with a comment (121106, DCM); TID 1501 is extensible and has no slot for one."""
    from highdicom.sr import RelationshipTypeValues, TextContentItem
    from pydicom.sr.codedict import codes

    group[0].ContentSequence.append(
        TextContentItem(codes.DCM.Comment, text, RelationshipTypeValues.CONTAINS)
    )
    return group


def observer(imprint: Imprint) -> ObservationContext:
    """The software as device observer; no person has looked."""
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    device = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[SOFTWARE, imprint.version]), name=SOFTWARE,
        manufacturer_name=SOFTWARE, model_name=SOFTWARE, serial_number=imprint.version,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        )
    )


def _finding_site(code: Code, laterality: Code | None) -> FindingSite:
    from highdicom.sr import FindingSite

    return FindingSite(concept(code), None if laterality is None else concept(laterality))
