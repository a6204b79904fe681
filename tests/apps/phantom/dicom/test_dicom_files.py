"""Files as a PACS exports them: valid, shuffled, nested, the same again from the same seed."""

from __future__ import annotations

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread

from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
from operators.types import Role


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _small(subject):
    """The same subject with magnitude, phase and T1 only: quick to write again."""
    kept = {role: subject.images[role] for role in (Role.MAGNITUDE, Role.PHASE, Role.T1W)}
    return replace(subject, images=kept)


def _one_per_header(paths: list[Path]) -> list[Path]:
    """One file of each volume of each series; the slices of a volume differ in place only."""
    chosen = {}
    for path in paths:
        d = dcmread(path, stop_before_pixels=True)
        key = (d.SeriesInstanceUID, d.get("EchoNumbers"), str(d.get("ImageType")),
               d.get("TemporalPositionIdentifier"), d.get("RescaleSlope"))
        chosen.setdefault(key, path)
    return list(chosen.values())


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is absent")
@pytest.mark.parametrize("style", list(VendorStyle))
def test_dciodvfy_finds_no_error_in_any_kind_of_object(studies, style):
    def errors(path: Path) -> list[str]:
        run = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        )
        assert run.stdout + run.stderr, "dciodvfy said nothing, not even the kind of object"
        return [line for line in run.stderr.splitlines() if line.startswith("Error")]

    chosen = _one_per_header(_files(studies[style]))
    assert len(chosen) >= 13
    with ThreadPoolExecutor(2) as pool:
        assert [line for lines in pool.map(errors, chosen) for line in lines] == []


@pytest.mark.parametrize("style", list(VendorStyle))
def test_one_study_one_patient_one_frame_of_reference_and_clearly_a_phantom(studies, style):
    headers = [dcmread(path, stop_before_pixels=True) for path in _files(studies[style])]
    images = [h for h in headers if "FrameOfReferenceUID" in h]
    assert len({h.StudyInstanceUID for h in headers}) == 1
    assert len({h.FrameOfReferenceUID for h in images}) == 1
    assert {h.StudyDate for h in headers} == {"20240311"}
    assert {(str(h.PatientName), h.PatientID) for h in headers} == {
        ("LENTIFORM^PHANTOM", "SIM-3")
    }
    assert len({h.SOPInstanceUID for h in headers}) == len(headers)


def test_files_are_nested_and_shuffled(studies):
    paths = _files(studies[VendorStyle.GE])
    assert len({path.parent for path in paths}) > 5
    phase = [dcmread(path, stop_before_pixels=True) for path in paths if path.parent.name == "Z04"]
    numbers = [int(header.InstanceNumber) for header in phase]
    assert sorted(numbers) == list(range(1, 55))
    descents = sum(a > b for a, b in pairwise(numbers))
    assert descents > len(numbers) / 3


def test_some_files_have_no_suffix(studies):
    suffixes = {path.suffix for path in _files(studies[VendorStyle.ENHANCED])}
    assert suffixes == {"", ".dcm"}
    assert {path.suffix for path in _files(studies[VendorStyle.PHILIPS])} == {""}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_uids(subject, tmp_path):
    small = _small(subject)
    options = StudyOptions(decoys=False, documents=False)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_study(
            small, tmp_path / name, style=VendorStyle.GE, seed=seed, options=options
        )
    first, again, other = (_files(tmp_path / name) for name in "abc")
    assert [p.relative_to(tmp_path / "a") for p in first] == [
        p.relative_to(tmp_path / "b") for p in again
    ]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    uids = [
        {dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in group}
        for group in (first, other)
    ]
    assert len(uids[0]) == len(uids[1])
    assert not uids[0] & uids[1]


def test_decoys_and_documents_can_be_left_out(subject, tmp_path):
    options = StudyOptions(decoys=False, documents=False)
    write_study(
        _small(subject), tmp_path, style=VendorStyle.SIEMENS, seed=1, options=options
    )
    headers = [dcmread(path, stop_before_pixels=True) for path in _files(tmp_path)]
    assert {str(h.SeriesDescription) for h in headers} == {
        "Mag_Images", "Pha_Images", "t1_mprage_p2_iso"
    }
    assert len(headers) == 9 * 7


def test_dcm2niix_finds_three_echoes_of_phase_with_the_same_affine(studies, subject, tmp_path):
    nibabel = pytest.importorskip("nibabel")
    if shutil.which("dcm2niix") is None:
        pytest.skip("dcm2niix is absent")
    subprocess.run(
        ["dcm2niix", "-b", "n", "-f", "%s_%d_%e", "-o", str(tmp_path),
         str(studies[VendorStyle.SIEMENS])],
        check=True, capture_output=True,
    )
    phases = sorted(tmp_path.glob("*Pha_Images*_ph.nii*"))
    assert len(phases) == 3
    expected = subject.images[Role.PHASE].volumes[0].to_nibabel().affine
    image = nibabel.load(phases[0])
    assert sorted(image.shape) == [9, 40, 48]
    corners = [image.affine @ (*corner, 1) for corner in ((0, 0, 0), (39, 47, 8))]
    shape = subject.images[Role.PHASE].volumes[0].array.shape
    ours = [
        expected @ (k, i, j, 1)
        for k in (0, shape[0] - 1) for i in (0, shape[1] - 1) for j in (0, shape[2] - 1)
    ]
    for corner in corners:
        assert min(float(abs(corner - other).max()) for other in ours) < 1e-3
