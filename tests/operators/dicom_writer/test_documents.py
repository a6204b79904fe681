"""findings.json, manifest.json and the BIDS tree say the same as the DICOM objects."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from operators.dicom_writer.bids import subject
from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.write import write_results
from operators.types import Findings, LesionMap, NotAssessed, Provenance, Role

NO_SWI = NotAssessed("no susceptibility-weighted series")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def _bids(out: Path, name: str) -> Path:
    (path,) = (out / "bids").rglob(f"sub-*_{name}")
    return path


def test_findings_list_every_lesion_with_its_numbers(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    document = _json(written() / "findings.json")
    lesions = document["lesions"]
    assert document["schema"] == "lentiform-findings/1"
    assert document["research_only"] is True
    assert lesions["counts"] == {"CMB": 2, "NHID": 0, "CALC": 1, "VESSEL": 0}
    assert lesions["pattern"] == "mixed"
    first, _, calcium = lesions["items"]
    assert (first["class"], first["mars"], first["category"]) == ("CMB", "frontal", "lobar")
    assert first["location"] == "left frontal lobe"
    assert first["volume_mm3"] == pytest.approx(17.28)
    assert calcium["peak_ppm"] == pytest.approx(-0.42)
    assert calcium["location"] is None
    uids = [lesion.uid for lesion in make_findings().lesions.lesions]
    assert [item["tracking_uid"] for item in lesions["items"]] == uids


def test_not_assessed_is_null_with_a_reason_and_none_found_is_zero(
    written: Callable[..., Path]
) -> None:
    refused = _json(written(lesions=NO_SWI) / "findings.json")
    assert refused["status"] == {
        "exit_code": 10, "meaning": "LNC assessed, lesions not (the report says why)"
    }
    assert refused["lesions"]["assessed"] is False
    assert refused["lesions"]["reason"] == NO_SWI.reason
    assert refused["lesions"]["counts"] is None
    assert refused["lesions"]["items"] is None


def test_none_found_writes_no_lesion_seg_and_counts_of_zero(
    empty_lesions: LesionMap, written: Callable[..., Path]
) -> None:
    out = written(lesions=empty_lesions)
    document = _json(out / "findings.json")
    assert document["lesions"]["assessed"] is True
    assert set(document["lesions"]["counts"].values()) == {0}
    assert document["lesions"]["items"] == []
    assert document["lesions"]["pattern"] == "none"
    assert document["status"]["exit_code"] == 0
    assert not (out / "dicom" / "SEG_lesions.dcm").exists()
    assert (out / "dicom" / "SR_findings.dcm").exists()
    mask = nibabel.load(_bids(out, "space-orig_label-CMB_mask.nii.gz"))
    assert np.asarray(mask.dataobj).sum() == 0


def test_what_could_not_be_measured_is_null(written: Callable[..., Path]) -> None:
    left, right = _json(written() / "findings.json")["lnc"]["regions"]
    assert left["quantities"]["qsm"]["mean"] is None
    assert left["quantities"]["qsm"]["coverage"] == 0
    assert right["quantities"]["qsm"]["mean"] == pytest.approx(0.04)
    assert left["quantities"]["cbf"]["unit"] == "relative"


def test_region_volumes_are_voxels_times_voxel_volume(written: Callable[..., Path]) -> None:
    items = _json(written() / "findings.json")["regions"]["items"]
    volumes = {item["name"]: item["volume_mm3"] for item in items}
    assert volumes["left putamen"] == pytest.approx(6 * 12 * 6 * 2.0 * 0.9 * 0.8)


def test_no_patient_name_or_identifier_leaves_the_dicom_objects(
    written: Callable[..., Path]
) -> None:
    for path in written().rglob("*"):
        if path.suffix in (".json", ".tsv") or path.name == "README":
            text = path.read_text(encoding="utf-8")
            assert "Nachname" not in text, path
            assert "4711" not in text, path


def test_the_manifest_names_choices_refusals_versions_and_costs(
    written: Callable[..., Path]
) -> None:
    manifest = _json(written(lesions=NO_SWI) / "manifest.json")
    assert manifest["status"]["exit_code"] == 10
    reasons = {entry["which"]: entry["reason"] for entry in manifest["refusals"]}
    assert reasons == {
        "1.2.3": "a localiser", "t2w": "registration failed", "lesions": NO_SWI.reason
    }
    assert manifest["computed"] == {"qsm": "chosen as qsm", "fa": "chosen as fa"}
    provenance = manifest["provenance"]
    assert provenance["libraries"] == {"numpy": "1.26.4"}
    assert provenance["settings"] == {"dicom_writer": {"bids": True}}
    (step,) = provenance["steps"]
    assert (step["name"], step["seconds"]) == ("registration", 2.5)


def test_the_manifest_vouches_for_every_other_file(written: Callable[..., Path]) -> None:
    out = written()
    listed = {entry["path"]: entry["sha256"] for entry in _json(out / "manifest.json")["files"]}
    found = {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert listed == found
    assert "dicom/SR_findings.dcm" in listed


def test_bids_label_maps_keep_voxels_and_place(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    out, findings = written(), make_findings()
    for name in ("lesions", "regions"):
        volume = getattr(findings, name).labels
        image = nibabel.load(_bids(out, f"space-orig_seg-{name}_dseg.nii.gz"))
        np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array)
        np.testing.assert_allclose(image.affine, LPS_TO_RAS @ volume.affine, atol=1e-5)
    mask = nibabel.load(_bids(out, "space-orig_label-CMB_mask.nii.gz"))
    expected = np.isin(findings.lesions.labels.array, [1, 2])
    np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, expected)


def test_bids_tables_have_a_row_per_label(written: Callable[..., Path]) -> None:
    with _bids(written(), "space-orig_seg-lesions_dseg.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [(row["index"], row["abbreviation"]) for row in rows] == [
        ("1", "CMB"), ("2", "CMB"), ("4", "CALC")
    ]
    sidecar = _json(_bids(written(), "space-orig_seg-lesions_dseg.json"))
    own = set(rows[0]) - {"index", "name", "abbreviation", "color"}  # the others are BIDS's
    assert own <= set(sidecar)
    assert sidecar["SpatialReference"].startswith("urn:oid:1.2.826")
    assert rows[2]["location"] == "n/a"
    assert float(rows[0]["mean_ppm"]) == pytest.approx(0.155)


def test_bids_maps_keep_their_unit_and_probabilities_come_back_to_a_255th(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    out, findings = written(), make_findings()
    qsm = nibabel.load(_bids(out, "Chimap.nii.gz"))
    given = findings.study.study.series[Role.QSM].volumes[0].array
    np.testing.assert_allclose(np.asarray(qsm.dataobj), given, atol=1e-6)
    assert _json(_bids(out, "Chimap.json"))["Units"] == "ppm"
    probability = nibabel.load(_bids(out, "space-orig_label-CMB_probseg.nii.gz"))
    expected = next(iter(findings.lesions.probabilities.values())).array
    assert probability.get_data_dtype() == np.uint8
    assert np.abs(probability.get_fdata() - expected).max() <= 0.5 / 255 + 1e-6


def test_the_tree_is_a_bids_derivative_of_a_hashed_subject(written: Callable[..., Path]) -> None:
    out = written()
    description = _json(out / "bids" / "dataset_description.json")
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Version"] == "0.1.0"
    study_uid = _json(out / "findings.json")["study_uid"]
    assert [path.name for path in (out / "bids").glob("sub-*")] == [subject(study_uid)]
    assert study_uid not in subject(study_uid)


def test_the_encapsulated_page_is_the_report_and_names_its_sources(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    out = written()
    document = dcmread(out / "dicom" / "PDF_report.dcm")
    page = (out / "report.pdf").read_bytes()
    assert document.EncapsulatedDocument[: document.EncapsulatedDocumentLength] == page
    magnitude = make_findings().study.study.series[Role.MAGNITUDE].headers
    sources = {item.ReferencedSOPInstanceUID for item in document.SourceInstanceSequence}
    assert {header.SOPInstanceUID for header in magnitude} <= sources


def test_settings_leave_out_maps_and_bids(
    make_findings: Callable[..., Findings], provenance: Provenance, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "operators.dicom_writer.write.report_pdf",
        lambda findings, *, provenance: b"%PDF",  # noqa: ARG005
    )
    settings = WriterSettings(derived_maps=False, bids=False, first_series_number=700)
    write_results(
        make_findings(), tmp_path / "o", settings=settings, provenance=provenance,
        now=datetime(2026, 1, 1),
    )
    names = sorted(path.name for path in (tmp_path / "o").rglob("*") if path.is_file())
    assert names == [
        "PDF_report.dcm", "SEG_lesions.dcm", "SEG_regions.dcm", "SR_findings.dcm",
        "findings.json", "manifest.json", "report.pdf",
    ]
    numbers = {int(dcmread(p).SeriesNumber) for p in (tmp_path / "o" / "dicom").glob("*.dcm")}
    assert numbers == {701, 702, 703, 704}
