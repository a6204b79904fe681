"""A model's estimates stand beside what was measured in every result, and never without a word."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from operators.dicom_writer.estimates import estimate_rows, z_rows
from operators.dicom_writer.report import report_pdf
from operators.types import (
    Findings,
    LncEstimates,
    LncScore,
    NotAssessed,
    Provenance,
    Unit,
)


@pytest.fixture(scope="module")
def out(written: Callable[..., Path], estimated: LncScore) -> Path:
    return written(lnc=estimated)


def _text(findings: Findings, provenance: Provenance, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    path = folder / "report.pdf"
    path.write_bytes(report_pdf(findings, provenance=provenance))
    return " ".join(subprocess.run(["pdftotext", "-layout", str(path), "-"], check=True,
                                   capture_output=True, text=True).stdout.split())


def test_the_tables_put_measured_first_and_say_nothing_of_what_is_unknown(
    estimated: LncScore
) -> None:
    assert isinstance(estimated.estimates, LncEstimates)
    assert estimate_rows(estimated.estimates) == [
        ["Both sides, mean", "FA measured", "FA model estimate [95 %]", "CBF measured",
         "CBF model estimate [95 %]"],
        ["putamen", "0.230", "0.220 [0.180, 0.260]", "–", "41.0 [30.0, 52.0]"],
    ]
    assert z_rows(estimated.estimates) == [
        ["z-score", "FA L", "FA R", "volume L", "volume R"],
        ["putamen", "-1.2", "–", "–", "+0.5"],
    ]


def test_the_report_tells_estimates_after_measurements_and_how_far_to_trust_them(
    make_findings: Callable[..., Findings], estimated: LncScore, provenance: Provenance,
    tmp_path: Path,
) -> None:
    text = _text(make_findings(lnc=estimated), provenance, tmp_path)
    assert text.index("(means)") < text.index("Model estimates and reference group (research)")
    for words in ("0.220 [0.180, 0.260]", "Model estimate of group: B", "71 %",
                  "balanced accuracy 0.62 [0.50, 0.73]", "group = A (26 subjects)",
                  "They replace no measurement", "No estimate of label lsa_roots",
                  "They hold 2 cerebral microbleeds", "Grad-CAM"):
        assert words in text, words


def test_without_a_model_of_a_cohort_the_report_says_why_there_is_no_score(
    make_findings: Callable[..., Findings], estimated: LncScore, provenance: Provenance,
    tmp_path: Path,
) -> None:
    silent = replace(estimated, estimates=NotAssessed("The model has no heads."))
    text = _text(make_findings(lnc=silent), provenance, tmp_path)
    assert "no score is derived" in text
    assert "The model has no heads." in text
    assert "Model estimates" not in text


def test_findings_json_holds_the_estimates(out: Path) -> None:
    told = json.loads((out / "findings.json").read_text())["lnc"]["estimates"]
    assert told["regions"][1] == {
        "name": "putamen", "quantity": "cbf", "unit": Unit.ABSOLUTE_CBF.value, "measured": None,
        "estimate": 41.0, "low": 30.0, "high": 52.0, "subjects": 79}
    assert told["labels"][0]["right_when_so_called"] == 0.71
    assert told["z_scores"][0] == {"name": "putamen", "side": "left", "quantity": "fa", "z": -1.25}


def test_the_structured_report_derives_estimates_apart_from_measurements(out: Path) -> None:
    report = dcmread(out / "dicom" / "SR_findings.dcm")
    numbers = [item for item in report.iterall() if item.tag == (0x0040, 0xA300)]
    assert numbers
    found = {}
    for item in _walk(report):
        if item.get("ValueType") == "NUM":
            kinds = [each.ConceptCodeSequence[0].CodeValue for each in item.get(
                "ContentSequence", []) if each.get("ConceptCodeSequence")]
            for kind in kinds:
                found.setdefault(kind, []).append(
                    float(item.MeasuredValueSequence[0].NumericValue))
    assert found["ESTIMATE"] == [0.22, 41.0]
    assert found["ESTLOW"] == [0.18, 30.0]
    assert found["ESTHIGH"] == [0.26, 52.0]
    assert found["ZSCORE"] == [-1.25, 0.5]


def _walk(item):
    yield item
    for inner in item.get("ContentSequence", []):
        yield from _walk(inner)


def test_saliency_is_a_parametric_map_in_its_place(out: Path, estimated: LncScore) -> None:
    assert isinstance(estimated.estimates, LncEstimates)
    files = sorted(path.name for path in (out / "dicom").glob("SALIENCY*"))
    assert files == ["SALIENCY_1_fa.dcm"]
    read = highdicom.imread(out / "dicom" / "SALIENCY_1_fa.dcm").get_volume()
    given = estimated.estimates.saliency["fa"]
    where = np.argwhere(given.array == 1)
    place = given.map_indices_to_reference(where)
    assert np.argwhere(read.array == 1).shape == (1, 3)
    assert np.allclose(read.map_indices_to_reference(np.argwhere(read.array == 1)), place,
                       atol=1e-3)
    assert read.array.sum() == pytest.approx(given.array.sum())
    header = dcmread(out / "dicom" / "SALIENCY_1_fa.dcm", stop_before_pixels=True)
    assert header.ContentQualification == "RESEARCH"


def test_dciodvfy_finds_no_error_in_what_a_model_adds(out: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (dicom3tools: Debian)")
    for name in ("SALIENCY_1_fa", "SR_findings"):
        done = subprocess.run(["dciodvfy", "-new", str(out / "dicom" / f"{name}.dcm")],
                              capture_output=True, text=True, check=False)
        lines = (done.stdout + done.stderr).splitlines()
        assert not [line for line in lines if line.startswith("Error")], name
