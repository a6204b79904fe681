"""Every object written passes the field's validators, and other software reads it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from operators.types import Findings, NotAssessed

UNKNOWN = NotAssessed("no susceptibility-weighted series")


def _run(*command: str | Path) -> str:
    if shutil.which(str(command[0])) is None:
        pytest.skip(f"{command[0]} is not installed (dicom3tools: Debian; dcmqi: test extra)")
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    return finished.stdout + finished.stderr


def _objects(out: Path) -> list[Path]:
    return sorted((out / "dicom").rglob("*.dcm"))


@pytest.mark.parametrize("enhanced", [False, True], ids=["classic source", "enhanced source"])
def test_dciodvfy_finds_no_error_and_only_knows_not_our_private_codes(
    written: Callable[..., Path], enhanced: bool
) -> None:
    objects = _objects(written(enhanced=enhanced))
    assert len(objects) == 4 + 2 * 12
    for path in objects:
        for line in _run("dciodvfy", "-new", path).splitlines():
            assert not line.startswith("Error"), f"{path.name}: {line}"
            assert not line.startswith("Warning") or "<99LENTIFORM>" in line, line


@pytest.mark.parametrize(
    "parts",
    [
        {"lesions": UNKNOWN},
        {"lnc": UNKNOWN},
        {"lesions": UNKNOWN, "lnc": UNKNOWN, "regions": UNKNOWN},
    ],
    ids=["no lesions", "no LNC", "nothing"],
)
def test_dciodvfy_accepts_what_is_written_when_a_part_is_not_assessed(
    written: Callable[..., Path], parts: dict[str, NotAssessed]
) -> None:
    out = written(**parts)
    assert (out / "dicom" / "SEG_lesions.dcm").exists() is ("lesions" not in parts)
    assert (out / "dicom" / "SEG_regions.dcm").exists() is ("regions" not in parts)
    for path in sorted((out / "dicom").glob("*.dcm")):
        assert "Error" not in _run("dciodvfy", "-new", path)


def test_dcentvfy_finds_sources_and_results_to_be_one_study_of_one_patient(
    written: Callable[..., Path], make_findings: Callable[..., Findings], tmp_path: Path
) -> None:
    findings = make_findings()
    sources = []
    headers = findings.study.study.series[findings.study.reference].headers
    for number, header in enumerate(headers):
        sources.append(tmp_path / f"source{number}.dcm")
        header.save_as(sources[-1], implicit_vr=False, little_endian=True)
    verdict = _run("dcentvfy", *sources, *_objects(written()))
    # the tool places AccessionNumber in the series of a SEG and in the study of an SR
    findings_left = [line for line in verdict.splitlines() if "<AccessionNumber>" not in line]
    assert findings_left == []


@pytest.mark.parametrize("part", ["lesions", "regions"])
def test_dcmqi_reads_every_segment_voxel_for_voxel(
    written: Callable[..., Path], make_findings: Callable[..., Findings], tmp_path: Path, part: str
) -> None:
    findings = make_findings()
    target = tmp_path / "itk"
    target.mkdir()
    _run("segimage2itkimage", "--inputDICOM", written() / "dicom"
         / f"SEG_{part}.dcm", "--outputDirectory", target, "-t", "nrrd", "--prefix", "seg")
    labels = getattr(findings, part).labels
    grid = labels.astype(np.uint16).to_simpleitk()
    own_numbers = [number for number in np.unique(labels.array) if number]
    assert len(list(target.glob("*.nrrd"))) == len(own_numbers)
    for segment, own in enumerate(own_numbers, 1):
        image = SimpleITK.ReadImage(str(target / f"seg-{segment}.nrrd"))
        nearest = SimpleITK.sitkNearestNeighbor
        image = SimpleITK.Resample(image, grid, SimpleITK.Transform(), nearest)
        expected = SimpleITK.GetArrayFromImage(grid) == own
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image) > 0, expected)


def test_dcmqi_reads_the_report_with_its_groups_and_numbers(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    target = tmp_path / "sr.json"
    _run("tid1500reader", "--inputDICOM", written() / "dicom" / "SR_findings.dcm",
         "--outputMetadata", target)
    groups = json.loads(target.read_text(encoding="utf-8"))["Measurements"]
    by_name = {group["TrackingIdentifier"]: group for group in groups}
    assert {"CMB total", "CMB 1", "CMB 2", "CALC 4", "left putamen", "LNC total"} <= set(by_name)
    total = by_name["CMB total"]["measurementItems"][0]
    assert float(total["value"]) == 2
    peak = by_name["CALC 4"]["measurementItems"][-1]
    assert float(peak["value"]) == pytest.approx(-0.42)
    assert peak["units"]["CodeValue"] == "ppm"
