"""Siemens mosaics: tiles are slices, at the places that dcm2niix finds too."""

from __future__ import annotations

import shutil
import struct
import subprocess

import nibabel
import numpy as np
import pytest

from operators.dicom_loader.load import load_study
from operators.errors import BrokenSeries
from operators.types import Role

SLICES, ROWS, COLUMNS = 7, 12, 10
PER_SIDE = 3
DIRECTIONS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0, 0.6, -0.8], [0.8, 0, 0.6]], dtype=float
)
OBLIQUE = (1.0, 0.0, 0.0, 0.0, 0.9396926, -0.3420201)


def _csa(normal, count):
    """A CSA2 image header with the two elements that place the tiles."""
    tags = {
        "NumberOfImagesInMosaic": ("US", [str(count)]),
        "SliceNormalVector": ("FD", [f"{part:.8f}" for part in normal]),
    }
    blob = b"SV10\x04\x03\x02\x01" + struct.pack("<II", len(tags), 77)
    for name, (vr, values) in tags.items():
        blob += struct.pack("<64sI4sIII", name.encode(), len(values), vr.encode(), 0, 6, 77)
        for k in range(6):
            text = values[k].encode() + b"\0" if k < len(values) else b""
            padded = text + b"\0" * (-len(text) % 4)
            blob += struct.pack("<IIII", len(text), len(text), 77, len(text)) + padded
    return blob


def _volume(k):
    return (np.arange(SLICES * ROWS * COLUMNS).reshape(SLICES, ROWS, COLUMNS) + 10 * k) % 4096


def _write(bench, *, count=SLICES, sign=1.0):
    u, v = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    normal = sign * np.cross(u, v)
    first = np.array([-20.0, -30.0, 5.0])
    whole = np.array([PER_SIDE * ROWS, PER_SIDE * COLUMNS])
    corner = first - u * 2.0 * (whole[1] - COLUMNS) / 2 - v * 2.0 * (whole[0] - ROWS) / 2
    for k in range(7):
        mosaic = np.zeros(whole, dtype=np.uint16)
        for number, tile in enumerate(_volume(k)):
            row, column = number // PER_SIDE * ROWS, number % PER_SIDE * COLUMNS
            mosaic[row : row + ROWS, column : column + COLUMNS] = tile

        def edit(header, _, k=k):
            header.ImagePositionPatient = [round(float(p), 5) for p in corner]
            block = header.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
            block.add_new(0x10, "OB", _csa(normal, count))
            block = header.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0A, "US", count)
            block.add_new(0x0C, "IS", 1000 if k else 0)
            if k:
                block.add_new(0x0E, "FD", DIRECTIONS[k - 1].tolist())

        bench.series(
            mosaic[None], number=3, edit=edit, first_instance=k + 1, AcquisitionNumber=k + 1,
            ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE", "ND", "MOSAIC"],
            ScanningSequence="EP", MRAcquisitionType="2D", SequenceName="*ep_b1000",
            SeriesDescription="ep2d_diff", PixelSpacing=[2.0, 2.0], SliceThickness=2.5,
            SpacingBetweenSlices=3.0, ImageOrientationPatient=list(OBLIQUE), EchoTime=80.0,
            InPlanePhaseEncodingDirection="COL", PatientPosition="HFS",
        )  # fmt: skip
    return first, normal


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_tiles_become_slices_at_their_places(bench, settings, sign):
    first, normal = _write(bench, sign=sign)
    series = load_study(bench.folder, settings=settings).series[Role.DWI]
    assert len(series.volumes) == 7
    assert len(series.headers) == 7
    volume = series.volumes[2]
    assert volume.spatial_shape == (SLICES, ROWS, COLUMNS)
    for number in (0, 4, SLICES - 1):
        place = first + number * 3.0 * normal
        index = np.rint(np.linalg.inv(volume.affine) @ [*place, 1.0]).astype(int)[:3]
        np.testing.assert_allclose(volume.affine @ [*index, 1], [*place, 1], atol=1e-3)
        np.testing.assert_array_equal(volume.array[index[0]], _volume(2)[number])
    assert [s.b_value_s_mm2 for s in series.samples] == [0.0] + [1000.0] * 6


def test_dcm2niix_reads_the_same_grid_and_values(bench, settings, tmp_path):
    tool = shutil.which("dcm2niix")
    if tool is None:
        pytest.skip("dcm2niix is not installed")
    _write(bench)
    out = tmp_path / "nifti"
    out.mkdir()
    subprocess.run(
        [tool, "-z", "n", "-f", "m", "-o", out, bench.folder], check=True, capture_output=True
    )
    image = nibabel.load(out / "m.nii")
    volume = load_study(bench.folder, settings=settings).series[Role.DWI].volumes[3]
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    corners = np.array([[0, 0, 0, 1], [6, 0, 0, 1], [0, 11, 9, 1], [6, 11, 9, 1], [3, 5, 2, 1]])
    places = (volume.affine @ corners.T).T
    indices = np.rint((np.linalg.inv(to_lps @ image.affine) @ places.T).T).astype(int)
    np.testing.assert_allclose((to_lps @ image.affine @ indices.T).T, places, atol=1e-2)
    data = np.asarray(image.dataobj)
    ours = [volume.array[tuple(corner[:3])] for corner in corners]
    theirs = [data[(*index[:3], 3)] for index in indices]
    np.testing.assert_array_equal(ours, theirs)


def test_a_mosaic_that_is_no_square_grid_is_told(bench, settings):
    from operators.dicom_loader.load import inspect_study

    _write(bench, count=60)
    decision = inspect_study(bench.folder, settings=settings).decisions[0]
    assert decision.role is None
    assert "is a mosaic of 36 x 30 pixels with 60 tiles stated" in decision.reason
    with pytest.raises(Exception, match="no series that fills a role"):
        load_study(bench.folder, settings=settings)
    assert issubclass(BrokenSeries, Exception)
