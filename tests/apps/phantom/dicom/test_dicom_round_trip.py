"""Every vendor's study, read by the loader, gives the subject's images back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apps.map.settings import load_settings
from apps.phantom.dicom import StudyOptions, VendorStyle, write_study
from operators.dicom_loader.load import load_study
from operators.types import Role, Unit

LOADER = load_settings().dicom_loader.model_copy(update={"read_spare_volumes": True})

S, P, G, E = VendorStyle
PHASE_STEP_RAD = {S: np.pi / 2048, P: 1.5346e-3, G: 1e-3, E: 1.5346e-3}


@pytest.fixture(scope="module")
def loaded(studies):
    return {
        style: load_study(folder, settings=LOADER) for style, folder in studies.items()
    }


def _aligned(series, subject, role):
    """Arrays of all volumes on the subject's own index order, and the truth."""
    truth = subject.images[role].volumes
    pairs = zip(series.volumes, truth, strict=True)
    return [(volume.match_geometry(true, tol=1e-4), true) for volume, true in pairs]


@pytest.mark.parametrize("style", list(VendorStyle))
def test_every_role_is_filled_on_the_subjects_own_grid(loaded, subject, style):
    study = loaded[style]
    assert set(study.series) == {*subject.images, Role.SWI}
    for role in subject.images:
        if role is Role.ASL and style in (S, G):
            continue
        for volume, true in _aligned(study.series[role], subject, role):
            assert volume.array.shape == true.array.shape
            assert volume.affine == pytest.approx(np.asarray(true.affine), abs=1e-3)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_phase_is_in_radians_within_half_a_stored_step(loaded, subject, style):
    series = loaded[style].series[Role.PHASE]
    assert series.unit is Unit.RADIAN
    for volume, true in _aligned(series, subject, Role.PHASE):
        error = np.angle(np.exp(1j * (volume.array.astype(np.float64) - true.array)))
        assert np.abs(error).max() <= PHASE_STEP_RAD[style] / 2 + 1e-5


@pytest.mark.parametrize("style", list(VendorStyle))
def test_echoes_are_in_order_with_their_times_and_decay(loaded, subject, style):
    series = loaded[style].series[Role.MAGNITUDE]
    assert [sample.echo_time_ms for sample in series.samples] == [7.0, 14.0, 21.0]
    pairs = _aligned(series, subject, Role.MAGNITUDE)
    gain = pairs[0][0].array.max() / pairs[0][1].array.max()
    for volume, true in pairs:
        assert volume.array == pytest.approx(true.array * gain, abs=gain * 600 / 4000)


@pytest.mark.parametrize("style", list(VendorStyle))
@pytest.mark.parametrize("role", [Role.T1W, Role.T2W, Role.DWI])
def test_arbitrary_images_keep_their_contrast(loaded, subject, style, role):
    pairs = _aligned(loaded[style].series[role], subject, role)
    peak = max(true.array.max() for _, true in pairs)
    gain = max(volume.array.max() for volume, _ in pairs) / peak
    for volume, true in pairs:
        assert volume.array / gain == pytest.approx(true.array, abs=peak / 3900)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_fa_is_a_ratio_whatever_the_vendor_stored(loaded, subject, style):
    series = loaded[style].series[Role.FA]
    assert series.unit is Unit.RATIO
    ((volume, true),) = _aligned(series, subject, Role.FA)
    assert volume.array == pytest.approx(true.array, abs=1e-3)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_gradients_come_back_in_patient_axes(loaded, subject, style):
    samples = loaded[style].series[Role.DWI].samples
    for read, true in zip(samples, subject.images[Role.DWI].samples, strict=True):
        assert read.b_value_s_mm2 == true.b_value_s_mm2
        if true.b_vector_lps is not None:
            assert read.b_vector_lps == pytest.approx(true.b_vector_lps, abs=1e-5)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_cbf_without_a_unit_is_relative(loaded, style):
    assert loaded[style].series[Role.CBF].unit is Unit.RELATIVE_CBF


@pytest.mark.parametrize("style", list(VendorStyle))
def test_cbf_with_a_unit_is_absolute_and_the_scanners_swi_may_be_missing(
    subject, style, tmp_path
):
    kept = {role: subject.images[role] for role in (Role.T1W, Role.CBF)}
    write_study(
        replace(subject, images=kept), tmp_path, style=style, seed=4,
        options=StudyOptions(absolute_cbf=True, documents=False),
    )
    study = load_study(tmp_path, settings=LOADER)
    assert set(study.series) == {Role.T1W, Role.CBF}
    series = study.series[Role.CBF]
    assert series.unit is Unit.ABSOLUTE_CBF
    ((volume, true),) = _aligned(series, subject, Role.CBF)
    assert volume.array == pytest.approx(true.array, abs=0.02)


@pytest.mark.parametrize("style", list(VendorStyle))
def test_localizer_projection_field_map_and_documents_are_refused(loaded, style):
    refused = {d.description: d.reason for d in loaded[style].decisions if d.role is None}
    reasons = " ".join(refused.values())
    for word in ("localiser", "projection", "field map", "SR object", "Secondary Capture"):
        assert word in reasons, f"{word!r} not in {refused}"


@pytest.mark.parametrize("style", list(VendorStyle))
def test_the_field_strength_and_the_vendor_are_read(loaded, style):
    acquisition = loaded[style].series[Role.MAGNITUDE].acquisition
    assert acquisition.field_strength_t == 3.0
    assert acquisition.repetition_time_ms == 30.0
    assert acquisition.flip_angle_deg == 15.0


@pytest.mark.parametrize("style", list(VendorStyle))
def test_a_lone_b0_and_a_lone_m0_are_kept_to_carry_fa_and_cbf(subject, style, tmp_path):
    kept = {role: subject.images[role] for role in (Role.T1W, Role.FA, Role.CBF)}
    for role in (Role.DWI, Role.ASL):
        image = subject.images[role]
        kept[role] = replace(image, volumes=image.volumes[:1], samples=image.samples[:1])
    write_study(
        replace(subject, images=kept), tmp_path, style=style, seed=4,
        options=StudyOptions(documents=False, decoys=False),
    )
    study = load_study(tmp_path, settings=LOADER)
    assert {Role.FA, Role.CBF, Role.DWI, Role.ASL} <= set(study.series)
    assert study.series[Role.DWI].samples[0].b_value_s_mm2 == 0
