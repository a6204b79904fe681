"""Estimates are the heads' own, stand beside what was measured, and are absent with a reason."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from highdicom import Volume
from pydicom import Dataset

from apps.map.settings import DEFAULT_MODELS
from operators.errors import ConfigurationError
from operators.labels import Side, structure
from operators.lnc_scorer.bundle import (
    HEADS,
    METADATA,
    WEIGHTS,
    LabelHead,
    Metadata,
    QuantityHead,
    Reference,
    ReferenceMeasure,
    load_bundle,
)
from operators.lnc_scorer.crops import REGIONS, SIDES, crop, normalised
from operators.lnc_scorer.estimate import NO_HEADS, estimate
from operators.lnc_scorer.features import deep_features, of_subject
from operators.lnc_scorer.network import FEATURES, LncNet
from operators.lnc_scorer.saliency import saliency_maps
from operators.types import (
    CoregisteredStudy,
    LncEstimates,
    NotAssessed,
    RegionMap,
    RegionMeasure,
    Registration,
    Role,
    Sample,
    Series,
    Statistic,
    Study,
    Unit,
)

SHAPE = (44, 60, 72)
WIDTH = FEATURES * len(REGIONS)
ABOUT = Metadata(name="LNC", version="1", training_data="a cohort")
FA_HEAD = QuantityHead(role=Role.FA, region="putamen", unit=Unit.RATIO, half_width=0.05,
                       r2=(0.4, 0.2, 0.6), subjects=40)
LABEL_HEAD = LabelHead(name="group", classes=("A", "B", "C"), right=(0.5, None, 0.8),
                       balanced_accuracy=(0.6, 0.5, 0.7), chance=0.4, subjects=40)


def volume(array, shift_mm=(0.0, 0.0, 0.0)):
    affine = np.array([[0.0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    affine[:3, 3] = shift_mm
    return Volume(array, affine, "PATIENT", frame_of_reference_uid="1.2.3")


@pytest.fixture(scope="module")
def region_map():
    labels = np.zeros(SHAPE, np.uint8)
    for n, name in enumerate(REGIONS):
        labels[16:26, 10 + 15 * n:18 + 15 * n, 46:54] = structure(name, Side.LEFT).number
        labels[16:26, 10 + 15 * n:18 + 15 * n, 18:26] = structure(name, Side.RIGHT).number
    return RegionMap(volume(labels), volume(labels > 0), Role.T1W, "by hand", 1.0)


@pytest.fixture(scope="module")
def t1w(region_map):
    noise = np.random.default_rng(3).normal(0, 2, SHAPE)
    return (100 + 20 * (region_map.labels.array > 0) + noise).astype(np.float32)


def study(t1w, *, reference=Role.SWI, moved_mm=(0.0, 0.0, 0.0)):
    """T1w on a grid of its own, `moved_mm` away; the contrast on the reference grid is all NaN
    where T1w is not the reference, so that whoever reads it fails."""
    matrix = np.eye(4)
    matrix[:3, 3] = moved_mm
    own = Series(Role.T1W, (volume(t1w, moved_mm),), (Sample(),), Unit.ARBITRARY, (), "1.2", "", "")
    here = volume(t1w if reference is Role.T1W else np.full_like(t1w, np.nan))
    known = {} if reference is Role.T1W else {
        Role.T1W: Registration(Role.T1W, Role.T1W, matrix, "by hand", 1.0, True, "")}
    return CoregisteredStudy(
        Study("1.9", Dataset(), {Role.T1W: own}, ()), reference, {Role.T1W: here}, known,
        volume(np.ones(SHAPE, bool)), {})


def measures(fa=0.3, unit=Unit.RATIO, cbf_unit=Unit.ABSOLUTE_CBF):
    return tuple(
        RegionMeasure(structure(name, side), 640.0, {
            Role.FA: Statistic(fa + 0.02 * (side is Side.LEFT), 0.1, fa, 1.0, unit),
            Role.CBF: Statistic(40.0, 5.0, 40.0, 1.0, cbf_unit)}, {}, 0.0)
        for name in REGIONS for side in SIDES)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    return LncNet().eval()


@pytest.fixture
def bundle(tmp_path, network):
    """Writes a bundle: bundle(metadata, weights, intercept)."""
    def write(about, weights=None, intercept=None):
        for part in (WEIGHTS, METADATA):
            (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), tmp_path / WEIGHTS)
        (tmp_path / METADATA).write_text(about.model_dump_json())
        if weights is not None:
            np.savez(tmp_path / HEADS, weights=weights, intercept=intercept)
        return tmp_path
    return write


def heads():
    generator = np.random.default_rng(8)
    return generator.normal(0, 0.01, (4, WIDTH)), generator.normal(0, 0.1, 4)


def by_hand(network, t1w, region_map):
    scaled = normalised(volume(t1w), region_map.labels)
    crops = np.stack([crop(scaled, region_map.labels, structure(name, side))
                      for name in REGIONS for side in SIDES])
    return of_subject(deep_features(network, crops).reshape(3, 2, -1))


@pytest.mark.parametrize("reference", [Role.T1W, Role.SWI])
def test_estimates_are_the_heads_of_the_features_wherever_t1w_lies(
    bundle, network, t1w, region_map, reference
):
    weights, intercept = heads()
    about = ABOUT.model_copy(update={"quantities": (FA_HEAD,), "labels": (LABEL_HEAD,)})
    moved = (0.0, 0.0, 0.0) if reference is Role.T1W else (5.0, -3.0, 2.0)
    told = estimate(study(t1w, reference=reference, moved_mm=moved), region_map, measures(),
                    bundle(about, weights, intercept))
    assert isinstance(told, LncEstimates)
    expected = weights @ by_hand(network, t1w, region_map) + intercept
    (fa,), (label,) = told.regions, told.labels
    assert fa.value == pytest.approx(expected[0], abs=1e-4)
    assert (fa.value - fa.low, fa.high - fa.value) == pytest.approx((0.05, 0.05))
    assert fa.measured == pytest.approx(0.31)
    best = int(np.argmax(expected[1:]))
    assert (label.value, label.right) == (LABEL_HEAD.classes[best], LABEL_HEAD.right[best])


def test_saliency_lies_about_the_regions_whose_evidence_counts(
    bundle, t1w, region_map
):
    weights, intercept = heads()
    about = ABOUT.model_copy(update={"quantities": (FA_HEAD,), "labels": (LABEL_HEAD,)})
    told = estimate(study(t1w), region_map, measures(), bundle(about, weights, intercept))
    assert isinstance(told, LncEstimates)
    assert set(told.saliency) == {"FA", "label group"}
    for one in told.saliency.values():
        assert one.geometry_equal(region_map.labels)
        assert one.array.min() >= 0
        assert one.array.max() == pytest.approx(1)
    rows = np.argwhere(told.saliency["FA"].array > 0)[:, 1]
    assert rows.min() >= 28.5 - 20
    assert rows.max() <= 28.5 + 20
    assert np.argwhere(told.saliency["label group"].array > 0)[:, 1].max() > 28.5 + 20


def test_bf16_shows_the_same_places(t1w, region_map, monkeypatch):
    network = load_bundle(DEFAULT_MODELS / "lnc_scorer").network().eval()
    row = network.head.weight[:1].detach().numpy().astype(float)
    wanted = {"FA": np.tile(row, (len(REGIONS), len(REGIONS)))}
    scaled = normalised(volume(t1w), region_map.labels)
    crops = np.stack([[crop(scaled, region_map.labels, structure(name, side)) for side in SIDES]
                      for name in REGIONS])
    one, half = (
        _saliency(network, crops, wanted, region_map, monkeypatch, bf16) for bf16 in (False, True))
    assert not np.array_equal(one, half)
    assert np.corrcoef(one.ravel(), half.ravel())[0, 1] > 0.99


def _saliency(network, crops, wanted, region_map, monkeypatch, bf16):
    monkeypatch.setattr("operators.lnc_scorer.saliency.computes_bf16", lambda: bf16)
    return saliency_maps(network, crops, wanted, region_map.labels, REGIONS)["FA"].array


def test_a_model_without_heads_gives_no_score_and_says_so(bundle, t1w, region_map):
    told = estimate(study(t1w), region_map, measures(), bundle(ABOUT))
    assert told == NotAssessed(NO_HEADS)


def test_no_model_is_no_error_but_a_broken_one_is(bundle, t1w, region_map, tmp_path):
    none = estimate(study(t1w), region_map, measures(), tmp_path / "none")
    assert isinstance(none, NotAssessed)
    assert "No LNC model" in none.reason
    folder = bundle(ABOUT.model_copy(update={"quantities": (FA_HEAD,)}), np.zeros((2, WIDTH)),
                    np.zeros(2))
    with pytest.raises(ConfigurationError, match="names 1 outputs"):
        load_bundle(folder)
    (folder / HEADS).write_bytes(b"no")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_bundle(folder)
    (folder / METADATA).write_text(json.dumps({"name": "LNC"}))
    with pytest.raises(ConfigurationError, match="is no LNC model"):
        load_bundle(folder)


def test_z_scores_need_no_t1w_and_relative_flow_has_none(bundle, t1w, region_map):
    both = tuple(
        ReferenceMeasure(region="putamen", side=Side.LEFT, role=role, mean=mean, sd=sd)
        for role, mean, sd in ((Role.FA, 0.30, 0.04), (None, 600.0, 80.0), (Role.CBF, 50.0, 5.0)))
    folder = bundle(ABOUT.model_copy(
        update={"reference": Reference(group="group = A", subjects=30, measures=both)}))
    bare = replace(study(t1w), contrasts={})
    told = estimate(bare, region_map, measures(), folder)
    assert isinstance(told, LncEstimates)
    assert [(one.role, pytest.approx(one.value)) for one in told.z_scores] == [
        (Role.FA, 0.5), (None, 0.5), (Role.CBF, -2.0)]
    assert told.reference == "group = A (30 subjects)"
    relative = estimate(bare, region_map, measures(cbf_unit=Unit.RELATIVE_CBF), folder)
    assert isinstance(relative, LncEstimates)
    assert Role.CBF not in {one.role for one in relative.z_scores}


def test_heads_without_t1w_say_why_nothing_is_estimated(bundle, t1w, region_map):
    weights, intercept = heads()
    about = ABOUT.model_copy(update={"quantities": (FA_HEAD,), "labels": (LABEL_HEAD,)})
    told = estimate(replace(study(t1w), contrasts={}), region_map, measures(),
                    bundle(about, weights, intercept))
    assert isinstance(told, LncEstimates)
    assert (told.regions, told.labels, dict(told.saliency)) == ((), (), {})
    assert told.notes == ("No model estimate: it needs T1w.",)
