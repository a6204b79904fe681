"""What is recorded of one subject, and that another grid of the same space changes nothing."""

from dataclasses import replace

import highdicom
import numpy as np
import pytest

from apps.evaluate import examination
from apps.evaluate.examination import examine, examine_all, judge, listing_all
from operators.errors import StepFailed
from operators.labels import LesionClass, MarsCategory, Side, structure
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Lesion, LesionMap, ModelIdentity, NotAssessed

BLEED, IRON, VESSEL = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT, LesionClass.VESSEL


def lesion(index, kind, centre=(0.0, 0.0, 0.0)):
    place = structure("insula", Side.LEFT)
    return Lesion(index, kind, place, 18.0, 3.0, centre, 0.4, 0.5, 0.9, 0.1, "why", "1")


def drawn(examined, *boxes):
    labels = np.zeros(examined.truth.shape, np.uint16)
    for number, (slices, rows, columns) in enumerate(boxes, start=1):
        labels[slice(*slices), slice(*rows), slice(*columns)] = number
    return labels


def test_a_found_bleed_and_a_vessel_called_bleed_are_told_apart(examined):
    labels = drawn(examined, ((4, 5), (30, 33), (21, 24)), ((3, 4), (30, 31), (40, 41)))
    one = judge(examined, labels, [lesion(1, BLEED), lesion(2, BLEED)])
    assert [(each.truth, each.truth_mm) for each in one.found] == [(BLEED, 2.5), (VESSEL, 3.0)]
    bleed, vessel = one.known
    assert (bleed.kind, bleed.listed, vessel.kind, vessel.listed) == (BLEED, BLEED, VESSEL, BLEED)
    assert bleed.volume_mm3 == pytest.approx(18)
    assert (bleed.location, vessel.location) == (MarsCategory.DEEP, None)
    assert one.found[0].location is MarsCategory.LOBAR
    assert (one.slice_mm, one.field_strength_t) == (2.0, 3.0)
    assert one.dice == {BLEED: pytest.approx(2 * 6 / (9 + 10))}


def test_a_lesion_beside_a_missed_one_is_near_but_no_hit(examined):
    # The bleed's centre is slice 4, row 31, column 21: LPS (21, 31, 8) mm.
    labels = drawn(examined, ((4, 5), (34, 36), (20, 23)))
    one = judge(examined, labels, [lesion(1, BLEED, (21.0, 34.5, 8.0))])
    assert one.found[0].truth is None
    assert one.found[0].near
    assert one.known[0].near
    assert one.known[0].listed is None
    assert not judge(examined, labels, [lesion(1, IRON, (21.0, 34.5, 8.0))]).found[0].near


def test_what_lies_outside_the_brain_is_not_asked_for(examined):
    truth = examined.truth.copy()
    truth[0, 0, 0] = 3
    with_third = replace(examined, truth=truth, kinds={**examined.kinds, 3: BLEED},
                         diameters_mm={**examined.diameters_mm, 3: 1.0})
    assert len(judge(with_third, np.zeros_like(truth), []).known) == 2


def test_labels_of_a_flipped_grid_come_onto_that_of_the_truth(examined, monkeypatch):
    labels = drawn(examined, ((4, 5), (30, 33), (20, 23)))
    affine = examined.affine @ np.array(
        [[1, 0, 0, 0], [0, -1, 0, 59], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    volume = highdicom.Volume(labels[:, ::-1], affine, "PATIENT")
    found = LesionMap(volume, {}, (lesion(1, BLEED),), (), ModelIdentity("", "", "", ""))
    monkeypatch.setattr(examination, "segment_lesions", lambda *_, **__: found)
    one = examine(examined, examined, "bundle", LesionSettings())
    assert one.found[0].truth is BLEED
    assert one.dice == {BLEED: 1.0}


def test_a_subject_that_is_not_assessed_is_named(examined, monkeypatch):
    monkeypatch.setattr(examination, "segment_lesions", lambda *_, **__: NotAssessed("too thick"))
    with pytest.raises(StepFailed, match="sub-1 was not assessed: too thick"):
        examine_all([examined], "bundle", LesionSettings())


def test_listing_all_keeps_the_other_settings():
    settings = listing_all(LesionSettings(max_vesselness=0.5))
    assert settings.max_vesselness == 0.5
    assert settings.microbleed_probability == settings.iron_probability == examination.LEAST
