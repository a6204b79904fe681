"""b-values and directions of every vendor, in patient coordinates."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from apps.map.settings import load_settings
from operators.dicom_loader import diffusion
from operators.dicom_loader.diffusion import classic_diffusion, enhanced_diffusion
from operators.dicom_loader.load import inspect_study, load_study
from operators.types import Role

LOADER = load_settings().dicom_loader.model_copy(update={"read_spare_volumes": True})

DIRECTIONS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0], [0, 0.6, -0.8], [0.8, 0, 0.6]], dtype=float
)


def _header(maker, **elements):
    header = Dataset()
    header.Manufacturer = maker
    header.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def _siemens(b, vector=None, matrix=None):
    header = _header("SIEMENS")
    block = header.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", b)
    if vector is not None:
        block.add_new(0x0E, "FD", list(vector))
    if matrix is not None:
        block.add_new(0x27, "FD", list(matrix))
    return header


def test_standard_attributes_come_first():
    header = _header("Philips", DiffusionBValue=1000.0, DiffusionGradientOrientation=[0, 3.0, 4.0])
    assert classic_diffusion(header) == (1000.0, pytest.approx((0, 0.6, 0.8)))


def test_a_zero_vector_beside_a_b_value_is_no_direction():
    header = _header("Philips", DiffusionBValue=1000.0, DiffusionGradientOrientation=[0, 0, 0.0])
    assert classic_diffusion(header) == (1000.0, None)


def test_siemens_private_vector_is_in_patient_coordinates():
    assert classic_diffusion(_siemens(900, (0.6, 0.0, 0.8))) == (900, pytest.approx((0.6, 0, 0.8)))
    assert classic_diffusion(_siemens(0)) == (0.0, None)


def test_siemens_b_matrix_gives_the_direction_up_to_its_sign():
    g = np.array([0.36, 0.48, 0.8])
    b = 1000 * np.outer(g, g)
    b_value, vector = classic_diffusion(
        _siemens(1000, matrix=(b[0, 0], b[0, 1], b[0, 2], b[1, 1], b[1, 2], b[2, 2]))
    )
    assert b_value == 1000
    assert abs(np.dot(vector, g)) == pytest.approx(1.0, abs=1e-6)


def test_siemens_elements_that_lost_their_vr_are_read():
    header = _siemens(700)
    header.add_new(0x0019100E, "UN", np.array([0.0, 0.6, 0.8]).tobytes())
    header[0x0019100C].VR = "UN"
    header[0x0019100C].value = b"700 "
    assert classic_diffusion(header) == (700.0, pytest.approx((0.0, 0.6, 0.8)))


def test_siemens_csa_stands_in_where_the_private_group_is_silent(monkeypatch):
    stated = {"B_value": [1000.0], "DiffusionGradientDirection": [0.0, 0.6, 0.8]}
    monkeypatch.setattr(diffusion, "csa_values", lambda _, name: stated.get(name, []))
    header = _header("SIEMENS", ImageType=["ORIGINAL", "PRIMARY", "DIFFUSION"])
    assert classic_diffusion(header) == (1000.0, pytest.approx((0, 0.6, 0.8)))
    stated["B_value"] = [0.0]
    assert classic_diffusion(header) == (0.0, None)


def _ge(vector, *, b=1000, encoding="COL"):
    header = _header("GE MEDICAL SYSTEMS", InPlanePhaseEncodingDirection=encoding)
    header.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", [b, 8, 0, 0])
    block = header.private_block(0x0019, "GEMS_ACQU_01", create=True)
    for element, part in zip((0xBB, 0xBC, 0xBD), vector, strict=True):
        block.add_new(element, "DS", f"{part:.6g}")
    return header


def test_ge_vectors_turn_with_the_image():
    """Image axes here: rows along +y, columns along -z, normal -x."""
    b, vector = classic_diffusion(_ge((1, 0, 0)))
    assert b == 1000
    assert vector == pytest.approx((0, 1, 0))
    assert classic_diffusion(_ge((0, 1, 0)))[1] == pytest.approx((0, 0, -1))
    assert np.abs(classic_diffusion(_ge((0, 0, 1)))[1]) == pytest.approx((1, 0, 0))
    assert np.abs(classic_diffusion(_ge((1, 0, 0), encoding="ROW"))[1]) == pytest.approx((0, 0, 1))


def test_ge_flags_and_lower_shells_are_undone():
    assert classic_diffusion(_ge((1, 0, 0), b=1_000_000_800))[0] == 800
    b, vector = classic_diffusion(_ge((0.5, 0, 0.5), b=2000))
    assert b == 1000
    assert np.linalg.norm(vector) == pytest.approx(1.0)


def test_old_philips_private_elements_are_read():
    header = _header("Philips Medical Systems")
    header.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(3, "FL", 800.0)
    block = header.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    for element, part in zip((0xB0, 0xB1, 0xB2), (0.0, 0.8, 0.6), strict=True):
        block.add_new(element, "FL", part)
    assert classic_diffusion(header) == (800.0, pytest.approx((0.0, 0.8, 0.6)))


def test_enhanced_isotropic_frames_have_no_direction():
    item = Dataset()
    item.DiffusionBValue, item.DiffusionDirectionality = 1000.0, "ISOTROPIC"
    assert enhanced_diffusion(item) == (1000.0, None)
    assert enhanced_diffusion(None) == (None, None)


def test_enhanced_b_matrix_stands_in_for_a_direction():
    item, matrix = Dataset(), Dataset()
    item.DiffusionBValue, item.DiffusionDirectionality = 2500.0, "BMATRIX"
    values = {"XX": 900.0, "XY": 1200.0, "XZ": 0.0, "YY": 1600.0, "YZ": 0.0, "ZZ": 0.0}
    for axes, value in values.items():
        setattr(matrix, f"DiffusionBValue{axes}", value)
    item.DiffusionBMatrixSequence = Sequence([matrix])
    _, vector = enhanced_diffusion(item)
    assert np.abs(vector) == pytest.approx((0.6, 0.8, 0.0))


def _write(bench, directions, *, trace=False):
    common = {
        "number": 4, "ScanningSequence": ["EP", "SE"], "MRAcquisitionType": "2D", "EchoTime": 70.0,
        "SeriesDescription": "ep2d_diff", "Manufacturer": "Philips",
        "ImageType": ["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
    }  # fmt: skip
    volumes = [(1000.0, tuple(g)) for g in directions] + [(0.0, (0.0, 0.0, 0.0))]
    if trace:
        volumes.append((1000.0, (0.0, 0.0, 0.0)))
    for k, (b, g) in enumerate(volumes):
        bench.series(
            bench.ramp(start=100 * k), DiffusionBValue=b, DiffusionGradientOrientation=list(g),
            first_instance=10 * k + 1, **common,
        )  # fmt: skip


def test_a_series_with_an_appended_trace_volume_loses_it_with_a_word(bench, settings):
    _write(bench, DIRECTIONS, trace=True)
    study = load_study(bench.folder, settings=settings)
    series = study.series[Role.DWI]
    assert [s.b_value_s_mm2 for s in series.samples] == [0.0] + [1000.0] * 6
    np.testing.assert_allclose([s.b_vector_lps for s in series.samples[1:]], DIRECTIONS, atol=1e-6)
    np.testing.assert_array_equal(series.volumes[1].array[::-1], bench.ramp())
    assert any("1 isotropic (trace or ADC) volume(s)" in w for w in study.warnings)


def test_too_few_directions_for_a_tensor_are_refused_with_their_number(bench, settings):
    _write(bench, DIRECTIONS[:3])
    decision = inspect_study(bench.folder, settings=settings).decisions[0]
    assert decision.role is None
    assert decision.reason == (
        "a tensor needs at least 6 directions (3 found), and there is no fa map"
    )
    assert decision.volume_count == 4


def _fa_map(bench):
    bench.series(
        number=5, ImageType=["ORIGINAL", "PRIMARY", "FA_SE", "FA", "SE"], EchoTime=70.0,
        ScanningSequence=["EP", "SE"], SeriesDescription="FA",
    )  # fmt: skip


def test_beside_an_fa_map_their_b0_is_read_to_carry_it(bench, settings, decoded):
    _write(bench, DIRECTIONS[:3])
    _fa_map(bench)
    series = load_study(bench.folder, settings=settings).series[Role.DWI]
    assert [s.b_value_s_mm2 for s in series.samples] == [0.0]
    assert len(decoded) == 12
    assert "carries the scanner's FA map" in series.reason


def test_weighted_volumes_beside_an_fa_map_are_read_only_when_asked_for(bench, decoded):
    _write(bench, DIRECTIONS)
    _fa_map(bench)
    sparing = load_settings().dicom_loader
    series = load_study(bench.folder, settings=sparing).series[Role.DWI]
    assert [s.b_value_s_mm2 for s in series.samples] == [0.0]
    assert len(decoded) == 12
    assert len(series.headers) == 6
    everything = load_study(bench.folder, settings=LOADER)
    assert len(everything.series[Role.DWI].volumes) == 7
