"""The main job on a simulated study, from the command line to every file it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest

from apps.phantom.demo import Comparison, compare
from apps.phantom.types import Planted

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, run as a user runs it; its folder."""
    out = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "apps.cli", "demo", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (out / "stdout.txt").write_text(done.stdout)
    return out


@pytest.fixture(scope="module")
def comparison(demo: Path) -> Comparison:
    return compare(demo / "truth", demo / "result")


def findings(demo: Path) -> dict[str, Any]:
    return dict(json.loads((demo / "result" / "findings.json").read_text()))


def objects(demo: Path) -> list[Path]:
    return sorted((demo / "result" / "dicom").rglob("*.dcm"))


def test_all_planted_microbleeds_over_3_mm_but_one_are_found(comparison: Comparison) -> None:
    found = comparison.found_as(Planted.MICROBLEED, over_mm=3.0)
    assert found.total() >= 5
    assert found["CMB"] >= found.total() - 1
    assert set(found) <= {"CMB", ""}


def test_little_is_found_where_nothing_was_planted(comparison: Comparison) -> None:
    assert len(comparison.unplanted) <= 3


def test_no_planted_iron_or_calcium_over_3_mm_is_missing(comparison: Comparison) -> None:
    for kind in (Planted.IRON_DEPOSIT, Planted.CALCIFICATION):
        assert comparison.found_as(kind, over_mm=3.0)[""] == 0


def test_calcium_is_not_called_a_microbleed(comparison: Comparison) -> None:
    found = comparison.found_as(Planted.CALCIFICATION)
    assert found.total() >= 2
    assert found["CMB"] == 0


def test_the_closing_table_names_lesions_lnc_outputs_and_seconds(demo: Path) -> None:
    text = (demo / "stdout.txt").read_text()
    for words in ("Planted and found", "LNC (means)", "report.pdf", "seconds", "simulated"):
        assert words in text


def test_memory_stays_under_6_gb(demo: Path) -> None:
    steps = json.loads((demo / "result" / "manifest.json").read_text())["provenance"]["steps"]
    assert len(steps) == 7
    assert max(step["peak_memory_mib"] for step in steps) < 6 * 1024


def test_dciodvfy_finds_no_error_in_any_object(demo: Path) -> None:
    checked = {}
    for path in objects(demo):
        command = ["dciodvfy", "-new", path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        checked[path.name] = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert len(checked) >= 5
    assert not {name: errors for name, errors in checked.items() if errors}


def test_segmentation_and_nifti_hold_the_same_voxels(demo: Path) -> None:
    segmentation = highdicom.seg.segread(demo / "result" / "dicom" / "SEG_lesions.dcm")
    numbers = list(segmentation.segment_numbers)
    volume = segmentation.get_volume(combine_segments=True, skip_overlap_checks=False)
    (path,) = (demo / "result" / "bids").rglob("*lesions_dseg.nii.gz")
    image = nibabel.load(path)
    restored = highdicom.Volume.from_nibabel(image)
    full = volume.match_geometry(restored)
    assert len(numbers) == len(findings(demo)["lesions"]["items"])
    np.testing.assert_array_equal(full.array > 0, restored.array > 0)


def test_report_and_structured_report_count_as_findings_do(demo: Path) -> None:
    items = findings(demo)["lesions"]["items"]
    report = highdicom.sr.srread(demo / "result" / "dicom" / "SR_findings.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()
    uids = {str(group.tracking_uid) for group in groups}
    assert {item["tracking_uid"] for item in items} <= uids
    done = subprocess.run(
        ["pdftotext", "-layout", demo / "result" / "report.pdf", "-"], capture_output=True,
        text=True, check=True,
    )
    count = sum(item["class"] == "CMB" for item in items)
    assert re.search(rf"\b{count} cerebral microbleeds? \(", done.stdout)


def test_dcmqi_reads_segmentation_and_report(demo: Path, tmp_path: Path) -> None:
    dicom = demo / "result" / "dicom"
    subprocess.run(
        [BIN / "segimage2itkimage", "--inputDICOM", dicom / "SEG_regions.dcm",
         "--outputDirectory", tmp_path, "-t", "nifti"], check=True, capture_output=True,
    )
    assert list(tmp_path.glob("*.nii.gz"))
    subprocess.run(
        [BIN / "tid1500reader", "--inputDICOM", dicom / "SR_findings.dcm",
         "--outputMetadata", tmp_path / "sr.json"], check=True, capture_output=True,
    )
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    assert len(groups) >= len(findings(demo)["lesions"]["items"])


def test_results_join_the_study_and_never_a_source_series(demo: Path) -> None:
    sources = [pydicom.dcmread(p, stop_before_pixels=True) for p in (demo / "study").rglob("*")
               if p.is_file()]
    series = {source.SeriesInstanceUID for source in sources}
    for path in objects(demo):
        result = pydicom.dcmread(path, stop_before_pixels=True)
        assert result.StudyInstanceUID == sources[0].StudyInstanceUID
        assert result.SeriesInstanceUID not in series
        assert result.PatientID == sources[0].PatientID


def test_a_second_run_refuses_to_replace_the_result(demo: Path) -> None:
    command = [sys.executable, "-m", "apps.map", "-i", demo / "study", "-o", demo / "result"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 8
    assert "--overwrite" in done.stderr
