"""What breaks DICOM's rules in a source is cut or left empty, and said without its value."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from pydicom import Dataset, config, dcmread

from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.validity import valid
from operators.dicom_writer.write import write_results
from operators.types import Findings, Provenance

BROKEN = {
    "StudyDate": "ANONYMIZED", "StudyTime": "10:11:12", "PatientBirthDate": "1950",
    "PatientAge": "76 years", "StudyDescription": "secret" * 20,
    "AccessionNumber": "secret-accession-number", "PatientName": "Secret" * 20 + "^Name",
}


def header_of(**values: object) -> Dataset:
    """A header that holds `values` as an old file would, unchecked."""
    header = Dataset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
        patch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
        for keyword, value in values.items():
            setattr(header, keyword, value)
    return header


@pytest.mark.parametrize(
    ("keyword", "value", "fit"),
    [
        ("StudyDate", "20240229", "20240229"),
        ("StudyDate", "20230229", None),
        ("StudyDate", "20230101-20240101", None),
        ("StudyDate", "2023-01-01", None),
        ("StudyDate", "", ""),
        ("SeriesTime", "1011", "1011"),
        ("SeriesTime", "101112.123456", "101112.123456"),
        ("SeriesTime", "1011-1213", None),
        ("AcquisitionDateTime", "20240101101112+0900", "20240101101112+0900"),
        ("AcquisitionDateTime", "yesterday", None),
        ("StationName", "x" * 20, "x" * 16),
        ("PatientID", ["A", "B"], "A"),
        ("PatientID", "A\x07B", "AB"),
        ("SoftwareVersions", ["1", "x" * 70], ["1", "x" * 64]),
        ("PatientName", "a" * 70 + "=" + "b" * 70 + "=c=d", "a" * 64 + "=" + "b" * 64 + "=c"),
        ("ImagePositionPatient", ["-1.00000000000000001", "2E1", "3"], [-1, 20, 3]),
    ],
)
def test_only_what_breaks_the_rules_is_changed(
    keyword: str, value: object, fit: object
) -> None:
    header = header_of(**{keyword: value})
    copy, changed = valid(header)
    assert copy[keyword].value == fit
    assert bool(changed) is (fit != header[keyword].value)
    assert header[keyword].value == header_of(**{keyword: value})[keyword].value


def test_a_broken_header_is_told_by_attribute_and_its_values_are_in_no_result(
    make_findings: Callable[..., Findings], provenance: Provenance, tmp_path: Path
) -> None:
    findings = make_findings()
    study = findings.study.study
    study.header.update(header_of(**BROKEN))
    findings = replace(findings, study=replace(findings.study, study=study))
    out = tmp_path / "out"
    write_results(
        findings, out, settings=WriterSettings(), provenance=provenance, now=datetime(2026, 3, 4)
    )
    for path in (out / "dicom").rglob("*.dcm"):
        dataset = dcmread(path)
        for keyword in ("StudyDate", "StudyTime", "PatientBirthDate"):
            assert dataset[keyword].value == "", keyword
        assert dataset.AccessionNumber == "secret-accession"
        assert len(dataset.StudyDescription) == 64
    for name in ("findings.json", "manifest.json"):
        (remark,) = json.loads((out / name).read_text(encoding="utf-8"))["warnings"][1:]
        assert "Study Date" in remark
        assert "Patient's Birth Date" in remark
        assert not any(value in remark for value in BROKEN.values())
