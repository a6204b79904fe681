"""Every transfer syntax gives the same values, without help from GDCM."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from operators.dicom_loader.load import load_study
from operators.types import Role

# (31 k) mod 4096 for k = 0..119 as 12 rows of 10, 12 bits, encoded once by GDCM as Process 14 SV1.
_JPEG_LOSSLESS = base64.b64decode(
    "/9j/wwALEAAMAAoBAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABQkQ/9oACAEBAAEAAM++++++++/TZ99999999+mz777777"
    "779Nn333333336bPvvvvvvvv02fffffffffps++++++++/TZ99999999+mz777777779Nn333333336bPvvvvvvvv02fff"
    "ffffff8A/9kA"
)


@pytest.fixture(autouse=True)
def _no_gdcm(monkeypatch):
    """GDCM is no dependency: where it happens to be installed it must not help."""
    for uid in (JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless):
        decoder = get_decoder(uid)
        plugins = {name: call for name, call in decoder._available.items() if name != "gdcm"}
        monkeypatch.setattr(decoder, "_available", plugins)


def _loaded(bench, settings):
    """Values in the order in which the bench wrote the slices (bottom to top)."""
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    return volume.array[::-1]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_losslessly_compressed_slices_come_back_value_for_value(bench, settings, syntax):
    plain = bench.magnitude(bench.ramp((3, 48, 40)))
    expected = bench.ramp((3, 48, 40))
    for path in plain:
        dataset = dcmread(path)
        dataset.compress(syntax)
        dataset.save_as(path)
    np.testing.assert_array_equal(_loaded(bench, settings), expected)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLossless])
def test_jpeg_lossless_comes_back_value_for_value(bench, settings, syntax):
    expected = ((np.arange(120) * 31) % 4096).reshape(12, 10)

    def compress(header, _):
        header.PixelData = encapsulate([_JPEG_LOSSLESS])

    for path in bench.magnitude(edit=compress):
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
    array = _loaded(bench, settings)
    np.testing.assert_array_equal(array, np.broadcast_to(expected, array.shape))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_encodings_come_back_value_for_value(bench, settings, syntax):
    for path in bench.magnitude():
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path)
    np.testing.assert_array_equal(_loaded(bench, settings), bench.ramp())


def test_big_endian_comes_back_value_for_value(bench, settings):
    def swap(header, _):
        header.PixelData = np.frombuffer(header.PixelData, "<u2").astype(">u2").tobytes()

    bench.syntax = ExplicitVRBigEndian
    bench.magnitude(edit=swap)
    np.testing.assert_array_equal(_loaded(bench, settings), bench.ramp())


def test_high_throughput_jpeg_2000_has_a_decoder():
    assert get_decoder(HTJ2KLossless).is_available


def test_signed_values_and_trailing_elements_are_read_right(bench, settings):
    values = bench.ramp().astype(np.int16) - 300

    def trail(header, _):
        header.DataSetTrailingPadding = b"\0" * 10

    bench.magnitude(
        values, PixelRepresentation=1, BitsStored=16, HighBit=15, edit=trail, RescaleSlope=0.5,
        RescaleIntercept=200,
    )  # fmt: skip
    np.testing.assert_allclose(_loaded(bench, settings), values * 0.5 + 200)


def test_each_slice_keeps_its_own_rescale(bench, settings):
    """QSM and PET-like series store a slope per slice; the first slice may be empty."""
    values = bench.ramp()
    values[0] = 0

    def scale(header, index):
        header.RescaleSlope = 0.1 * (index + 1)
        header.RescaleIntercept = -index

    bench.magnitude(values, edit=scale)
    expected = np.stack([values[k] * 0.1 * (k + 1) - k for k in range(6)])
    np.testing.assert_allclose(_loaded(bench, settings), expected, rtol=1e-6, atol=1e-4)
