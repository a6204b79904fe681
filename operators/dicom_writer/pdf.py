"""The report page as an Encapsulated PDF object (PS3.3 A.45.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from operators.dicom_writer.imprint import SOFTWARE, Imprint

if TYPE_CHECKING:
    from pydicom import Dataset


def encapsulated_pdf(pdf: bytes, evidence: Sequence[Dataset], imprint: Imprint) -> Dataset:
    """`pdf` as a DICOM object of the same study; `evidence` are the source headers it rests on."""
    from highdicom.sr import CodedConcept
    from pydicom import Dataset
    from pydicom.sr.codedict import codes
    from pydicom.uid import EncapsulatedPDFStorage

    title = f"{SOFTWARE} report (research)"
    document = imprint.blank(
        imprint.source(evidence[0]), EncapsulatedPDFStorage, "DOC",
        imprint.keywords("PDF_report", 4, title),
    )
    document.ConversionType = "WSD"
    document.AcquisitionDateTime = None
    document.BurnedInAnnotation = "YES"
    document.DocumentTitle = title
    document.ConceptNameCodeSequence = [
        CodedConcept.from_code(codes.cid7021.ImagingMeasurementReport)
    ]
    document.MIMETypeOfEncapsulatedDocument = "application/pdf"
    document.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    document.EncapsulatedDocumentLength = len(pdf)
    document.SourceInstanceSequence = [Dataset() for _ in evidence]
    for item, header in zip(document.SourceInstanceSequence, evidence, strict=True):
        item.ReferencedSOPClassUID = header.SOPClassUID
        item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return document
