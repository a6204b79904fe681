from dataclasses import replace

import numpy as np
import pytest

from apps.map.settings import DEFAULT_CONFIG, load_settings
from operators.labels import LesionClass
from operators.lesion_segmenter import segment
from operators.lesion_segmenter.calibration import FEATURES, Logistic
from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import LesionMap, NotAssessed, Role

SETTINGS = LesionSettings()
NO_REGIONS = NotAssessed("no T1w")


def run(head, bundle, *, study=None, regions=None, settings=SETTINGS):
    return segment_lesions(study or head.study(), regions or head.regions(), bundle=bundle,
                           settings=settings)


def test_a_planted_bleed_is_listed_with_place_size_and_susceptibility(head, rule_bundle):
    mask = head.plant((12, 30, 20), 2.6, 0.4)
    result = run(head, rule_bundle)
    (lesion,) = result.lesions
    assert lesion.kind is LesionClass.MICROBLEED
    np.testing.assert_array_equal(result.labels.array == lesion.index, mask)
    expected = head.volume(mask).map_indices_to_reference(np.array([[12, 30, 20]]))[0]
    assert np.linalg.norm(np.subtract(lesion.centroid_lps_mm, expected)) < 0.3
    assert lesion.volume_mm3 == mask.sum() * 2.0
    assert lesion.diameter_mm == pytest.approx(5.2, abs=1.0)
    assert lesion.mean_ppm == pytest.approx(0.4, abs=0.02)
    assert 0.38 < lesion.peak_ppm < 0.46
    assert lesion.location.label == "left putamen"
    assert lesion.probability == pytest.approx(0.9, abs=1e-6)
    assert lesion.vesselness < 0.6
    assert result.engine == "rule"


def test_probability_comes_from_the_regression_for_what_the_study_has(
    head, rule_bundle, monkeypatch
):
    head.plant((12, 30, 20), 2.6, 0.4)
    sure, doubtful = (Logistic(odds, (0.0,) * len(FEATURES)) for odds in (4.0, 1.0))
    bundle = replace(segment.load_bundle(None),
                     calibration={LesionClass.MICROBLEED: sure},
                     calibration_without_qsm={LesionClass.MICROBLEED: doubtful})
    monkeypatch.setattr(segment, "load_bundle", lambda _: bundle)
    for roles, odds in (((Role.SWI, Role.QSM), 4.0), ((Role.SWI,), 1.0)):
        (lesion,) = run(head, rule_bundle, study=head.study(roles)).lesions
        assert lesion.probability == pytest.approx(1 / (1 + np.exp(-odds)))


def test_calcium_is_told_by_its_sign(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, -0.4)
    head.plant((12, 30, 40), 2.6, 0.4)
    result = run(head, rule_bundle)
    assert [one.kind.name for one in result.lesions] == ["MICROBLEED", "CALCIFICATION"]
    calcium = result.of(LesionClass.CALCIFICATION)[0]
    assert calcium.mean_ppm < -0.35
    assert calcium.peak_ppm < -0.38


def test_a_candidate_is_judged_as_the_class_it_is_named(head, rule_bundle, monkeypatch):
    head.plant((12, 30, 20), 2.6, -0.4)  # the network says microbleed, its sign calcium
    sure, no = (Logistic(odds, (0.0,) * len(FEATURES)) for odds in (3.0, -9.0))
    bundle = replace(segment.load_bundle(None), calibration={
        LesionClass.MICROBLEED: no, LesionClass.CALCIFICATION: sure})
    monkeypatch.setattr(segment, "load_bundle", lambda _: bundle)
    (lesion,) = run(head, rule_bundle).lesions
    assert lesion.kind is LesionClass.CALCIFICATION
    assert lesion.probability == pytest.approx(1 / (1 + np.exp(-3.0)))
    strict = SETTINGS.model_copy(update={"calcification_probability": 0.99})
    assert run(head, rule_bundle, settings=strict).lesions == ()


def test_a_vein_in_cross_section_is_told_by_its_shape(head, rule_bundle):
    head.plant((12, 30, 20), 1.5, 0.3, tube=(1, 0.2, 0.1))
    strict = SETTINGS.model_copy(update={"max_vesselness": 0.93})
    (lesion,) = run(head, rule_bundle, settings=strict).lesions
    assert lesion.kind is LesionClass.VESSEL
    assert "tube-like" in lesion.reason
    (lesion,) = run(head, rule_bundle).lesions
    assert lesion.kind is LesionClass.MICROBLEED


def test_a_lesion_too_wide_for_a_microbleed_is_iron_in_the_nuclei_and_a_note_elsewhere(
    head, rule_bundle
):
    head.plant((12, 30, 20), 6.0, 0.2)
    head.plant((12, 45, 50), 6.0, 0.2)
    result = run(head, rule_bundle)
    assert [one.kind.name for one in result.lesions] == ["IRON_DEPOSIT"]
    (note,) = [one for one in result.notes if "is not listed" in one]
    assert "more than the 10 mm of a microbleed" in note
    assert result.labels.array.max() == 1


def test_a_clean_brain_has_an_empty_list_which_is_not_not_assessed(head, rule_bundle):
    result = run(head, rule_bundle)
    assert isinstance(result, LesionMap)
    assert result.lesions == ()
    assert not result.labels.array.any()


def test_nothing_is_listed_outside_the_brain_of_the_regions(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, 0.4)
    regions = head.regions()
    smaller = np.asarray(regions.brain.array).copy()
    smaller[:, :, :30] = False
    regions = replace(regions, brain=head.volume(smaller))
    assert run(head, rule_bundle, regions=regions).lesions == ()


def test_without_regions_lesions_have_no_location(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, 0.4)
    (lesion,) = run(head, rule_bundle, regions=NO_REGIONS).lesions
    assert lesion.location is None


def test_missing_contrasts_are_allowed_and_said(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, -0.4)
    result = run(head, rule_bundle, study=head.study((Role.SWI,)))
    assert result.inputs == (Role.SWI,)
    assert [one.kind.name for one in result.lesions] == ["MICROBLEED"]
    assert result.lesions[0].mean_ppm is None
    assert any("No QSM" in note for note in result.notes)
    assert any("No T2w" in note for note in result.notes)


def test_a_late_magnitude_stands_in_for_swi(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, 0.4)
    result = run(head, rule_bundle, study=head.study((Role.MAGNITUDE,)))
    assert result.inputs == (Role.MAGNITUDE,)
    assert len(result.lesions) == 1


@pytest.mark.parametrize(("tesla", "te_ms"), [(3.0, 7.4), (1.5, 20.0), (None, 20.0), (3.0, None)])
def test_a_field_map_is_not_assessed_and_the_reason_names_its_weighting(
    head, rule_bundle, tesla, te_ms
):
    head.field_strength_t, head.echo_time_ms = tesla, te_ms
    study = head.study((Role.MAGNITUDE, Role.SWI), derived=(Role.SWI,))
    result = run(head, rule_bundle, study=study)
    assert isinstance(result, NotAssessed)
    assert "too little T2* weighting" in result.reason
    assert f"{(te_ms or 0) * (tesla or 1.5):.0f} ms T" in result.reason


def test_an_acquired_swi_is_taken_at_its_word(head, rule_bundle):
    head.echo_time_ms = 7.0
    assert isinstance(run(head, rule_bundle, study=head.study((Role.SWI,))), LesionMap)


def test_a_study_without_swi_is_not_assessed(head, rule_bundle):
    result = run(head, rule_bundle, study=head.study((Role.T2W,)))
    assert result == NotAssessed("The study has neither SWI nor gradient-echo magnitude.")


def test_a_dropped_contrast_gives_its_own_reason(head, rule_bundle):
    study = replace(head.study((Role.T2W,)), dropped={Role.SWI: "SWI did not register."})
    assert run(head, rule_bundle, study=study) == NotAssessed("SWI did not register.")


def test_thick_slices_are_not_assessed(head, rule_bundle):
    result = run(head, rule_bundle, settings=LesionSettings(max_slice_spacing_mm=1.5))
    assert isinstance(result, NotAssessed)
    assert "2.0 mm apart" in result.reason


@pytest.mark.parametrize(("point", "listed"), [("null", 1), ("0.85", 1), ("0.95", 0)])
def test_the_operating_point_of_app_yaml_wins_over_the_model(
    head, rule_bundle, tmp_path, point, listed
):
    head.plant((12, 30, 20), 2.6, 0.4)
    config = tmp_path / "app.yaml"
    key = "microbleed_probability: "
    config.write_text(DEFAULT_CONFIG.read_text().replace(f"{key}null", f"{key}{point}"))
    settings = load_settings(config).lesion_segmenter
    assert len(run(head, rule_bundle, settings=settings).lesions) == listed


def test_tracking_uids_are_the_same_again_and_differ_between_lesions(head, rule_bundle):
    head.plant((12, 30, 20), 2.6, 0.4)
    head.plant((12, 45, 50), 2.6, 0.4)
    first, again = ([one.uid for one in run(head, rule_bundle).lesions] for _ in range(2))
    assert first == again
    assert len(set(first)) == 2


def test_labels_number_the_lesions_of_the_list(head, rule_bundle):
    for column in (15, 30, 45):
        head.plant((12, 30, column), 2.0 + column / 40, 0.4)
    result = run(head, rule_bundle)
    assert [one.index for one in result.lesions] == [1, 2, 3]
    sizes = [one.volume_mm3 for one in result.lesions]
    assert sizes == sorted(sizes, reverse=True)
    for one in result.lesions:
        assert (result.labels.array == one.index).sum() * 2.0 == one.volume_mm3
