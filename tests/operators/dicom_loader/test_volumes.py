"""From shuffled slices to volumes: grid, order, split by echo, component and repetition."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import get_volume_from_series
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom import dcmread
from pydicom.sr.codedict import codes

from operators.dicom_loader.load import load_study
from operators.types import Role, Unit

OBLIQUE = (0.9961947, 0.0871557, 0.0, -0.0858316, 0.9810603, -0.1736482)


def test_the_grid_is_the_one_highdicom_finds_oblique_and_anisotropic(bench, settings):
    paths = bench.magnitude(ImageOrientationPatient=list(OBLIQUE), PixelSpacing=[0.5, 1.5])
    series = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE]
    expected = get_volume_from_series([dcmread(path) for path in paths])
    volume = series.volumes[0]
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-3)
    np.testing.assert_array_equal(volume.array, expected.array)
    assert volume.array.dtype == np.float32
    assert volume.frame_of_reference_uid == "1.2.3.9"


def test_a_voxel_lies_where_its_header_says(bench, settings):
    paths = bench.magnitude(ImageOrientationPatient=list(OBLIQUE), PixelSpacing=[0.5, 1.5])
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    source = dcmread(paths[4])
    row, column = 7, 3
    u, v = np.array(OBLIQUE[:3]), np.array(OBLIQUE[3:])
    place = np.array(source.ImagePositionPatient, dtype=float) + u * column * 1.5 + v * row * 0.5
    index = np.linalg.inv(volume.affine) @ [*place, 1.0]
    np.testing.assert_allclose(index[:3], [6 - 1 - 4, row, column], atol=1e-3)
    assert volume.array[1, row, column] == source.pixel_array[row, column]


def test_three_echoes_of_magnitude_and_phase_in_one_series_are_six_volumes(bench, settings):
    """Philips keeps all in one Series Instance UID, one slice after another."""
    echoes = (7.0, 14.0, 21.0)
    for k, echo in enumerate(reversed(echoes)):
        bench.magnitude(
            bench.ramp(start=100 * k), number=5, EchoTime=echo, Manufacturer="Philips",
            ImageType=["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"],
        )  # fmt: skip
        bench.phase(
            bench.ramp(start=100 * k), number=5, EchoTime=echo, Manufacturer="Philips",
            ImageType=["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"], RescaleType="mrad",
            RescaleSlope=1.5, RescaleIntercept=-3142,
        )  # fmt: skip
    study = load_study(bench.folder, settings=settings)
    magnitude, phase = study.series[Role.MAGNITUDE], study.series[Role.PHASE]
    assert [s.echo_time_ms for s in magnitude.samples] == list(echoes)
    assert [s.echo_time_ms for s in phase.samples] == list(echoes)
    assert magnitude.series_uid == phase.series_uid
    for k, volume in enumerate(magnitude.volumes):
        np.testing.assert_array_equal(volume.array[::-1], bench.ramp(start=100 * (2 - k)))
    assert phase.unit == Unit.RADIAN
    first = (bench.ramp(start=200) * 1.5 - 3142) / 1000
    np.testing.assert_allclose(phase.volumes[0].array[::-1], first, atol=1e-5)
    assert len(study.decisions) == 2


def test_an_image_type_token_is_never_matched_inside_another(bench, settings):
    """PRIMARY holds an M and a P; a phase-only series is not magnitude for that."""
    bench.phase()
    study = load_study(bench.folder, settings=settings)
    assert set(study.series) == {Role.PHASE}


def test_headers_are_in_slice_order_and_serve_a_segmentation(bench, settings):
    bench.magnitude(ImageOrientationPatient=list(OBLIQUE))
    series = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE]
    volume = series.volumes[0]
    places = [np.array(h.ImagePositionPatient, dtype=float) for h in series.headers]
    for k, place in enumerate(places):
        np.testing.assert_allclose(volume.affine @ [k, 0, 0, 1], [*place, 1], atol=1e-3)
    assert all("PixelData" not in header for header in series.headers)
    mask = np.zeros(volume.spatial_shape, dtype=np.uint8)
    mask[2, 3:5, 4:6] = 1
    segment = SegmentDescription(
        1, "m", codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Hemorrhage, "AUTOMATIC",
        AlgorithmIdentificationSequence("t", codes.DCM.ArtificialIntelligence, "1"),
    )  # fmt: skip
    segmentation = Segmentation(
        source_images=list(series.headers), pixel_array=volume.with_array(mask),
        segmentation_type="BINARY", segment_descriptions=[segment], series_instance_uid="1.2.9",
        series_number=9, sop_instance_uid="1.2.9.1", instance_number=1, manufacturer="m",
        manufacturer_model_name="m", software_versions="1", device_serial_number="1",
        omit_empty_frames=False,
    )  # fmt: skip
    back = segmentation.get_volume(combine_segments=True).match_geometry(volume)
    np.testing.assert_array_equal(back.array, mask)
    assert segmentation.PatientID == "P1"


def test_repetitions_of_a_gradient_echo_are_left_out_with_a_word(bench, settings):
    bench.magnitude(number=3)
    bench.magnitude(bench.ramp(start=7), number=3, first_instance=7)
    study = load_study(bench.folder, settings=settings)
    assert len(study.series[Role.MAGNITUDE].volumes) == 1
    assert study.series[Role.MAGNITUDE].volumes[0].array[-1, 0, 0] == 0
    assert study.warnings == ("1 repetition(s) of the gradient-echo series left out.",)


def test_the_late_echo_of_a_double_echo_spin_echo_is_the_t2_weighting(bench, settings):
    common = {
        "ScanningSequence": "SE", "RepetitionTime": 3000.0, "SeriesDescription": "pd+t2_tse",
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "number": 2,
    }  # fmt: skip
    bench.series(bench.ramp(), EchoTime=12.0, **common)
    bench.series(bench.ramp(start=50), EchoTime=96.0, **common)
    study = load_study(bench.folder, settings=settings)
    series = study.series[Role.T2W]
    assert [s.echo_time_ms for s in series.samples] == [96.0]
    np.testing.assert_array_equal(series.volumes[0].array[::-1], bench.ramp(start=50))


def test_phase_that_does_not_fit_the_magnitude_is_refused(bench, settings):
    bench.magnitude()
    bench.phase(EchoTime=25.0)
    study = load_study(bench.folder, settings=settings)
    assert set(study.series) == {Role.MAGNITUDE}
    reason = study.decisions[1].reason
    differs = "phase whose grid, echo times, frame of reference or acquisition time differ from"
    assert reason == f"{differs} magnitude series 1"
    assert study.warnings == (f"Series 2 was not used: {reason}.",)


@pytest.mark.parametrize(
    "other",
    [{"FrameOfReferenceUID": "1.2.3.10"}, {"AcquisitionTime": "110500.5"}],
    ids=["frame of reference", "time"],
)
def test_the_phase_of_a_repeat_is_no_pair(bench, settings, other):
    times = {"AcquisitionTime": "110000.25"}
    bench.magnitude(**times)
    bench.phase(**(times | other))
    study = load_study(bench.folder, settings=settings)
    assert set(study.series) == {Role.MAGNITUDE}
    assert "Series 2 was not used" in study.warnings[0]


def test_without_times_a_phase_belongs_to_the_nearest_magnitude(bench, settings):
    bench.magnitude(number=5)
    bench.phase(number=6)
    bench.magnitude(number=7)
    study = load_study(bench.folder, settings=settings)
    assert {d.series_number for d in study.decisions if d.role is not None} == {5, 6}


def test_of_two_copies_of_one_scan_the_normalised_keeps_the_phase(bench, settings):
    time = {"AcquisitionTime": "110000"}
    bench.magnitude(number=5, **time)
    bench.magnitude(number=6, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"], **time)
    bench.phase(number=7, **time)
    study = load_study(bench.folder, settings=settings)
    assert {d.series_number for d in study.decisions if d.role is not None} == {5, 7}


def test_of_two_scans_the_later_magnitude_gets_its_own_phase(bench, settings):
    for scan, time in enumerate(("110000", "110500")):
        bench.magnitude(number=2 * scan + 1, AcquisitionTime=time)
        bench.phase(number=2 * scan + 2, AcquisitionTime=time)
    study = load_study(bench.folder, settings=settings)
    taken = {d.series_number for d in study.decisions if d.role is not None}
    assert taken == {3, 4}


def test_the_magnitude_with_a_phase_wins_over_a_later_one_without(bench, settings):
    bench.magnitude()
    bench.phase()
    bench.magnitude(PixelSpacing=[0.9, 0.9])
    study = load_study(bench.folder, settings=settings)
    assert [d.role for d in study.decisions] == [Role.MAGNITUDE, Role.PHASE, None]
    assert "series 1 was taken as gre_magnitude instead" in study.decisions[2].reason


def test_siemens_xa_echoes_under_their_own_series_uids_are_joined(bench, settings):
    for k, echo in enumerate((10.0, 20.0)):
        bench.magnitude(
            number=4, EchoTime=echo, SeriesInstanceUID=f"1.2.3.1.4.{k}",
            ImageType=["ORIGINAL", "PRIMARY", "M", "NORM", "MFSPLIT"], folder=f"e{k}",
        )  # fmt: skip
    study = load_study(bench.folder, settings=settings)
    assert [s.echo_time_ms for s in study.series[Role.MAGNITUDE].samples] == [10.0, 20.0]
    assert len(study.decisions) == 1


def test_two_frames_of_reference_in_one_series_are_not_mixed(bench, settings):
    from operators.errors import BrokenSeries

    bench.magnitude(number=5)
    bench.magnitude(number=5, EchoTime=30.0, FrameOfReferenceUID="1.2.3.10")
    with pytest.raises(BrokenSeries, match="mixes 2 frames of reference, one wanted"):
        load_study(bench.folder, settings=settings)
