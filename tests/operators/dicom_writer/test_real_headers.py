"""Results on the headers of real scanners: objects still pass, and come back where they belong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume, get_volume_from_series, imread
from highdicom.seg import segread
from pydicom import Dataset, dcmread

from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.write import write_results
from operators.labels import Side, structure
from operators.types import Findings, LesionMap, Provenance, Role, Unit

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
SIEMENS_T1 = "siemens_xa30_enhanced/In/5_anat-T1w_acq-tfl"
PHILIPS_CBF = "philips_elition/In/cl"


def _files(folder: str, pattern: str) -> list[Path]:
    files = sorted((DATA / folder).rglob(pattern))
    if not files:
        pytest.skip(f"no {DATA / folder}: the shared scanner data is not on this machine")
    return files


def _siemens() -> tuple[Volume, tuple[Dataset, ...]]:
    """Enhanced T1; geometry in every frame."""
    path = _files(SIEMENS_T1, "*.dcm")[0]
    return imread(path).get_volume(), (dcmread(path, stop_before_pixels=True),)


def _philips() -> tuple[Volume, tuple[Dataset, ...]]:
    """Classic perfusion map; empty sequences and dirty names."""
    datasets = [dcmread(path) for path in _files(PHILIPS_CBF, "1901_*.dcm")]
    volume = get_volume_from_series(datasets, apply_real_world_transform=False)
    along = volume.unit_vectors()[0]
    datasets.sort(key=lambda item: float(np.dot(along, item.ImagePositionPatient)))
    for dataset in datasets:
        del dataset.PixelData
    return volume, tuple(datasets)


def _blocks(volume: Volume) -> Volume:
    labels = np.zeros(volume.spatial_shape, dtype=np.uint8)
    k, j, i = (size // 2 for size in volume.spatial_shape)
    labels[k - 2 : k + 2, j - 5 : j + 5, i : i + 7] = structure("putamen", Side.LEFT).number
    labels[k - 2 : k + 2, j - 5 : j + 5, i - 7 : i] = structure("putamen", Side.RIGHT).number
    return volume.with_array(labels)


@pytest.mark.parametrize("read", [_siemens, _philips], ids=["Siemens XA enhanced", "Philips"])
def test_results_on_real_headers_pass_and_regions_come_back_voxel_for_voxel(
    read: Callable[[], tuple[Volume, tuple[Dataset, ...]]],
    make_findings: Callable[..., Findings], empty_lesions: LesionMap, provenance: Provenance,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume, headers = read()
    findings = make_findings(lesions=empty_lesions)
    study = findings.study.study
    source = replace(
        study.series[Role.MAGNITUDE], volumes=(volume.astype(np.float32),), headers=headers,
        series_uid=headers[0].SeriesInstanceUID,
    )
    computed = replace(source, role=Role.QSM, unit=Unit.PPM, derived_from=(Role.MAGNITUDE,))
    study = replace(
        study, uid=headers[0].StudyInstanceUID, header=Dataset(),
        series={Role.MAGNITUDE: source, Role.QSM: computed},
    )
    labels = _blocks(volume)
    findings = replace(
        findings, study=replace(findings.study, study=study),
        regions=replace(findings.regions, labels=labels),
    )
    monkeypatch.setattr(
        "operators.dicom_writer.write.report_pdf",
        lambda findings, *, provenance: b"%PDF",  # noqa: ARG005
    )
    write_results(
        findings, tmp_path / "out", settings=WriterSettings(bids=False), provenance=provenance,
        now=datetime(2026, 1, 1),
    )
    dicom = tmp_path / "out" / "dicom"
    back = segread(dicom / "SEG_regions.dcm").get_volume(combine_segments=True)
    # scanners round positions to about 1e-5 of a voxel
    back = back.match_geometry(labels, tol=1e-3)
    np.testing.assert_array_equal(back.array, np.searchsorted([0, 3, 4], labels.array))
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    for path in (*sorted(dicom.glob("*.dcm")), dicom / "QSM" / "0001.dcm"):
        verdict = subprocess.run(
            ["dciodvfy", "-new", str(path)], capture_output=True, text=True, check=False
        )
        assert "Error" not in verdict.stdout + verdict.stderr, path.name
