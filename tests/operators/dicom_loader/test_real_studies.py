"""Real scanner data: the right series, at the place and with the values that dcm2niix finds.

The tables below were written by reading the headers (dcmdump), not by running the loader. The data
lie beside the repository; without them these tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from apps.map.settings import load_settings
from operators.dicom_loader.load import inspect_study, load_study
from operators.errors import NothingToAssess
from operators.types import AslKind, Role, Study, Unit

LOADER = load_settings().dicom_loader.model_copy(update={"read_spare_volumes": True})

DATA = Path(__file__).resolve().parents[3] / "../shared/data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")

PHILIPS = {1301: Role.T1W, 1901: Role.CBF, 1903: Role.ASL, 2001: None, 2201: Role.DWI}
SIEMENS = {
    5: None, 6: Role.T1W, 8: None, 9: None, 10: None, 11: None, 12: None, 13: None, 14: None,
    16: None, 17: Role.DWI, 19: None, 20: None, 21: Role.FA, 22: None, 24: None, 25: Role.ASL,
    27: None, 28: Role.CBF, 99: None,
}  # fmt: skip
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def philips() -> Study:
    return load_study(DATA / "philips_elition/In/cl", settings=LOADER)


@pytest.fixture(scope="module")
def siemens() -> Study:
    return load_study(DATA / "siemens_xa30_enhanced/In", settings=LOADER)


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Series as NIfTI by dcm2niix, called philips_<number> and siemens_<number>."""
    tool = shutil.which("dcm2niix")
    if tool is None:
        pytest.skip("dcm2niix is not installed")
    out = tmp_path_factory.mktemp("nifti")
    sources = [
        ("siemens_%s", DATA / "siemens_xa30_enhanced/In" / name)
        for name in ("6_anat-T1w_acq-tfl", "17_DWI_dir80_AP", "21_DWI_dir80_AP", "28_asl_2d_tra")
    ] + [("philips_%s", DATA / "philips_elition/In/cl")]
    for pattern, source in sources:
        command = [tool, "-z", "n", "-b", "n", "-p", "n", "-f", pattern, "-o", out, source]
        subprocess.run(command, check=True, capture_output=True)
    return out


def _roles(decisions):
    roles: dict[int, set] = {}
    for decision in decisions:
        roles.setdefault(decision.series_number, set()).add(decision.role)
    return {number: (found - {None} or {None}).pop() for number, found in roles.items()}


def test_philips_classic_series_take_the_roles_their_headers_call_for(philips):
    folder = DATA / "philips_elition/In/cl"
    seen = {}
    for path in sorted(folder.iterdir())[::23]:
        header = dcmread(path, stop_before_pixels=True)
        seen.setdefault(int(header.SeriesNumber), header)
    assert seen[1301].ScanningSequence == "GR"
    assert seen[1301].MRAcquisitionType == "3D"
    assert "PERFUSION_FFE" in seen[1901].ImageType
    assert seen[2001].EchoTime <= 4.6
    assert set(seen) == set(PHILIPS)
    assert _roles(philips.decisions) == PHILIPS


def test_philips_enhanced_copy_takes_the_same_roles():
    inspection = inspect_study(DATA / "philips_elition/In/enh", settings=LOADER)
    roles = _roles(inspection.decisions)
    assert {n: r for n, r in roles.items() if r} == {1901: Role.CBF, 1903: Role.ASL}
    raw = [d for d in inspection.decisions if "Raw Data Storage" in d.reason]
    assert len(raw) == 8


def test_siemens_series_take_the_roles_their_headers_call_for(siemens):
    assert _roles(siemens.decisions) == SIEMENS
    reasons = {d.series_number: d.reason for d in siemens.decisions}
    assert reasons[14] == "derived colour map"
    assert reasons[5] == "T1-weighted; series 6 was taken as t1w instead"
    assert "series 28 was taken as cbf" in reasons[27]
    assert "series 17 was taken as dwi" in reasons[10]


def test_the_field_map_is_refused_for_susceptibility_with_its_reason(philips, siemens):
    for study, numbers, words in (
        (philips, {2001}, "longest echo 4.6 ms at 3 T, 3 mm pixels"),
        (siemens, {8, 9}, "longest echo 12.46 ms at 3 T, 3.375 mm pixels"),
    ):
        maps = [d for d in study.decisions if d.series_number in numbers]
        assert len(maps) == 2
        assert all(d.reason.startswith("GRE field map") and words in d.reason for d in maps)
        assert not {Role.SWI, Role.MAGNITUDE, Role.PHASE} & set(study.series)


def test_a_study_of_field_maps_alone_has_nothing_to_assess():
    with pytest.raises(NothingToAssess, match="me_FieldMap_GRE x2"):
        load_study(DATA / "siemens_gre_dual_echo", settings=LOADER)


def test_classic_and_enhanced_copies_in_one_folder_are_told_apart(tmp_path):
    """Both copies of the labelling and field-map series: same study, same series UIDs."""
    for path in (DATA / "philips_elition/In").rglob("*"):
        if path.is_file() and not path.name.startswith(("2201_", "1301_0")):
            target = tmp_path / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            os.symlink(path.resolve(), target)
    inspection = inspect_study(tmp_path, settings=LOADER)
    chosen = [d for d in inspection.decisions if d.role in {Role.CBF, Role.ASL}]
    assert len(chosen) == 2
    copies = [d.reason for d in inspection.decisions if d.reason.startswith("another copy of")]
    assert copies == [
        "another copy of series 1901, which was taken as cbf",
        "another copy of series 1903, which was taken as asl",
    ]


def _same_place_and_values(volume, image, *, index=None):
    """Voxels spread over the grid lie at the same place with the same value in both."""
    shape = np.array(volume.spatial_shape)
    rng = np.random.default_rng(0)
    points = rng.integers(0, shape, size=(4000, 3))
    ours = volume.array[tuple(points.T)]
    places = np.c_[points, np.ones(len(points))] @ volume.affine.T
    theirs = np.linalg.inv(TO_LPS @ image.affine) @ places.T
    nearest = np.rint(theirs[:3]).astype(int)
    assert np.abs(theirs[:3] - nearest).max() < 0.02
    data = image.get_fdata(dtype=np.float32)
    data = data if index is None else data[..., index]
    return ours, data[tuple(nearest)]


@pytest.mark.parametrize(
    ("study", "role", "number", "factor"),
    [
        ("siemens", Role.T1W, 6, 1.0),
        ("siemens", Role.FA, 21, 1000.0),
        ("siemens", Role.CBF, 28, 1.0),
        ("philips", Role.T1W, 1301, 1.0),
        ("philips", Role.CBF, 1901, 1.0),
    ],
)
def test_dcm2niix_finds_the_same_grid_and_values(request, nifti, study, role, number, factor):
    volume = request.getfixturevalue(study).series[role].volumes[0]
    ours, theirs = _same_place_and_values(volume, nibabel.load(nifti / f"{study}_{number}.nii"))
    np.testing.assert_allclose(ours * factor, theirs, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(("study", "number"), [("siemens", 17), ("philips", 2201)])
def test_dcm2niix_finds_the_same_gradients(request, nifti, study, number):
    """FSL vectors are in image axes: column and (flipped) row direction of the NIfTI grid."""
    series = request.getfixturevalue(study).series[Role.DWI]
    values = np.loadtxt(nifti / f"{study}_{number}.bval")
    vectors = np.loadtxt(nifti / f"{study}_{number}.bvec").T
    image = nibabel.load(nifti / f"{study}_{number}.nii")
    axes = (TO_LPS @ image.affine)[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    if np.linalg.det(image.affine[:3, :3]) > 0:
        axes[:, 0] *= -1
    lps = vectors @ axes.T
    for sample, volume in zip(series.samples, series.volumes, strict=True):
        if not sample.b_value_s_mm2:
            (index,) = np.flatnonzero(values == 0)
        else:
            agreement = np.abs(lps @ np.array(sample.b_vector_lps))
            index = int(np.argmax(agreement))
            assert agreement[index] > 0.9999
            assert values[index] == sample.b_value_s_mm2
        ours, theirs = _same_place_and_values(volume, image, index=index)
        scale = np.median(theirs[ours > 50] / ours[ours > 50])
        np.testing.assert_allclose(ours * scale, theirs, rtol=1e-3, atol=1)


def test_diffusion_is_sorted_and_complete(philips, siemens):
    for study, directions, b_value in ((philips, 16, 1000.0), (siemens, 20, 2500.0)):
        series = study.series[Role.DWI]
        assert [s.b_value_s_mm2 for s in series.samples] == [0.0] + [b_value] * directions
        lengths = [np.linalg.norm(s.b_vector_lps) for s in series.samples[1:]]
        np.testing.assert_allclose(lengths, 1.0, atol=1e-6)


def test_fa_is_a_ratio_and_relative_cbf_is_called_relative(philips, siemens):
    fa = siemens.series[Role.FA]
    assert fa.unit == Unit.RATIO
    assert 0.9 < fa.volumes[0].array.max() <= 1.0
    assert philips.series[Role.CBF].unit == Unit.RELATIVE_CBF
    assert siemens.series[Role.CBF].unit == Unit.RELATIVE_CBF


def test_labelling_of_both_vendors_is_read(philips, siemens):
    pair = [AslKind.CONTROL, AslKind.LABEL]
    assert [s.asl for s in philips.series[Role.ASL].samples] == pair * 3
    assert [s.asl for s in siemens.series[Role.ASL].samples] == [AslKind.M0] + pair[::-1] * 3
    timing = siemens.series[Role.ASL].acquisition.asl
    assert timing.labelling == "pcasl"
    assert (timing.label_duration_ms, timing.post_label_delay_ms) == (1800.0, 1800.0)
    difference = {
        name: np.mean([v.array.mean() for v, s in pairs if s.asl == AslKind.CONTROL])
        - np.mean([v.array.mean() for v, s in pairs if s.asl == AslKind.LABEL])
        for name, pairs in (
            (name, list(zip(study.series[Role.ASL].volumes, study.series[Role.ASL].samples,
                            strict=True)))
            for name, study in (("philips", philips), ("siemens", siemens))
        )
    }  # fmt: skip
    assert all(value > 0 for value in difference.values())


def test_enhanced_and_classic_copies_hold_the_same_volumes(philips):
    enhanced = load_study(DATA / "philips_elition/In/enh", settings=LOADER)
    for role in (Role.CBF, Role.ASL):
        classic = philips.series[role]
        copy = enhanced.series[role]
        np.testing.assert_allclose(copy.volumes[0].affine, classic.volumes[0].affine, atol=1e-3)
        for one, other in zip(copy.volumes, classic.volumes, strict=True):
            np.testing.assert_allclose(one.array, other.array, rtol=1e-6)
        assert [s.asl for s in copy.samples] == [s.asl for s in classic.samples]


def test_enhanced_phase_is_scaled_by_its_real_world_mapping():
    """The rescale type says only US; the unit stands in the mapping (milliradian)."""
    from operators.dicom_loader.grouping import group_frames
    from operators.dicom_loader.index import index_folder
    from operators.dicom_loader.phase import phase_to_radians
    from operators.dicom_loader.pixels import read_arrays
    from operators.dicom_loader.volumes import arrange

    groups = group_frames(index_folder(DATA / "philips_elition/In/enh").instances)
    (group,) = (g for g in groups if g.component == "phase")
    layout = arrange(group.frames, spacing_mm=0.1, shift_mm=0.2)
    assert [s.echo_time_ms for s in layout.samples] == [2.3, 4.6]
    scaling = layout.volumes[0][0].scaling
    arrays, how = phase_to_radians(
        read_arrays(layout), scaling=scaling, manufacturer="Philips", bits_stored=12
    )
    assert how == "stated in mrad"
    assert -3.143 < min(a.min() for a in arrays) < -3.1
    assert 3.1 < max(a.max() for a in arrays) < 3.143
