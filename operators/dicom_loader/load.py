"""A folder of DICOM to a study: index, group, choose, then read only what was chosen."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from operators.dicom_loader.candidate import Candidate
from operators.dicom_loader.choose import Choice, choose
from operators.dicom_loader.elements import number_of
from operators.dicom_loader.enhanced import group_of_first_frame, siemens_protocol
from operators.dicom_loader.grouping import group_frames
from operators.dicom_loader.index import index_folder
from operators.dicom_loader.perfusion import asl_timing
from operators.dicom_loader.pixels import to_volumes
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.study_choice import choose_study
from operators.dicom_loader.values import Values, read_values
from operators.errors import BrokenSeries, NothingToAssess
from operators.types import Acquisition, Decision, Role, Series, Study

if TYPE_CHECKING:
    from pydicom import Dataset

# Attributes of the Patient, Patient Study and General Study modules that results repeat.
_STUDY_KEYWORDS = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence", "PatientBirthDate",
    "PatientBirthTime", "PatientSex", "PatientAge", "PatientSize", "PatientWeight",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription",
    "AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
)  # fmt: skip

# The scanner's map that a raw series carries into registration, and replaces.
_CARRIED = {Role.DWI: Role.FA, Role.ASL: Role.CBF}


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a run would take from a study, told without reading a pixel.

    `warnings` include what would stop a run, such as a missing slice in a chosen series.
    """

    study_uid: str
    decisions: tuple[Decision, ...]
    warnings: tuple[str, ...]


def inspect_study(
    folder: Path, *, settings: LoaderSettings, study_uid: str | None = None
) -> Inspection:
    """Which series of the study would take which role, and why each other would not.

    Raises InputError for a folder without DICOM and StudyChoiceError where the study is not clear.
    """
    uid, _, choice, warnings = _chosen(folder, settings, study_uid)
    broken = tuple(
        f"{candidate.name} ({role.value}) cannot be read: {candidate.broken}"
        for role, candidate in choice.chosen.items()
        if candidate.broken
    )
    return Inspection(uid, choice.decisions, warnings + broken)


def load_study(folder: Path, *, settings: LoaderSettings, study_uid: str | None = None) -> Study:
    """Read one study: every role that a series fills, values in their unit, LPS mm.

    Only pixels of series that got a role are read. Raises InputError (no DICOM), StudyChoiceError,
    BrokenSeries and UnsupportedObject for a chosen series that cannot be read, NothingToAssess
    where no series fills a role.
    """
    uid, header, choice, warnings = _chosen(folder, settings, study_uid)
    if not choice.chosen:
        raise NothingToAssess(
            f"Study {uid} has no series that fills a role (found: {_found(choice.decisions)}). "
            "Send SWI or GRE magnitude and phase, T1w, FA or DWI, CBF or ASL, or add a rule to "
            "section dicom_loader of app.yaml."
        )
    series: dict[Role, Series] = {}
    remarks: list[str] = []
    for role, candidate in choice.chosen.items():
        as_carrier = candidate.is_carrier_only or (
            not settings.read_spare_volumes and _CARRIED.get(role) in choice.chosen
        )
        values = read_values(candidate, as_carrier=as_carrier)
        series[role] = _series(candidate, values)
        remarks += values.remarks
    return Study(uid, header, series, choice.decisions, warnings + tuple(remarks))


def _chosen(
    folder: Path, settings: LoaderSettings, study_uid: str | None
) -> tuple[str, Dataset, Choice, tuple[str, ...]]:
    with _collector_paused():
        index = index_folder(folder)
        instances = choose_study(index, study_uid)
        choice = choose(group_frames(instances), settings)
    first = next(iter(choice.chosen.values())).group.header if choice.chosen else None
    source = instances[0].header if first is None else first
    warnings = index.warnings() + choice.told
    return str(source.StudyInstanceUID), _study_header(source), choice, warnings


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Headers are many small objects that all stay: looking through them for garbage costs a
    quarter of the time and finds none."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _study_header(source: Dataset) -> Dataset:
    from pydicom import Dataset

    header = Dataset()
    for keyword in _STUDY_KEYWORDS:
        if keyword in source:
            header[keyword] = source[keyword]
    return header


def _found(decisions: tuple[Decision, ...]) -> str:
    counts = Counter(d.description or d.modality for d in decisions)
    return ", ".join(f"{name} x{count}" for name, count in counts.items())


def _series(candidate: Candidate, values: Values) -> Series:
    frames = [frame for volume in values.layout.volumes for frame in volume]
    frames_of_reference = {
        str(f.instance.header.get("FrameOfReferenceUID", "")) for f in frames
    } - {""}
    if len(frames_of_reference) > 1:
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}) mixes {len(frames_of_reference)} frames of "
            "reference, one wanted. Send each as a series of its own."
        )
    header = candidate.group.header
    uid = next(iter(frames_of_reference), None)
    instances = {id(frame.instance): frame.instance for frame in frames}
    return Series(
        role=candidate.role,
        volumes=to_volumes(values.arrays, values.layout, uid),
        samples=values.samples,
        unit=values.unit,
        headers=tuple(instance.header for instance in instances.values()),
        series_uid=str(header.SeriesInstanceUID),
        description=str(header.get("SeriesDescription", "")),
        reason=candidate.reason,
        acquisition=_acquisition(candidate),
    )


def _acquisition(candidate: Candidate) -> Acquisition:
    header, facts = candidate.group.header, candidate.facts
    timing = group_of_first_frame(header, "MRTimingAndRelatedParametersSequence")
    measures = group_of_first_frame(header, "PixelMeasuresSequence")
    labelling = group_of_first_frame(header, "MRArterialSpinLabelingSequence")
    is_perfusion = candidate.role in {Role.ASL, Role.CBF}
    flip = number_of(header, "FlipAngle")
    thickness = number_of(header, "SliceThickness")
    return Acquisition(
        manufacturer=facts.manufacturer,
        model=str(header.get("ManufacturerModelName", "")),
        field_strength_t=facts.field_t,
        repetition_time_ms=facts.repetition_time_ms,
        flip_angle_deg=number_of(timing, "FlipAngle") if flip is None else flip,
        slice_thickness_mm=(
            number_of(measures, "SliceThickness") if thickness is None else thickness
        ),
        asl=asl_timing(header, labelling or None, siemens_protocol(header))
        if is_perfusion
        else None,
    )
