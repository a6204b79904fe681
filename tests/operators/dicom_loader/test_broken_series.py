"""Files broken on purpose: the message says which file, what was found and what is wanted."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import MPEG2MPML, JPEGLossless

from operators.dicom_loader.load import inspect_study, load_study
from operators.errors import BrokenSeries, UnsupportedObject
from operators.types import Role


def test_a_missing_slice_names_its_neighbours_and_the_gap(bench, settings):
    paths = bench.magnitude()
    paths[3].unlink()
    with pytest.raises(BrokenSeries) as caught:
        load_study(bench.folder, settings=settings)
    message = str(caught.value)
    assert "1 slice(s) missing between" in message
    assert paths[2].name in message
    assert paths[4].name in message
    assert "step of 4 mm found, 2 mm wanted" in message


def test_a_doubled_slice_names_both_files(bench, settings):
    paths = bench.magnitude()
    copy = dcmread(paths[2])
    copy.SOPInstanceUID = "1.2.3.4.999"
    double = bench.save(copy, "s1", "again")
    with pytest.raises(BrokenSeries) as caught:
        load_study(bench.folder, settings=settings)
    message = str(caught.value)
    assert message.startswith("series 1 (gre_magnitude): Doubled slice")
    assert paths[2].name in message
    assert double.name in message
    assert "2 slices found there, 1 wanted" in message


def test_uneven_spacing_names_the_place_and_both_steps(bench, settings):
    def shift(header, index):
        if index >= 4:
            z = float(header.ImagePositionPatient[2])
            header.ImagePositionPatient = [*header.ImagePositionPatient[:2], z + 0.7]

    paths = bench.magnitude(edit=shift)
    with pytest.raises(BrokenSeries) as caught:
        load_study(bench.folder, settings=settings)
    message = str(caught.value)
    assert "Uneven slice spacing" in message
    assert paths[3].name in message
    assert paths[4].name in message
    assert "step of 2.7 mm found, 2 mm wanted" in message


def test_rounding_of_positions_is_not_uneven_spacing(bench, settings):
    def rounded(header, index):
        header.ImagePositionPatient = [-5.0, -6.0, -7.0 + 0.7 * index + 0.03 * (index % 2)]

    bench.magnitude(edit=rounded)
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    assert volume.spacing_between_slices == pytest.approx(0.7, abs=0.01)


def test_a_slice_missing_in_one_echo_only_is_found(bench, settings):
    bench.magnitude(number=7)
    second = bench.magnitude(number=7, EchoTime=30.0)
    second[-1].unlink()
    with pytest.raises(BrokenSeries, match="has 5 slices, 6 wanted"):
        load_study(bench.folder, settings=settings)


def test_slices_shifted_sideways_are_no_volume(bench, settings):
    def shear(header, index):
        x, y, z = (float(v) for v in header.ImagePositionPatient)
        header.ImagePositionPatient = [x + 0.5 * index, y, z]

    bench.magnitude(edit=shear)
    with pytest.raises(BrokenSeries, match=r"shifted by 0\.5 mm.*at most 0\.2 mm wanted"):
        load_study(bench.folder, settings=settings)


@pytest.mark.parametrize(
    ("elements", "source"),
    [
        ({}, "Slice Thickness of a 3D acquisition"),
        ({"SpacingBetweenSlices": 2.0, "MRAcquisitionType": "2D"}, "Spacing Between Slices"),
    ],
)
def test_every_second_slice_lost_is_found_by_the_header(bench, settings, elements, source):
    for path in bench.magnitude(**elements)[1::2]:
        path.unlink()
    with pytest.raises(BrokenSeries, match=f"4 mm apart, 2 mm wanted \\({source}\\)"):
        load_study(bench.folder, settings=settings)


@pytest.mark.parametrize(
    "elements",
    [
        {"SpacingBetweenSlices": 1.0},
        {"SliceThickness": 1.0, "MRAcquisitionType": "2D"},
        {"SpacingBetweenSlices": 0.5, "SliceThickness": 1.5, "MRAcquisitionType": "2D"},
        {"SpacingBetweenSlices": 0.4},
    ],
    ids=["overlap stated", "2D with a gap", "gap written as spacing", "3D with a wrong spacing"],
)
def test_gaps_and_overlaps_of_whole_series_are_no_fault(bench, settings, elements):
    stated = elements.get("SpacingBetweenSlices", 2.0)
    step_mm = 1.0 if stated == 1.0 else 2.0
    bench.magnitude(step_mm=step_mm, **elements)
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    assert volume.spatial_shape == (6, 12, 10)


def test_two_slices_far_apart_are_no_volume(bench, settings):
    for path in bench.magnitude(step_mm=30.0, MRAcquisitionType="2D")[2:]:
        path.unlink()
    with pytest.raises(BrokenSeries, match="30 mm apart, slices are 2 mm thick"):
        load_study(bench.folder, settings=settings)


def test_orientations_that_differ_by_rounding_are_one_series(bench, settings):
    def jitter(header, index):
        tilt = 4e-4 if index % 2 else 6e-4
        header.ImageOrientationPatient = [1.0, tilt, 0.0, -tilt, 1.0, 0.0]

    bench.magnitude(edit=jitter)
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    assert volume.spatial_shape == (6, 12, 10)


@pytest.mark.parametrize("seed", range(4))
def test_orientations_of_few_digits_make_a_volume(bench, settings, seed):
    turned, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    axes = [round(float(part), 3) for part in (*turned[0], *turned[1])]
    bench.magnitude(ImageOrientationPatient=axes)
    volume = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes[0]
    assert volume.spatial_shape == (6, 12, 10)


def test_an_image_without_any_difference_is_none(bench, settings):
    bench.magnitude()
    bench.phase(np.zeros((6, 12, 10), np.uint16))
    with pytest.raises(BrokenSeries, match="every voxel has the same value"):
        load_study(bench.folder, settings=settings)


def test_a_magnitude_shorter_than_its_phase_is_not_whole(bench, settings):
    bench.magnitude()[-1].unlink()
    bench.phase()
    with pytest.raises(BrokenSeries, match="5 slices found, series 2, its phase, has 6"):
        load_study(bench.folder, settings=settings)


def _set(**elements):
    def edit(header, index):
        if index == 5:
            for keyword, value in elements.items():
                setattr(header, keyword, value)

    return edit


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda h, i: i == 5 and h.pop("ImagePositionPatient"), "does not say where 1 of its 1"),
        (_set(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), "two perpendicular directions"),
        (_set(PixelSpacing=[0, 1]), "pixels of 0 x 1 mm"),
        (_set(RescaleSlope=0), "a rescale slope of 0"),
        (_set(RescaleSlope="nan"), "a rescale slope of nan"),
        (lambda h, i: i == 5 and h.add_new("Rows", "LO", "many"), "a damaged header"),
    ],
    ids=["no position", "orientation", "spacing", "slope 0", "slope nan", "rows"],
)
def test_a_slice_that_cannot_be_placed_or_scaled_breaks_its_series(bench, settings, edit, said):
    paths = bench.magnitude(edit=edit)
    with pytest.raises(BrokenSeries, match=said) as caught:
        load_study(bench.folder, settings=settings)
    assert paths[5].name in str(caught.value)


def test_slices_lost_at_the_edge_are_told_where_numbers_show_it(bench, settings):
    for path in bench.magnitude()[:2]:
        path.unlink()
    study = load_study(bench.folder, settings=settings)
    assert study.warnings == (
        "The instance numbers of series 1 (gre_magnitude) begin at 3: slices at its edge may be "
        "missing.",
    )


def test_different_images_with_one_sop_instance_uid_are_not_thinned_out(bench, settings):
    bench.magnitude(SOPInstanceUID="1.2.3.4.5")
    with pytest.raises(BrokenSeries, match="different images with one SOP Instance UID"):
        load_study(bench.folder, settings=settings)


def test_truncated_pixels_name_the_file_and_both_sizes(bench, settings):
    paths = bench.magnitude()
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    with pytest.raises(BrokenSeries) as caught:
        load_study(bench.folder, settings=settings)
    message = str(caught.value)
    assert f"s1/{paths[1].name}: pixels truncated or damaged" in message
    assert "140 bytes found, 240 wanted" in message


def test_a_file_cut_before_its_pixels_is_truncated_too(bench, settings):
    paths = bench.magnitude()
    whole = paths[1].read_bytes()
    paths[1].write_bytes(whole[: whole.rindex(b"\xe0\x7f\x10\x00")])
    with pytest.raises(BrokenSeries, match="0 bytes found, 240 wanted"):
        load_study(bench.folder, settings=settings)


def test_truncated_compressed_pixels_are_found(bench, settings):
    paths = bench.magnitude()
    for path in paths:
        dataset = dcmread(path)
        dataset.compress("1.2.840.10008.1.2.5")
        dataset.save_as(path)
    dataset = dcmread(paths[2])
    dataset.PixelData = dataset.PixelData[:60]
    dataset.save_as(paths[2])
    with pytest.raises(BrokenSeries, match=f"{paths[2].name}: pixels truncated or damaged"):
        load_study(bench.folder, settings=settings)


def test_an_undecodable_compression_is_named(bench, settings):
    for path in bench.magnitude():
        dataset = dcmread(path)
        dataset.compress("1.2.840.10008.1.2.5")
        dataset.file_meta.TransferSyntaxUID = MPEG2MPML
        dataset.save_as(path)
    with pytest.raises(UnsupportedObject, match=r"MPEG2.*Explicit VR Little Endian"):
        load_study(bench.folder, settings=settings)


def test_damaged_jpeg_is_an_error_and_not_a_picture(bench, settings):
    for path in bench.magnitude():
        dataset = dcmread(path)
        dataset.compress("1.2.840.10008.1.2.5")
        dataset.file_meta.TransferSyntaxUID = JPEGLossless
        dataset.save_as(path)
    with pytest.raises(BrokenSeries, match="pixels truncated or damaged"):
        load_study(bench.folder, settings=settings)


def test_inspection_tells_a_fault_that_would_stop_the_run(bench, settings):
    bench.magnitude()[3].unlink()
    inspection = inspect_study(bench.folder, settings=settings)
    assert inspection.decisions[0].role == Role.MAGNITUDE
    assert any("1 slice(s) missing" in warning for warning in inspection.warnings)


def test_a_whole_repeat_wins_over_a_broken_series_and_says_so(bench, settings):
    bench.t1w(number=3)
    bench.t1w(number=4)[2].unlink()
    study = load_study(bench.folder, settings=settings)
    roles = {d.series_number: d for d in study.decisions}
    assert roles[3].role == Role.T1W
    assert roles[4].role is None
    assert "1 slice(s) missing" in roles[4].reason
    assert "series 3 was taken" in roles[4].reason


def test_a_fault_in_a_series_that_is_rejected_anyway_does_not_matter(bench, settings):
    bench.t1w()
    bench.localiser()[2].unlink()
    assert set(load_study(bench.folder, settings=settings).series) == {Role.T1W}


def test_pixels_are_read_of_chosen_series_only(bench, settings, decoded):
    chosen = bench.magnitude()
    rejected = bench.localiser() + bench.series(
        ImageType=["DERIVED", "PRIMARY", "M", "MNIP", "ND"], SeriesDescription="mIP_Images(SW)",
        ScanningSequence="GR", EchoTime=20.0,
    )  # fmt: skip
    for path in rejected:
        path.write_bytes(path.read_bytes()[:-239])
    study = load_study(bench.folder, settings=settings)
    assert set(study.series) == {Role.MAGNITUDE}
    assert sorted(decoded) == sorted(f"s1/{path.name}" for path in chosen)


def test_inspection_reads_no_pixel(bench, settings, decoded):
    bench.magnitude()
    bench.t1w()
    inspect_study(bench.folder, settings=settings)
    assert decoded == []
