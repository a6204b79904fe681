"""What every object of the simulated study says about patient, study, equipment and space."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import DSfloat

from apps.phantom.dicom.dialects import DIALECTS
from apps.phantom.dicom.scan import Scan, VendorStyle
from operators.labels import Code

STUDY_DATE = "20240311"
_FIRST_MINUTE = 9 * 60


@dataclass(frozen=True, slots=True)
class Identity:
    """Who and when: every UID follows from these fields, so the same study has the same UIDs."""

    seed: int
    style: VendorStyle
    content: str
    field_strength_t: float

    def uid(self, *parts: object) -> UID:
        """The UID of a named thing of this study."""
        entropy = ["lentiform-phantom", str(self.seed), self.style.value, self.content]
        return generate_uid(entropy_srcs=[*entropy, *map(str, parts)])


def common_header(identity: Identity, sop_class: str, series: str, number: int) -> Dataset:
    """Patient, general study, general series, equipment and frame of reference modules."""
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = sop_class
    header.PatientName = "LENTIFORM^PHANTOM"
    header.PatientID = f"SIM-{identity.seed}"
    header.PatientBirthDate = ""
    header.PatientSex = "O"
    header.PatientComments = "Simulated images. No patient."
    header.StudyInstanceUID = identity.uid("study")
    header.SeriesInstanceUID = identity.uid("series", number, series)
    header.FrameOfReferenceUID = identity.uid("frame of reference")
    header.PositionReferenceIndicator = ""
    header.StudyID, header.AccessionNumber = "1", ""
    header.ReferringPhysicianName = ""
    header.StudyDescription = "SIMULATED BRAIN SMALL VESSEL"
    header.SeriesNumber, header.SeriesDescription = number, series
    header.Modality = "MR"
    _stamp(header, number)
    _equip(header, identity)
    return header


def _stamp(header: Dataset, number: int) -> None:
    """Study date is fixed; series follow each other by four minutes in order of number."""
    for keyword in ("Study", "Series", "Acquisition", "Content"):
        setattr(header, f"{keyword}Date", STUDY_DATE)
        setattr(header, f"{keyword}Time", "090000" if keyword == "Study" else time_of(number))


def time_of(number: int) -> str:
    """When the series of this number began."""
    order = number // 100 if number >= 100 else number
    minute = _FIRST_MINUTE + 4 * order
    return f"{minute // 60:02d}{minute % 60:02d}00"


def _equip(header: Dataset, identity: Identity) -> None:
    words = DIALECTS[identity.style]
    header.Manufacturer = words.manufacturer
    header.ManufacturerModelName = words.model
    header.SoftwareVersions = words.software
    header.InstitutionName = "Lentiform simulator"
    header.DeviceSerialNumber = "0"
    header.BodyPartExamined = "BRAIN"
    header.PatientPosition = "HFS"


def finish_file(dataset: Dataset) -> Dataset:
    """Add the file meta information."""
    from pydicom.dataset import FileMetaDataset

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset


def copied(dataset: Dataset) -> Dataset:
    """A shallow copy that writes `encoded` elements as they are.

    `Dataset(other)` would share its elements with the other.
    """
    copy = Dataset(dict(dataset.items()))
    implicit, little = dataset.original_encoding
    copy.set_original_encoding(implicit, little, dataset.original_character_set)
    return copy


def encoded(header: Dataset) -> Dataset:
    """The same header with its values already in bytes: many copies of it are quickly written."""
    buffer = BytesIO()
    header.save_as(buffer, implicit_vr=False, little_endian=True)
    buffer.seek(0)
    return dcmread(buffer, force=True)


@dataclass(frozen=True, slots=True)
class Geometry:
    """One grid in the words of DICOM's plane modules; DS values ready to write."""

    orientation: list[DSfloat]
    pixel_spacing_mm: list[DSfloat]
    slice_spacing_mm: DSfloat
    positions_lps_mm: list[list[DSfloat]]

    @classmethod
    def of(cls, affine_lps_mm: NDArray[np.float64], slices: int) -> Geometry:
        """Read an affine of (slice, row, column) indices with axes at right angles."""
        spacing = np.linalg.norm(affine_lps_mm[:3, :3], axis=0)
        axes = affine_lps_mm[:3, :3] / spacing
        steps = np.arange(slices)[:, None] * affine_lps_mm[:3, 0]
        return cls(
            decimals([*axes[:, 2], *axes[:, 1]]),
            decimals(spacing[1:]),
            decimals(spacing[:1])[0],
            [decimals(position) for position in affine_lps_mm[:3, 3] + steps],
        )


def decimals(values: NDArray[np.float64] | list[float]) -> list[DSfloat]:
    """Numbers as decimal strings of at most 16 characters."""
    return [DSfloat(float(value), auto_format=True) for value in values]


def coded(code: Code) -> Dataset:
    """One item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def real_world_mapping(
    unit: Code, slope: float, intercept: float, *, is_signed: bool, stored: tuple[int, int]
) -> Dataset:
    """One item of RealWorldValueMappingSequence: what the stored values mean, with a unit."""
    item = Dataset()
    item.LUTExplanation = f"Real World Value Mapping for {unit.value}"
    item.LUTLabel = unit.value[:16]
    item.MeasurementUnitsCodeSequence = [coded(unit)]
    first, last = stored
    kind = "SS" if is_signed else "US"
    item.add_new(0x00409216, kind, first)
    item.add_new(0x00409211, kind, last)
    item.RealWorldValueIntercept = float(intercept)
    item.RealWorldValueSlope = float(slope)
    return item


def window(dataset: Dataset, scan: Scan, volume_index: int) -> None:
    """Window that spans the displayed range of one volume."""
    volume = scan.volumes[volume_index]
    slope, intercept, _ = volume.scaling or (1.0, 0.0, "")
    low, high = (float(edge) * slope + intercept for edge in (volume.pixels.min(),
                                                              volume.pixels.max()))
    dataset.WindowCenter, dataset.WindowWidth = decimals([(low + high) / 2, max(high - low, 1.0)])
