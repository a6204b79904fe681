"""What every object of one run carries alike: patient, study, equipment, UIDs and dates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

from operators.dicom_writer.validity import valid
from operators.labels import PRIVATE_SCHEME, RESEARCH_NOTICE

if TYPE_CHECKING:
    from highdicom import ContributingEquipment, SOPClass
    from highdicom.coding_schemes import CodingSchemeIdentificationItem
    from pydicom import Dataset

    from operators.types import Findings, Provenance

SOFTWARE = "Lentiform"

# PS3.3 C.7.1.1 (Patient), C.7.2.1 (General Study) and C.7.2.2 (Patient Study): what is copied from
# the study's header into every source header, so that all results agree on it.
_PATIENT_AND_STUDY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence", "PatientBirthDate",
    "PatientBirthTime", "PatientSex", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "StudyDescription", "PatientAge", "PatientSize", "PatientWeight",
)
_TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)
_SEXES = ("M", "F", "O")


@dataclass(frozen=True, slots=True, eq=False)
class Imprint:
    """One run's marks on its objects.

    Series and instance UIDs are new for each run (a PACS refuses or replaces a UID it knows);
    they follow from study, software version and start of the run. `stable_uid` follows from the
    study alone. `now` is in the study's time zone where its header states one.
    """

    header: Dataset
    study_uid: str
    version: str
    started: str
    now: datetime
    first_series_number: int

    @classmethod
    def of(
        cls, findings: Findings, *, provenance: Provenance, now: datetime, first_series_number: int
    ) -> Imprint:
        study = findings.study.study
        zone = _time_zone(study.header)
        return cls(
            study.header, study.uid, provenance.software_version, provenance.started,
            now.astimezone(zone) if zone else now, first_series_number,
        )

    def uid(self, *names: str) -> str:
        """A UID of this run alone; the same names give the same UID."""
        return self.stable_uid(self.version, self.started, *names)

    def stable_uid(self, *names: str) -> str:
        """A UID that every run on this study gives for `names`."""
        from pydicom.uid import generate_uid

        return str(generate_uid(entropy_srcs=["|".join((self.study_uid, *names))]))

    def source(self, header: Dataset) -> Dataset:
        """A valid source header with the study's patient and study attributes, all of type 2.

        The copy shares its elements with `header`. Frame of Reference UID, which real files
        lack at times, is then one per source series; empty sequences, which real files carry and
        the standard forbids, are left out.
        """
        source, _ = valid(header)
        for keyword in _PATIENT_AND_STUDY:
            if keyword in self.header:
                source[keyword] = self.header[keyword]
        _with_known_characters(source)
        for tag in list(source.keys()):
            if not source.get_item(tag).value and source[tag].VR == "SQ":
                del source[tag]
        for keyword in _TYPE_2:
            if keyword not in source:
                replace_element(source, keyword, None)
        if source.PatientSex not in _SEXES:
            replace_element(source, "PatientSex", None)
        if not source.get("FrameOfReferenceUID"):
            frame_uid = self.stable_uid("frame", source.SeriesInstanceUID)
            replace_element(source, "FrameOfReferenceUID", frame_uid)
        return source

    def sources(self, headers: Iterable[Dataset]) -> list[Dataset]:
        """`source` of each."""
        return [self.source(header) for header in headers]

    def keywords(self, name: str, offset: int, description: str) -> dict[str, Any]:
        """Keyword arguments for highdicom's constructors: series, instance, equipment, dates.

        `name` seeds the UIDs, `offset` is added to the first series number.
        """
        date, time = self.now.date(), self.now.time()
        return {
            "series_instance_uid": self.uid(name, "series"),
            "series_number": self.first_series_number + offset,
            "sop_instance_uid": self.uid(name, "instance", "1"),
            "instance_number": 1,
            "manufacturer": SOFTWARE,
            "manufacturer_model_name": SOFTWARE,
            "software_versions": self.version,
            "device_serial_number": self.version,
            "series_description": description,
            "content_date": date,
            "content_time": time,
            "series_date": date,
            "series_time": time,
        }

    def coding_schemes(self) -> Sequence[CodingSchemeIdentificationItem]:
        """The project's own scheme, for objects that use it."""
        from highdicom.coding_schemes import CodingSchemeIdentificationItem

        return [
            CodingSchemeIdentificationItem(
                PRIVATE_SCHEME, name=SOFTWARE, version=self.version,
                responsible_organization=SOFTWARE,
            )
        ]

    def equipment(self) -> Sequence[ContributingEquipment]:
        """This software as processing equipment, with the research notice."""
        from highdicom import ContributingEquipment
        from pydicom.sr.codedict import codes

        return [
            ContributingEquipment(
                manufacturer=SOFTWARE,
                purpose_of_reference=codes.DCM.ProcessingEquipment,
                manufacturer_model_name=SOFTWARE,
                software_versions=self.version,
                contribution_datetime=self.now,
                contribution_description=RESEARCH_NOTICE,
            )
        ]

    def blank(
        self, source: Dataset, sop_class_uid: str, modality: str, keywords: dict[str, Any]
    ) -> SOPClass:
        """An object with patient, study, series and equipment modules, and nothing more.

        `source` comes from `source()`, `keywords` from `keywords()`.
        """
        from highdicom import ContributingEquipment, SOPClass
        from pydicom.uid import ExplicitVRLittleEndian

        blank = SOPClass(
            study_instance_uid=source.StudyInstanceUID, sop_class_uid=sop_class_uid,
            transfer_syntax_uid=ExplicitVRLittleEndian, modality=modality,
            specific_character_set=source.get("SpecificCharacterSet"), **keywords,
        )
        blank.copy_patient_and_study_information(source)
        equipment = list(self.equipment())
        if source.get("Manufacturer"):
            equipment.insert(0, ContributingEquipment.for_image_acquisition(source))
        blank.ContributingEquipmentSequence = equipment
        self.finish(blank)
        return blank

    def finish(self, dataset: Dataset) -> None:
        """The attributes that highdicom fills from the wall clock or leaves out."""
        dataset.InstanceCreationDate = f"{self.now:%Y%m%d}"
        dataset.InstanceCreationTime = f"{self.now:%H%M%S.%f}"
        if _time_zone(self.header):
            dataset.TimezoneOffsetFromUTC = f"{self.now:%z}"
        if dataset.Modality not in ("SR", "DOC"):
            dataset.BodyPartExamined = "BRAIN"


def _time_zone(header: Dataset) -> tzinfo | None:
    """The zone of all dates and times in the study's objects; None where it is not stated."""
    offset = str(header.get("TimezoneOffsetFromUTC") or "")
    if re.fullmatch(r"[+-](0\d|1[0-4])[0-5]\d", offset) is None:
        return None
    return datetime.strptime(offset, "%z").tzinfo


def _with_known_characters(source: Dataset) -> None:
    """Text as Unicode where highdicom takes no such character set: Japanese and Korean ones begin
    with an empty value, others are misspelt or mixed."""
    from highdicom.enum import SpecificCharacterSetValues

    stated = source.get("SpecificCharacterSet")
    known = [value.value for value in SpecificCharacterSetValues if "2022" not in value.value]
    if stated and stated not in known:
        source.decode()
        replace_element(source, "SpecificCharacterSet", "ISO_IR 192")


def replace_element(dataset: Dataset, keyword: str, value: Any) -> None:
    """Give `dataset` a new element; assigning would change one it shares with another dataset."""
    from pydicom.datadict import dictionary_VR, tag_for_keyword

    tag = tag_for_keyword(keyword)
    assert tag is not None
    dataset.add_new(tag, dictionary_VR(tag), value)
