"""What a written study holds: wanted series, series to refuse, geometry, units, gradients."""

from __future__ import annotations

from itertools import combinations

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread

from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
from operators.types import Role, Unit

S, P, G, E = VendorStyle
T1 = {S: "t1_mprage_p2_iso", P: "sT1W_3D_TFE", G: "T1 BRAVO", E: "sT1W_3D_TFE"}
FA = {S: "ep2d_diff_mddw_FA", P: "FA - DTI_S2MB2", G: "Fractional Aniso.", E: "FA - DTI_S2MB2"}
DWI = {S: "ep2d_diff_mddw", P: "DTI_S2MB2", G: "Ax DTI"}
CBF = {S: "relCBF", P: "3DpCASL", G: "CBF: 3D ASL", E: "3DpCASL"}


def _is_image(dataset) -> bool:
    return str(dataset.Modality) == "MR" and "Secondary" not in dataset.SOPClassUID.name


def _volume(datasets, like=None):
    """The series as highdicom reads it; slices in the order of `like` (highdicom sorts them)."""
    images = [d for d in datasets if _is_image(d)]
    if len(images) > 1:
        volume = hd.get_volume_from_series(images)
    else:
        volume = hd.imread(images[0].filename).get_volume()
    return volume if like is None else volume.match_geometry(like, tol=1e-4)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_an_oblique_series_has_the_affine_of_the_subject_to_a_micrometre(series, subject, style):
    truth = subject.images[Role.T1W].volumes[0]
    read = _volume(series(style)[T1[style]], truth)
    assert read.array.shape == truth.array.shape
    assert read.affine == pytest.approx(np.asarray(truth.affine), abs=1e-3)
    gain = read.array.max() / truth.array.max()
    assert read.array / gain == pytest.approx(truth.array, abs=truth.array.max() / 4000)


@pytest.mark.parametrize(("style", "per_unit"), [(S, 1000), (P, 1), (G, 1000), (E, 1000)])
def test_fa_is_stored_times_a_thousand_except_by_philips(series, subject, style, per_unit):
    truth = subject.images[Role.FA].volumes[0]
    read = _volume(series(style)[FA[style]], truth).array
    assert read / per_unit == pytest.approx(truth.array, abs=0.5e-3)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_cbf_is_relative_by_default_and_carries_no_unit(series, subject, style):
    datasets = series(style)[CBF[style]]
    assert "RealWorldValueMappingSequence" not in datasets[0]
    truth = subject.images[Role.CBF].volumes[0]
    inside = truth.array > 0
    ratio = _volume(datasets, truth).array[inside] / truth.array[inside]
    assert ratio.std() / ratio.mean() < 0.01
    assert not 0.9 < ratio.mean() < 1.1


@pytest.mark.parametrize("style", [S, E])
def test_absolute_cbf_says_its_unit_and_its_values_are_in_it(subject, style, tmp_path):
    from operators.labels import CBF_UNIT

    options = StudyOptions(absolute_cbf=True, decoys=False, documents=False)
    write_study(subject, tmp_path, style=style, seed=3, options=options)
    datasets = [dcmread(p) for p in sorted(tmp_path.rglob("*")) if p.is_file()]
    cbf = [d for d in datasets if str(d.SeriesDescription).startswith("CBF ")]
    first = cbf[0]
    if style is E:
        first = first.PerFrameFunctionalGroupsSequence[0]
    unit = first.RealWorldValueMappingSequence[0].MeasurementUnitsCodeSequence[0]
    assert (unit.CodeValue, unit.CodingSchemeDesignator) == CBF_UNIT[:2]
    truth = subject.images[Role.CBF].volumes[0]
    assert _volume(cbf, truth).array == pytest.approx(truth.array, abs=0.01)


def test_absolute_cbf_of_a_relative_map_is_refused(tmp_path):
    from .conftest import build_subject

    relative = build_subject(cbf_unit=Unit.RELATIVE_CBF)
    with pytest.raises(ValueError, match="'relative'"):
        write_study(
            relative, tmp_path, style=S, seed=1, options=StudyOptions(absolute_cbf=True)
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("style", [P, G])
def test_each_diffusion_volume_has_its_b_value_and_direction(series, subject, style):
    datasets = series(style)[DWI[style]]
    samples = subject.images[Role.DWI].samples
    slices = len(datasets) // len(samples)
    for index, sample in enumerate(samples):
        header = datasets[index * slices]
        assert header.DiffusionBValue == sample.b_value_s_mm2
        expected = sample.b_vector_lps or (0, 0, 0)
        assert list(header.DiffusionGradientOrientation) == pytest.approx(expected)


def test_siemens_keeps_gradients_in_its_private_header(series, subject):
    datasets = series(S)[DWI[S]]
    samples = subject.images[Role.DWI].samples
    slices = len(datasets) // len(samples)
    for index, sample in enumerate(samples):
        block = datasets[index * slices].private_block(0x0019, "SIEMENS MR HEADER")
        assert block[0x0C].value == sample.b_value_s_mm2
        if sample.b_vector_lps:
            assert block[0x0E].value == pytest.approx(sample.b_vector_lps)


def test_m0_is_a_series_of_its_own_for_siemens_and_a_frame_context_when_enhanced(series):
    assert len(series(S)["pcasl_3d_tra_M0"]) == 9
    assert len(series(S)["pcasl_3d_tra"]) == 18
    (enhanced,) = series(E)["SOURCE - 3DpCASL"]
    contexts = [
        frame.MRArterialSpinLabelingSequence[0].ASLContext
        for frame in enhanced.PerFrameFunctionalGroupsSequence
    ]
    assert contexts[::9] == ["M_ZERO_SCAN", "LABEL", "CONTROL"]


@pytest.mark.parametrize(
    ("style", "name"), [(S, "localizer"), (P, "Survey"), (G, "3-pl loc"), (E, "Survey")]
)
def test_the_localizer_has_three_planes_at_right_angles_of_three_slices(series, style, name):
    datasets = series(style)[name]
    planes = datasets
    if style is E:
        planes = [
            frame.PlaneOrientationSequence[0]
            for frame in datasets[0].PerFrameFunctionalGroupsSequence
        ]
    normals = [
        np.cross(p.ImageOrientationPatient[:3], p.ImageOrientationPatient[3:]) for p in planes
    ]
    assert len(normals) == 9
    for a, b in combinations(normals[::3], 2):
        assert abs(a @ b) < 1e-6


@pytest.mark.parametrize(
    ("style", "swi", "mip"),
    [(S, "SWI_Images", "mIP_Images(SW)"), (P, "SWIp", "SWIp minIP"),
     (G, "Ax SWAN", "Ax SWAN Min IP"), (E, "SWIp", "SWIp minIP")],
)
def test_the_projection_slides_over_eight_slices_of_the_swi(series, style, swi, mip):
    whole, projected = (_volume(series(style)[name]) for name in (swi, mip))
    windows = np.lib.stride_tricks.sliding_window_view(whole.array, 8, axis=0).min(axis=-1)
    assert projected.array.shape == windows.shape == (2, 48, 40)
    inside = windows > 0.05 * windows.max()
    ratio = projected.array[inside] / windows[inside]
    assert ratio.std() / ratio.mean() < 0.01
    middle = np.asarray(whole.affine) @ (3.5, 0, 0, 1)
    assert np.asarray(projected.affine)[:, 3] == pytest.approx(middle, abs=1e-3)


@pytest.mark.parametrize(
    ("style", "name"), [(S, "gre_field_mapping"), (P, "Field Mapping"), (G, "Field map GRE")]
)
def test_the_field_map_is_coarse_with_two_short_echoes(series, style, name):
    datasets = series(style)[name]
    assert {(d.Rows, d.Columns) for d in datasets} == {(64, 64)}
    assert {float(d.PixelSpacing[0]) for d in datasets} == {3.0}
    assert {float(d.EchoTime) for d in datasets} == {4.92, 7.38}


def test_siemens_field_map_echoes_share_their_instance_numbers(series):
    field_map = [d for d in series(S)["gre_field_mapping"] if "M" in d.ImageType]
    numbers = [int(d.InstanceNumber) for d in field_map]
    assert len(numbers) == 2 * len(set(numbers))


def test_the_field_map_phase_follows_the_subjects_field(series, subject):
    phase = [d for d in series(S)["gre_field_mapping"] if "P" in d.ImageType]
    volume = hd.get_volume_from_series(phase)
    radians = volume.array * np.pi / 4096
    first, last = (subject.images[Role.PHASE].volumes[i] for i in (0, 2))
    rate = np.angle(np.exp(1j * (last.array - first.array))) / 14
    centre = np.linalg.inv(volume.affine) @ np.asarray(first.affine) @ (4, 24, 30, 1)
    k, i, j = np.rint(centre[:3]).astype(int)
    where = np.linalg.inv(first.affine) @ np.asarray(volume.affine) @ (k, i, j, 1)
    near = rate[tuple(np.rint(where[:3]).astype(int))]
    assert radians[k, i, j] == pytest.approx(near * 2.46, abs=0.05)


def test_the_ge_field_map_is_in_hertz_with_the_mark_of_a_magnitude(series):
    hertz = series(G)["B0 map (Hz)"]
    assert {d[0x0043102F].value for d in hertz} == {0}
    values = np.stack([d.pixel_array for d in hertz])
    assert values.min() < 0 < values.max()
    assert np.abs(values).max() < 500


def test_the_colour_twin_of_fa_shares_its_description(series):
    twins = [d for d in series(S)[FA[S]] if d.PhotometricInterpretation == "RGB"]
    assert len(twins) == 9
    assert {d.SOPClassUID.name for d in twins} == {"Secondary Capture Image Storage"}
