"""Phase in radians for every vendor's storage; the sign of GE; the alternation of GE."""

from __future__ import annotations

import numpy as np
import pytest

from operators.dicom_loader.frames import Scaling
from operators.dicom_loader.load import inspect_study, load_study
from operators.dicom_loader.phase import (
    complex_to_phase,
    phase_to_radians,
    without_alternation,
)
from operators.errors import BrokenSeries
from operators.types import Role, Unit
from tests.operators.dicom_loader.conftest import SWI_PHASE

TRUE = np.linspace(-3.1, 3.1, 8 * 9 * 9, dtype=np.float32).reshape(8, 9, 9)


def _radians(stored, *, maker, scaling=None, bits=12):
    arrays, how = phase_to_radians(
        [stored.astype(np.float32)], scaling=scaling or Scaling(), manufacturer=maker,
        bits_stored=bits,
    )  # fmt: skip
    return arrays[0], how


@pytest.mark.parametrize(
    ("stored", "maker", "scaling", "said"),
    [
        (TRUE * 4096 / np.pi, "SIEMENS", Scaling(2, -4096), "Siemens full range"),
        (TRUE * 2048 / np.pi + 2048, "SIEMENS", Scaling(), "Siemens full range"),
        (TRUE * 1000, "Philips", Scaling(1.53455, -3142, "mrad"), "stated in mrad"),
        (TRUE * 1000, "Philips Medical Systems", Scaling(1.5, -3142, "milliradian"), "milliradian"),
        (TRUE, "UIH", Scaling(unit="rad"), "stated in rad"),
        (np.degrees(TRUE), "UIH", Scaling(unit="deg"), "stated in deg"),
        (TRUE, "UIH", Scaling(), "assumed -pi to pi"),
        (TRUE * 1000, "UIH", Scaling(), "assumed milliradians"),
        (TRUE * 4096 / np.pi, "Hitachi", Scaling(), "assumed -4096 to 4095"),
        (TRUE * 2048 / np.pi + 2048, "Hitachi", Scaling(), "assumed 0 to 4095"),
        (TRUE * 2048 / np.pi, "Canon", Scaling(), "assumed -2048 to 2047"),
    ],
)
def test_stored_phase_becomes_radians(stored, maker, scaling, said):
    radians, how = _radians(stored, maker=maker, scaling=scaling)
    np.testing.assert_allclose(radians, TRUE, atol=2e-3)
    assert said in how


def test_siemens_bits_that_the_values_do_not_fill_are_not_believed():
    """Anonymisers write Bits Stored 16 for 12-bit values: a turn would be 16 times too long."""
    stored = TRUE * 4096 / np.pi
    radians, how = _radians(stored, maker="SIEMENS", scaling=Scaling(2, -4096), bits=16)
    np.testing.assert_allclose(radians, TRUE, atol=2e-3)
    assert "assumed -4096 to 4095" in how


def test_signed_siemens_phase_is_centred_on_its_zero():
    stored = [TRUE * 2048 / np.pi]
    arrays, _ = phase_to_radians(
        stored, scaling=Scaling(), manufacturer="SIEMENS", bits_stored=12, signed=True
    )
    np.testing.assert_allclose(arrays[0], TRUE, atol=2e-3)


@pytest.mark.parametrize("scaling", [Scaling(), Scaling(unit="mrad")])
def test_ge_milliradians_have_the_opposite_sign(scaling):
    radians, how = _radians(TRUE * 1000, maker="GE MEDICAL SYSTEMS", scaling=scaling)
    np.testing.assert_allclose(radians, -TRUE, atol=1e-4)
    assert "sign reversed (GE)" in how


def test_no_value_is_replaced_neither_zero_nor_pi():
    stored = np.array([-3142.0, -3141.0, 0.0, 3141.0, 3140.5])
    radians, _ = _radians(stored, maker="Philips", scaling=Scaling(1.5, -3142, "mrad"))
    np.testing.assert_allclose(radians, stored / 1000, atol=1e-6)


def test_ge_complex_pairs_give_the_same_phase_as_the_other_vendors():
    """GE stores the conjugate: atan2 of what it stores is minus the phase."""
    signal = 100 * np.exp(-1j * TRUE)
    phase = complex_to_phase(
        signal.real.astype(np.float32), signal.imag.astype(np.float32), manufacturer="GE"
    )
    np.testing.assert_allclose(phase, TRUE, atol=1e-5)


def _smooth_phase():
    z, y, x = np.meshgrid(np.arange(8), np.arange(9), np.arange(9), indexing="ij")
    return (0.2 * z + 0.1 * y - 0.15 * x - 1).astype(np.float32)


def test_alternation_by_pi_between_slices_is_found_and_removed():
    smooth = _smooth_phase()
    alternating = smooth.copy()
    alternating[1::2] = np.angle(-np.exp(1j * smooth[1::2]))
    fixed, found = without_alternation(alternating)
    assert found
    np.testing.assert_allclose(np.angle(np.exp(1j * (fixed - smooth))), 0, atol=1e-5)


def test_phase_that_does_not_alternate_is_left_as_it_is():
    smooth = _smooth_phase()
    same, found = without_alternation(smooth)
    assert not found
    assert same is smooth
    random = np.random.default_rng(1).uniform(-3, 3, smooth.shape).astype(np.float32)
    assert not without_alternation(random)[1]


def _ge(kind):
    def edit(header, _):
        header.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "SS", kind)

    return {
        "edit": edit, "Manufacturer": "GE MEDICAL SYSTEMS", "ScanningSequence": "RM",
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"], "SeriesDescription": "Ax 3D mGRE",
        "PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15, "EchoTime": 20.0, "number": 6,
    }  # fmt: skip


def test_ge_real_and_imaginary_become_magnitude_and_phase(bench, settings):
    """Told apart by (0043,102F) alone; odd slices change sign; stored conjugate."""
    z, y, x = np.meshgrid(np.arange(6), np.arange(12), np.arange(10), indexing="ij")
    phase = 0.1 * z + 0.12 * y - 0.2 * x
    magnitude = 200.0 + 10 * y
    stored = magnitude * np.exp(-1j * phase)
    stored[1::2] *= -1
    bench.series(stored.real.round().astype(np.int16), **_ge(2))
    bench.series(stored.imag.round().astype(np.int16), **_ge(3))
    study = load_study(bench.folder, settings=settings)
    assert set(study.series) == {Role.MAGNITUDE, Role.PHASE}
    loaded = study.series[Role.PHASE]
    assert loaded.unit == Unit.RADIAN
    difference = np.exp(1j * (loaded.volumes[0].array[::-1] - phase))
    constant = difference / difference[0, 0, 0]
    np.testing.assert_allclose(np.angle(constant), 0, atol=0.02)
    np.testing.assert_allclose(
        study.series[Role.MAGNITUDE].volumes[0].array[::-1], magnitude, rtol=0.01
    )
    assert "GE phase alternated by pi between slices; corrected." in study.warnings
    assert len(loaded.headers) == 6


def test_ge_phase_whose_private_element_is_lost_is_no_magnitude(bench, settings):
    anonymised = _ge(1) | {"edit": lambda *_: None}
    values = (np.angle(np.exp(1j * bench.ramp() / 100.0)) * 1000).astype(np.int16)
    bench.series(values, **anonymised)
    with pytest.raises(BrokenSeries, match="negative, a magnitude is wanted"):
        load_study(bench.folder, settings=settings)


def test_ge_component_is_read_where_its_type_is_lost(bench, settings):
    def edit(header, _):
        header.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x2F, "UN", b"\x01\x00")

    values = (np.angle(np.exp(1j * bench.ramp() / 100.0)) * 1000).astype(np.int16)
    bench.series(values, **(_ge(1) | {"edit": edit}))
    roles = {d.role for d in inspect_study(bench.folder, settings=settings).decisions}
    assert Role.MAGNITUDE not in roles


def test_ge_magnitude_and_phase_of_one_series_are_told_apart(bench, settings):
    values = (np.angle(np.exp(1j * bench.ramp() / 100.0)) * 1000).astype(np.int16)
    bench.series(bench.ramp().astype(np.int16), **_ge(0))
    bench.series(values, **_ge(1))
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.MAGNITUDE].volumes[0].array.max() == 719
    np.testing.assert_allclose(
        study.series[Role.PHASE].volumes[0].array[::-1], -values / 1000, atol=1e-4
    )


def test_ge_images_at_one_position_without_the_private_element_are_not_guessed(bench, settings):
    lost = {"edit": lambda *_: None}
    bench.series(bench.ramp().astype(np.int16), **(_ge(0) | lost))
    bench.series(bench.ramp().astype(np.int16), **(_ge(0) | lost), first_instance=7)
    with pytest.raises(BrokenSeries, match=r"\(0043,102F\) that tells magnitude from phase"):
        load_study(bench.folder, settings=settings)


def test_phase_scaled_differently_between_slices_is_refused(bench, settings):
    bench.magnitude()

    def edit(header, index):
        header.RescaleSlope = 2 if index < 3 else 1.5

    bench.phase(edit=edit)
    with pytest.raises(BrokenSeries, match="2 different rescale slopes"):
        load_study(bench.folder, settings=settings)


def _parts(bench, phases, **elements):
    """Real and imaginary part of unit phasors per echo and repetition, Siemens style."""
    number = 1
    for (echo, repetition), phase in phases.items():
        for token, part in (("R", np.cos(phase)), ("I", np.sin(phase))):
            pixels = np.full((6, 12, 10), round(100 * part), np.int16)
            pixels[:, 0, :5] = -100
            bench.series(
                pixels, Manufacturer="SIEMENS", PixelRepresentation=1, BitsStored=16, HighBit=15,
                ImageType=["ORIGINAL", "PRIMARY", token, "ND"], ScanningSequence="GR",
                SeriesDescription="gre", EchoTime=echo, AcquisitionNumber=repetition,
                first_instance=number, **({"number": 7} | elements.get(token, {})),
            )  # fmt: skip
            number += 6


def test_of_repeated_parts_the_same_volumes_are_taken(bench, settings):
    _parts(bench, {(20.0, 1): 0.0, (20.0, 2): 0.5, (30.0, 1): 1.5, (30.0, 2): 2.0})
    study = load_study(bench.folder, settings=settings)
    middles = [v.array[3, 6, 5] for v in study.series[Role.PHASE].volumes]
    assert middles == pytest.approx([0.0, 1.5], abs=0.02)
    assert study.series[Role.MAGNITUDE].volumes[1].array[3, 6, 5] == pytest.approx(100, abs=1)


def test_parts_in_two_series_are_one_phase(bench, settings):
    _parts(bench, {(20.0, 1): 1.0}, R={"number": 8}, I={"number": 9})
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.PHASE].volumes[0].array[3, 6, 5] == pytest.approx(1.0, abs=0.02)


def test_parts_that_lost_different_slices_are_not_joined(bench, settings):
    _parts(bench, {(20.0, 1): 1.0})
    bench.paths[0].unlink()
    bench.paths[-1].unlink()
    with pytest.raises(BrokenSeries, match="real and imaginary part differ in slices"):
        load_study(bench.folder, settings=settings)


def test_a_part_without_its_counterpart_says_so(bench, settings):
    bench.magnitude(number=6)
    _parts(bench, {(20.0, 1): 1.0})
    bench.paths[-1].unlink()
    told = " ".join(inspect_study(bench.folder, settings=settings).warnings)
    assert "real part whose counterpart with the same slices and echoes is missing" in told


def test_parts_that_lost_their_intercept_are_refused(bench, settings):
    for token in ("R", "I"):
        bench.series(
            **(SWI_PHASE | {"ImageType": ["ORIGINAL", "PRIMARY", token, "ND"], "number": 7,
                            "RescaleSlope": 1, "RescaleIntercept": 0})
        )  # fmt: skip
    with pytest.raises(BrokenSeries, match="no negative value, signed ones are wanted"):
        load_study(bench.folder, settings=settings)


def test_ge_phase_named_so_without_private_elements_is_phase(bench, settings):
    lost = {"edit": lambda *_: None}
    bench.series(bench.ramp().astype(np.int16), **(_ge(0) | lost | {"number": 5}))
    values = (np.angle(np.exp(1j * bench.ramp() / 100.0)) * 1000).astype(np.int16)
    named = {"number": 500, "SeriesDescription": "FILT_PHA: Ax 3D mGRE"}
    bench.series(values, **(_ge(1) | lost | named))
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.MAGNITUDE].volumes[0].array.max() == 719
    assert study.series[Role.PHASE].unit == Unit.RADIAN


def test_a_guessed_unit_is_told(bench, settings):
    bench.magnitude(Manufacturer="UIH")
    values = (bench.ramp() % 4096).astype(np.uint16)
    values[0, 0, 0] = 4095
    bench.phase(values, Manufacturer="UIH", RescaleSlope=1, RescaleIntercept=0)
    study = load_study(bench.folder, settings=settings)
    assert any("Unit of phase not stated: assumed 0 to 4095" in w for w in study.warnings)


def test_high_pass_filtered_phase_is_told(bench, settings):
    bench.magnitude(SeriesDescription="SWI mag", number=1)
    bench.phase(SeriesDescription="FILT_PHA: Ax SWAN", number=2)
    study = load_study(bench.folder, settings=settings)
    assert any("high-pass filtered" in warning for warning in study.warnings)
