"""Objects of the session that are no images to read: a protocol report, a colour map."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydicom import Dataset
from pydicom.uid import BasicTextSRStorage, SecondaryCaptureImageStorage

from apps.phantom.dicom.frames import group
from apps.phantom.dicom.header import STUDY_DATE, Identity, coded, common_header, finish_file
from apps.phantom.dicom.scan import Contrast, Scan
from operators.labels import Code

_REPORT = Code("121070", "DCM", "Findings")
_TITLE = Code("18782-3", "LN", "Radiology Study observation")


def document_objects(scans: Iterable[Scan], identity: Identity) -> list[Dataset]:
    """A text report of the protocol; with an FA map its colour twin, of the same description."""
    objects = [_protocol_report(scans, identity)]
    for scan in scans:
        if scan.contrast is Contrast.FA:
            objects += _colour_twin(scan, identity)
    return objects


def _protocol_report(scans: Iterable[Scan], identity: Identity) -> Dataset:
    report = common_header(identity, BasicTextSRStorage, "Protocol Report", 9900)
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "BodyPartExamined",
                    "PatientPosition", "AcquisitionDate", "AcquisitionTime"):
        delattr(report, keyword)
    report.Modality = "SR"
    report.SOPInstanceUID = identity.uid("report")
    report.InstanceNumber = 1
    report.CompletionFlag, report.VerificationFlag = "COMPLETE", "UNVERIFIED"
    report.ReferencedPerformedProcedureStepSequence = []
    report.PerformedProcedureCodeSequence = []
    report.ValueType, report.ContinuityOfContent = "CONTAINER", "SEPARATE"
    report.ConceptNameCodeSequence = [coded(_TITLE)]
    text = "; ".join(scan.description for scan in scans)
    report.ContentSequence = [group(
        RelationshipType="CONTAINS", ValueType="TEXT", ConceptNameCodeSequence=[coded(_REPORT)],
        TextValue=f"Simulated session on {STUDY_DATE}: {text}",
    )]
    return finish_file(report)


def _colour_twin(scan: Scan, identity: Identity) -> list[Dataset]:
    """RGB secondary captures of a map, slice by slice, as consoles make them."""
    pixels = scan.volumes[0].pixels
    grey = np.clip(pixels.astype(np.float64) / max(int(pixels.max()), 1) * 255, 0, 255)
    colour = np.stack([grey, 255 - grey, np.zeros_like(grey)], axis=-1).astype(np.uint8)
    number = scan.number + 1000
    objects = []
    for index, image in enumerate(colour, start=1):
        capture = common_header(
            identity, SecondaryCaptureImageStorage, scan.description, number
        )
        for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator"):
            delattr(capture, keyword)
        capture.SOPInstanceUID = identity.uid("capture", number, index)
        capture.ImageType = ["DERIVED", "PRIMARY", "DIFFUSION", "FA"]
        capture.ConversionType, capture.InstanceNumber = "WSD", index
        capture.Rows, capture.Columns = image.shape[:2]
        capture.SamplesPerPixel, capture.PhotometricInterpretation = 3, "RGB"
        capture.PlanarConfiguration, capture.PixelRepresentation = 0, 0
        capture.BitsAllocated, capture.BitsStored, capture.HighBit = 8, 8, 7
        capture.PatientOrientation = ""
        capture.BurnedInAnnotation = "NO"
        data = image.tobytes()
        capture.PixelData = data + b"\0" * (len(data) % 2)
        objects.append(finish_file(capture))
    return objects
