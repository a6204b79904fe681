"""All results of a run, written whole or not at all.

    OUT/dicom/SEG_lesions.dcm   only where a lesion was found
    OUT/dicom/SEG_regions.dcm   only where regions were assessed
    OUT/dicom/SR_findings.dcm
    OUT/dicom/PDF_report.dcm
    OUT/dicom/SALIENCY_<n>_<answer>.dcm   only where an LNC model of a cohort answered
    OUT/dicom/<ROLE>/0001.dcm   computed maps: SWI, QSM, FA, CBF ...
    OUT/report.pdf
    OUT/findings.json
    OUT/bids/
    OUT/manifest.json           written last
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from operators.dicom_writer.bids import write_bids
from operators.dicom_writer.derived_maps import derived_series, map_objects
from operators.dicom_writer.findings_json import findings_document
from operators.dicom_writer.imprint import Imprint
from operators.dicom_writer.manifest import write_json, write_manifest
from operators.dicom_writer.pdf import encapsulated_pdf
from operators.dicom_writer.report import report_pdf
from operators.dicom_writer.saliency import saliency_objects
from operators.dicom_writer.segmentation import (
    lesion_segmentation,
    region_segmentation,
    region_segments,
    source_headers,
)
from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.staging import staged
from operators.dicom_writer.structured_report import Segmentations, structured_report
from operators.dicom_writer.validity import with_valid_header
from operators.types import Findings, NotAssessed, Provenance

if TYPE_CHECKING:
    from highdicom.pm import ParametricMap
    from pydicom import Dataset

_FIRST_MAP = 10


def write_results(
    findings: Findings, folder: Path, *, settings: WriterSettings, provenance: Provenance,
    now: datetime,
) -> None:
    """Write every result into `folder`, in one move at the end.

    Raises OutputError, with `folder` as it was: it holds files that are no former result, or a
    former result and `settings.overwrite` is off, or it cannot be written.
    """
    findings = with_valid_header(findings)
    with staged(folder, overwrite=settings.overwrite) as stage:
        write_objects(findings, stage, settings=settings, provenance=provenance, now=now)
        write_manifest(findings, stage, provenance=provenance, now=now)


def write_objects(
    findings: Findings, folder: Path, *, settings: WriterSettings, provenance: Provenance,
    now: datetime,
) -> None:
    """Every result but the manifest, into an empty `folder`."""
    imprint = Imprint.of(
        findings, provenance=provenance, now=now, first_series_number=settings.first_series_number
    )
    pdf = report_pdf(findings, provenance=provenance)
    (folder / "report.pdf").write_bytes(pdf)
    write_json(folder / "findings.json", findings_document(findings))
    _write_documents(findings, folder / "dicom", pdf, imprint)
    if settings.derived_maps:
        _write_maps(findings, folder / "dicom", imprint)
    if settings.bids:
        write_bids(findings, folder / "bids", version=provenance.software_version)


def _write_documents(findings: Findings, folder: Path, pdf: bytes, imprint: Imprint) -> None:
    """SEG, SR and PDF."""
    folder.mkdir()
    segmentations = _segmentations(findings, imprint)
    evidence = evidence_headers(findings)
    objects: dict[str, Dataset | None] = {
        "SEG_lesions": segmentations.lesions,
        "SEG_regions": segmentations.regions,
        "SR_findings": structured_report(findings, segmentations, evidence, imprint),
        "PDF_report": encapsulated_pdf(pdf, evidence, imprint),
        **_saliency(findings, imprint),
    }
    for name, dataset in objects.items():
        if dataset is not None:
            dataset.save_as(folder / f"{name}.dcm", enforce_file_format=True)


def _segmentations(findings: Findings, imprint: Imprint) -> Segmentations:
    """The SEG objects; one without a segment cannot exist."""
    source = findings.study.study.series[findings.study.reference]
    lesions, regions = None, None
    if not isinstance(findings.lesions, NotAssessed) and findings.lesions.lesions:
        lesions = lesion_segmentation(findings.lesions, source, imprint)
    if not isinstance(findings.regions, NotAssessed) and region_segments(findings.regions):
        regions = region_segmentation(findings.regions, source, imprint)
    return Segmentations(lesions, regions)


def _saliency(findings: Findings, imprint: Imprint) -> dict[str, ParametricMap]:
    lnc = findings.lnc
    if isinstance(lnc, NotAssessed) or isinstance(lnc.estimates, NotAssessed):
        return {}
    source = findings.study.study.series[findings.study.reference]
    return saliency_objects(lnc.estimates, source, imprint)


def evidence_headers(findings: Findings) -> list[Dataset]:
    """Headers of all series the findings rest on, each once, the reference grid's first."""
    study, reference = findings.study.study, findings.study.reference
    used = [series for role, series in study.series.items() if role is not reference]
    headers = list(source_headers(study.series[reference]))
    headers += study.series[reference].headers
    for series in used:
        headers += series.headers
    return list({header.SOPInstanceUID: header for header in headers}.values())


def _write_maps(findings: Findings, folder: Path, imprint: Imprint) -> None:
    study = findings.study.study
    for place, series in enumerate(derived_series(study)):
        target = folder / series.role.name
        target.mkdir()
        objects = map_objects(series, study, imprint, offset=_FIRST_MAP + place)
        for number, dataset in enumerate(objects, 1):
            dataset.save_as(target / f"{number:04d}.dcm", enforce_file_format=True)
