"""Two real studies without SWI: regions and LNC are assessed, lesions say why they are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pytest

from operators.errors import ExitCode
from operators.labels import LESIONS, LNC_NAMES, NOT_EVALUATED, Side, structure

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
STUDIES = {
    "philips classic and enhanced": DATA / "philips_elition/In",
    "siemens enhanced": DATA / "siemens_xa30_enhanced/In",
}


@pytest.fixture(scope="module", params=sorted(STUDIES))
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real study through the MAP as its contract says: paths in the environment."""
    study = STUDIES[request.param]
    if not study.exists():
        pytest.skip(f"real studies are not here: {study}")
    out = tmp_path_factory.mktemp("real") / "out"
    environment = os.environ | {"HOLOSCAN_INPUT_PATH": str(study), "HOLOSCAN_OUTPUT_PATH": str(out)}
    done = subprocess.run(
        [sys.executable, "-m", "apps.map"], env=environment, capture_output=True, text=True,
        check=False,
    )
    assert done.returncode == ExitCode.LESIONS_NOT_ASSESSED, done.stderr[-3000:]
    (out / "stderr.txt").write_text(done.stderr)
    return out


def test_a_study_without_a_grid_for_results_says_what_is_missing(tmp_path: Path) -> None:
    """The enhanced Philips copy alone holds ASL and a field map, and raw data."""
    study = DATA / "philips_elition/In/enh"
    if not study.exists():
        pytest.skip(f"real studies are not here: {study}")
    done = subprocess.run(
        [sys.executable, "-m", "apps.map", "-i", str(study), "-o", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == ExitCode.NOTHING_TO_ASSESS
    assert "No series can give the reference grid (found: cbf, asl)" in done.stderr
    assert not list((tmp_path / "out").glob("*"))


def findings(result: Path) -> dict[str, Any]:
    return dict(json.loads((result / "findings.json").read_text()))


def test_lesions_are_not_assessed_and_never_counted_as_none(result: Path) -> None:
    lesions = findings(result)["lesions"]
    assert lesions["assessed"] is False
    assert lesions["counts"] is None
    done = subprocess.run(["pdftotext", "-layout", result / "report.pdf", "-"],
                          capture_output=True, text=True, check=True)
    assert "Microbleeds and iron deposits: not assessed" in done.stdout
    assert "No cerebral microbleed found" not in done.stdout
    assert not (result / "dicom" / "SEG_lesions.dcm").exists()


def test_the_field_map_is_refused_with_its_reason(result: Path) -> None:
    reasons = [d["reason"] for d in findings(result)["series"] if d["role"] is None]
    assert any("field map" in reason and "no source for SWI" in reason for reason in reasons)
    done = subprocess.run(["pdftotext", "-layout", result / "report.pdf", "-"],
                          capture_output=True, text=True, check=True)
    assert "was not used: GRE field map" in done.stdout


def test_exit_code_json_manifest_and_structured_report_agree(result: Path) -> None:
    assert findings(result)["status"]["exit_code"] == ExitCode.LESIONS_NOT_ASSESSED
    manifest = json.loads((result / "manifest.json").read_text())
    assert manifest["status"]["exit_code"] == ExitCode.LESIONS_NOT_ASSESSED
    report = highdicom.sr.srread(result / "dicom" / "SR_findings.dcm")
    groups = report.content.get_image_measurement_groups()
    for label in LESIONS.values():
        (total,) = (g for g in groups if g.tracking_identifier == f"{label.abbreviation} total")
        (evaluation,) = total.get_qualitative_evaluations()
        assert evaluation.value.CodeValue == NOT_EVALUATED.value


def test_relative_cbf_is_called_relative_and_partial_coverage_is_said(result: Path) -> None:
    lnc = findings(result)["lnc"]
    units = {region["quantities"]["cbf"]["unit"] for region in lnc["regions"]}
    assert units == {"relative"}
    assert any("CBF is relative" in note for note in lnc["notes"])
    short = [r for r in lnc["regions"] if r["quantities"]["cbf"]["coverage"] < 0.95]
    assert bool(short) == any("CBF covers only part of" in note for note in lnc["notes"])


def test_region_means_equal_plain_numpy_on_the_written_files(result: Path) -> None:
    (labels_path,) = (result / "bids").rglob("*regions_dseg.nii.gz")
    labels = np.asarray(nibabel.load(labels_path).dataobj)
    regions = findings(result)["lnc"]["regions"]
    assert {region["name"] for region in regions} >= set(LNC_NAMES)
    volume_mm3 = float(np.prod(nibabel.load(labels_path).header.get_zooms()[:3]))
    sizes = np.bincount(labels.ravel().astype(int)) * volume_mm3
    for region in regions:
        assert np.isclose(sizes, region["volume_mm3"], rtol=0.01).any()


def test_fa_and_cbf_of_the_report_equal_numpy_and_nilearn_on_what_dcm2niix_reads(
    result: Path, tmp_path: Path
) -> None:
    """Nothing of the product but the regions' numbers, T1w's grid and the registrations."""
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is not installed")
    told = findings(result)
    series = {entry["role"]: entry["series_number"] for entry in told["series"] if entry["role"]}
    source = DATA / ("philips_elition/In/cl" if series["t1w"] == 1301 else
                     "siemens_xa30_enhanced/In")
    subprocess.run(["dcm2niix", "-z", "n", "-f", "%s", "-o", tmp_path, source], check=True,
                   capture_output=True)
    (regions,) = (result / "bids").rglob("*regions_dseg.nii.gz")
    labels = nibabel.load(regions)
    moved = {entry["role"]: np.array(entry["matrix_lps_mm"]) for entry in told["registrations"]}
    if "fa" in series:
        fa = nibabel.load(tmp_path / f"{series['fa']}.nii")
        fa = nibabel.Nifti1Image(fa.get_fdata(dtype=np.float32) / 1000, fa.affine)
    else:
        fa = fa_of(tmp_path / f"{series['dwi']}.nii")
    cbf = nibabel.load(tmp_path / f"{series['cbf']}.nii")
    maps = {"Fractional Anisotropy": onto(labels, fa, moved["fa"]),
            "Relative Regional Blood Flow": onto(labels, cbf, moved["cbf"])}
    numbers = np.asarray(labels.dataobj).astype(int)
    report = highdicom.sr.srread(result / "dicom" / "SR_findings.dcm")
    groups = {group.tracking_identifier: group
              for group in report.content.get_volumetric_roi_measurement_groups()}
    for name in LNC_NAMES:
        for side in (Side.LEFT, Side.RIGHT):
            region = structure(name, side)
            means = {one.name.meaning: float(one.value)
                     for one in groups[region.label].get_measurements()
                     if one.derivation is not None and one.derivation.meaning == "Mean"}
            for quantity, values in maps.items():
                expected = float(np.nanmean(values[numbers == region.number]))
                assert means[quantity] == pytest.approx(expected, rel=0.01), (name, quantity)


def onto(labels: Any, image: Any, matrix_lps_mm: np.ndarray) -> np.ndarray:
    """An image on the regions' grid by nilearn; the matrix maps a point there to one of it."""
    from nilearn.image import resample_img

    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = np.linalg.inv(flip @ matrix_lps_mm @ flip) @ image.affine
    there = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), affine)
    return np.asarray(resample_img(
        there, target_affine=labels.affine, target_shape=labels.shape, interpolation="linear",
        fill_value=np.nan, copy_header=True, force_resample=True).dataobj)


def fa_of(path: Path) -> Any:
    """FA by numpy: the logarithm of the signal, weighted by what an unweighted fit predicts."""
    image = nibabel.load(path)
    signal = image.get_fdata(dtype=np.float32)
    b, g = np.loadtxt(path.with_suffix(".bval")), np.loadtxt(path.with_suffix(".bvec")).T
    kept = (b < 50) | (np.linalg.norm(g, axis=1) > 0.5)
    signal, b, g = signal[..., kept], b[kept], g[kept]
    b0 = signal[..., b < 50].mean(axis=-1)
    head = b0 > 0.1 * np.percentile(b0, 99)
    x, y, z = g.T
    design = np.column_stack([np.ones(len(b)), *(-b * part for part in (
        x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z))])
    logs = np.log(np.maximum(signal[head].astype(float), 1e-4))
    weights = np.exp(2 * (logs @ np.linalg.pinv(design).T @ design.T))
    normal = np.einsum("ni,vn,nj->vij", design, weights, design)
    right = np.einsum("ni,vn,vn->vi", design, weights, logs)
    fitted = np.linalg.solve(normal, right[..., None])[:, 1:, 0]
    tensors = fitted[:, [0, 3, 4, 3, 1, 5, 4, 5, 2]].reshape(-1, 3, 3)
    values = np.maximum(np.linalg.eigvalsh(tensors), 0)
    apart = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    fa = np.zeros(head.shape, np.float32)
    fa[head] = np.sqrt(1.5 * apart / np.maximum((values**2).sum(axis=1), 1e-30))
    return nibabel.Nifti1Image(fa, image.affine)


def test_left_lies_left(result: Path) -> None:
    segmentation = highdicom.seg.segread(result / "dicom" / "SEG_regions.dcm")
    volume = segmentation.get_volume(combine_segments=True)
    for number in segmentation.segment_numbers:
        name = str(segmentation.get_segment_description(number).segment_label)
        if name in ("left putamen", "right putamen"):
            centre = volume.map_indices_to_reference(
                np.argwhere(volume.array == number).mean(axis=0)[None]
            )[0]
            assert (centre[0] > 0) == name.startswith("left")


def test_no_log_line_names_the_patient(result: Path) -> None:
    report = highdicom.sr.srread(result / "dicom" / "SR_findings.dcm")
    logged = (result / "stderr.txt").read_text()
    for value in (str(report.PatientName), str(report.PatientID)):
        if len(value) > 2:
            assert value not in logged
