"""Figures of hand-made results, against values worked out by hand."""

import math

import numpy as np
import pytest

from apps.evaluate.examination import Examination, Found, Known
from apps.evaluate.paired import false_per_scan, paired_bootstrap, precision_at
from apps.evaluate.published import bars
from apps.evaluate.sections import confusion_section
from apps.evaluate.statistics import (
    Ratio,
    agreement,
    breakdown,
    called,
    class_figures,
    confusion,
    froc,
    mean,
    mimics,
    reliability,
)
from operators.errors import InputError
from operators.labels import LesionClass

BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT
CALCIUM, VESSEL = LesionClass.CALCIFICATION, LesionClass.VESSEL


def found(kind, truth, probability=0.9, **more):
    return Found(kind, probability, 0.1, 30.0, None, "", truth, 4.0, **more)


def known(kind, listed=None, mm=4.0, **more):
    return Known(kind, mm, 30.0, None, listed, **more)


@pytest.fixture
def scans():
    """A scan with two of three bleeds and two false ones; one without bleeds with one false."""
    return [
        Examination("a", (found(BLEED, BLEED, 0.9), found(BLEED, BLEED, 0.6),
                          found(BLEED, CALCIUM, 0.7), found(BLEED, None, 0.5, near=True)),
                    (known(BLEED, BLEED), known(BLEED, BLEED, 1.0), known(BLEED, None, near=True),
                     known(CALCIUM, BLEED)), 1.0, 3.0, {BLEED: 0.5}),
        Examination("b", (found(BLEED, VESSEL, 0.8), found(IRON, IRON)),
                    (known(VESSEL, BLEED), known(IRON, IRON)), 3.0, 1.5, {BLEED: 0.0, IRON: 1.0}),
    ]


def test_figures_over_lesions_and_over_scans(scans):
    one = class_figures(scans, BLEED)
    assert (one.sensitivity, one.precision) == (Ratio(2, 3), Ratio(2, 5))
    assert (one.near_sensitivity, one.near_precision) == (Ratio(3, 3), Ratio(3, 5))
    assert one.f1 == pytest.approx(0.5)
    assert one.false_per_scan == 1.5
    assert (one.free_scans, one.false_per_free_scan) == (1, 1.0)
    # Scan b has no bleed, so it counts for precision (0 of 1) but not for sensitivity.
    assert (one.sensitivity_mean.value, one.sensitivity_mean.count) == (pytest.approx(2 / 3), 1)
    assert (one.precision_mean.value, one.precision_mean.count) == (pytest.approx(0.25), 2)
    assert (one.dice.value, one.dice.count) == (0.5, 1)
    assert one.counts.difference == 1.0


def test_wilsons_interval_and_students():
    low, high = Ratio(8, 10).interval  # Wilson's formula at z = 1.96
    assert (low, high) == (pytest.approx(0.4902, abs=1e-3), pytest.approx(0.9433, abs=1e-3))
    assert math.isnan(Ratio(0, 0).value)
    own = mean([0.0, 0.5, 1.0])  # t(2) = 4.303, sem = 0.5 / sqrt(3)
    assert own.sem == pytest.approx(0.28868, abs=1e-4)
    assert own.high == pytest.approx(0.5 + 4.3027 * 0.28868, abs=1e-3)
    assert mean([]).count == 0


def test_agreement_is_listed_minus_known():
    own = agreement([0, 2, 4], [1, 2, 6])
    assert own.difference == pytest.approx(1.0)
    assert own.high == pytest.approx(1 + 1.96)
    assert own.pearson == pytest.approx(0.9449, abs=1e-4)
    assert math.isnan(agreement([1, 1], [2, 3]).pearson)


def test_froc_has_a_point_per_distinct_probability(scans):
    points = froc(scans, BLEED)
    assert [one.probability for one in points] == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert [one.false_per_scan for one in points] == [0, 0.5, 1, 1, 1.5]
    assert [round(one.sensitivity, 3) for one in points] == [0.333, 0.333, 0.333, 0.667, 0.667]
    tied = [Examination("a", (found(BLEED, BLEED, 0.5), found(BLEED, None, 0.5)), (known(BLEED),))]
    assert [(one.sensitivity, one.false_per_scan) for one in froc(tied, BLEED)] == [(1.0, 1.0)]


def test_reliability_weighs_bins_by_their_lesions():
    one = Examination("a", (*(found(BLEED, BLEED, 0.9) for _ in range(3)), found(BLEED, None, 0.9),
                            found(BLEED, None, 0.25)), ())
    bins, error = reliability([one], BLEED)
    assert [(each.low, each.count, each.share_true) for each in bins] == [
        (0.2, 1, 0.0), (0.9, 4, 0.75)]
    assert error == pytest.approx((0.25 + 4 * 0.15) / 5)


def test_confusion_of_each_mimic(scans):
    seen = confusion(scans)
    assert seen[CALCIUM] == {BLEED: 1}
    assert seen[VESSEL] == {BLEED: 1}
    assert seen[BLEED] == {BLEED: 2, None: 1}
    assert seen[None] == {BLEED: 1}
    assert called(scans, CALCIUM, BLEED) == Ratio(1, 1)


def test_mimics_are_told_apart_by_what_was_planted():
    there = tuple(known(VESSEL, listed, planted=name) for name, listed in (
        ("flow_void", None), ("vein", None), ("vein", BLEED)))
    others = (known(CALCIUM, planted="calcification"), known(VESSEL))
    both = [Examination("a", (), there), Examination("b", (), others)]
    assert mimics(both) == {"flow_void": {None: 1}, "vein": {None: 1, BLEED: 1}}
    text = confusion_section(both)
    assert "| vein | 2 | 1 |" in text
    assert "| flow void | 1 | 0 |" in text
    assert "planted" not in confusion_section([Examination("b", (), others[1:])])


def test_breakdown_puts_known_and_listed_into_their_own_groups(scans):
    groups = breakdown(scans, BLEED, lambda one, _: one.slice_mm, lambda one, _: one.slice_mm)
    assert groups == {1.0: (Ratio(2, 3), Ratio(2, 4)), 3.0: (Ratio(0, 0), Ratio(0, 1))}


def test_bars_are_met_missed_or_not_known(scans):
    met = {bar.name: bar.met for bar in bars(scans)}
    assert met["microbleed sensitivity"] is False
    assert met["iron deposit precision"] is True
    assert met["veins called microbleed per scan"] is False
    none = {bar.name: bar.met for bar in bars([Examination("a", (), ())])}
    assert none["microbleed sensitivity"] is None
    assert none["false microbleeds per scan"] is True


def model(false, *, names="abcdef"):
    """One hit and `false` false positives below it in every scan."""
    return [Examination(name, (found(BLEED, BLEED, 0.9), *(found(BLEED, None, 0.95),) * false),
                        (known(BLEED, BLEED),)) for name in names]


def test_the_bootstrap_pairs_subjects_and_comes_back_from_its_seed():
    worse, better = model(1), model(0)[::-1]
    first = paired_bootstrap(worse, better, precision_at(BLEED, 1.0), seed=1, rounds=50)
    assert (first.first, first.second, first.value) == (0.5, 1.0, 0.5)
    assert (first.low, first.high, first.undefined) == (0.5, 0.5, 0.0)
    spread = [*model(3, names="a"), *model(0, names="bcdef")]
    again = [paired_bootstrap(spread, better, false_per_scan(BLEED), seed=2, rounds=50)
             for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].low < again[0].value == -0.5 < again[0].high


def test_a_sensitivity_that_one_never_reaches_is_lowered_to_what_both_reach():
    low = [Examination("a", (found(BLEED, BLEED, 0.9), found(BLEED, None, 0.5)),
                       (known(BLEED), known(BLEED)))]
    high = [Examination("a", (found(BLEED, BLEED, 0.9), found(BLEED, BLEED, 0.8)),
                        (known(BLEED), known(BLEED)))]
    assert precision_at(BLEED, 0.9)(list(zip(low, high, strict=True))) == (1.0, 1.0)


def test_two_models_that_find_nothing_together_are_not_compared():
    """A model without a hit reaches no sensitivity: its precision there would be that of chance."""
    none = [Examination("a", (found(BLEED, None, 0.9),), (known(BLEED),))]
    some = [Examination("a", (found(BLEED, BLEED, 0.9),), (known(BLEED),))]
    told = paired_bootstrap(none, some, precision_at(BLEED, 0.5), seed=1, rounds=10)
    assert np.isnan([told.first, told.second, told.low]).all()
    assert told.undefined == 1


def test_other_subjects_are_refused():
    with pytest.raises(InputError, match="different subjects"):
        paired_bootstrap(model(0), model(0, names="xyz"), false_per_scan(BLEED), seed=1)
