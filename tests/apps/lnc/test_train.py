"""`lentiform lnc train` gives heads to what is above chance, and to nothing else."""

import json
import shutil

import numpy as np
import pytest
import torch

from apps.lnc.command import Request
from apps.lnc.crossval import fit
from apps.lnc.scans import read_cohort
from apps.lnc.scores import holm, within
from apps.lnc.study import Design
from apps.lnc.train import Group, reference_group, train_cohort
from apps.map.settings import DEFAULT_CONFIG
from operators.errors import ConfigurationError, InputError, OutputError
from operators.lnc_scorer.bundle import load_bundle, load_network
from operators.lnc_scorer.crops import REGIONS
from operators.lnc_scorer.network import LncNet
from operators.types import Role

SMALL = Design(folds=4, repeats=1, permutations=199)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    (folder / "lnc_scorer" / "models").mkdir(parents=True)
    torch.manual_seed(1)
    torch.save(LncNet().state_dict(), folder / "lnc_scorer" / "models" / "model.pt")
    return folder


@pytest.fixture(scope="module")
def trained(whole_cohort, models, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    request = Request(whole_cohort, out, ["group"], models, DEFAULT_CONFIG, "lentiform lnc train")
    return request, train_cohort(request, SMALL, Group("group", "well"))


def test_what_the_cohort_tells_gets_a_head_and_what_it_does_not_is_named(trained):
    request, card = trained
    bundle = load_bundle(request.out / "lnc_scorer")
    about = bundle.metadata
    assert {(one.role, one.region) for one in about.quantities} == {
        (Role.FA, region) for region in REGIONS}
    assert [one.name for one in about.labels] == ["group"]
    assert about.labels[0].classes == ("ill", "well")
    assert all(right is None or 0 <= right <= 1 for right in about.labels[0].right)
    (untold,) = about.not_told
    assert all(f"CBF of the {region}" in untold for region in REGIONS)
    assert "21 simulated subjects" in about.training_data
    assert bundle.heads.weights.shape == (3 + 2, 512 * 3)
    assert "FA of the putamen" in card.read_text()
    assert json.loads((request.out / "lnc_scorer" / "configs" / "metadata.json").read_text())


def test_the_interval_holds_what_it_says(trained):
    request, _ = trained
    fa = next(one for one in load_bundle(request.out / "lnc_scorer").metadata.quantities
              if one.region == "putamen")
    assert 0 < fa.half_width < 0.1
    generator = np.random.default_rng(0)
    errors = generator.normal(size=(400, 99))
    wide = np.array([within(one, np.zeros(99)) for one in errors])
    new = np.abs(generator.normal(size=400)) <= wide
    assert new.mean() == pytest.approx(0.95, abs=0.03)
    assert within(np.arange(18.0), np.zeros(18)) == np.inf


def test_the_reference_group_is_that_of_the_table(trained, whole_cohort):
    request, _ = trained
    reference = load_bundle(request.out / "lnc_scorer").metadata.reference
    assert reference.group == "group = well"
    assert reference.subjects == 10
    fa = [one for one in reference.measures if one.role is Role.FA]
    assert [one.mean for one in fa] == pytest.approx([0.3225] * 6, abs=0.002)
    volumes = [one.mean for one in reference.measures if one.role is None]
    assert volumes == []  # all alike: no SD, no z-score
    with pytest.raises(InputError, match="The reference group group = odd has 0 subjects"):
        reference_group(read_cohort(whole_cohort), [], Group("group", "odd"), REGIONS)


@pytest.mark.parametrize("words", ["=C", "group", "group=", "", "="])
def test_a_reference_that_names_no_group_is_refused(words):
    with pytest.raises(ConfigurationError, match="names no group"):
        Group.of(words)


def test_references():
    assert Group.of("none") is None
    assert Group.of("all") == Group()
    assert Group.of("group=well = ish") == Group("group", "well = ish")


def test_the_identity_follows_the_heads(trained):
    request, _ = trained
    bundle = request.out / "lnc_scorer"
    before = load_bundle(bundle).identity.sha256
    path = bundle / "configs" / "metadata.json"
    text = path.read_text()
    path.write_text(text.replace('"ill"', '"bad"', 1))
    assert load_bundle(bundle).identity.sha256 != before
    path.write_text(text)
    assert load_bundle(bundle).identity.sha256 == before


@pytest.mark.parametrize(("part", "content"), [
    ("models/heads.npz", b"PK no archive"), ("configs/metadata.json", b'{"regions": ["foo"]}')])
def test_a_broken_bundle_is_named(trained, tmp_path, part, content):
    request, _ = trained
    bundle = shutil.copytree(request.out / "lnc_scorer", tmp_path / "bundle")
    (bundle / part).write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"cannot be read|is no LNC model"):
        load_bundle(bundle)


def test_weights_that_are_none_are_named(trained, tmp_path):
    request, _ = trained
    bundle = shutil.copytree(request.out / "lnc_scorer", tmp_path / "bundle")
    (bundle / "models" / "model.pt").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ConfigurationError, match="cannot be used as the LNC network"):
        load_network(bundle)


def test_the_model_it_starts_from_is_not_overwritten(trained, models):
    request, _ = trained
    copy = Request(request.cohort, models, [], models, request.config, "")
    with pytest.raises(OutputError, match="the model it starts from"):
        train_cohort(copy, SMALL, None)
    assert not (models / "lnc_scorer" / "configs").exists()
    shutil.rmtree(models / "work", ignore_errors=True)


def test_weights_on_raw_features_predict_as_the_standardised_ridge():
    generator = np.random.default_rng(4)
    features = generator.normal(5, 3, (40, 6))
    targets = features @ generator.normal(size=(6, 2)) + 7
    weights, intercept = fit(features, targets)
    assert features @ weights.T + intercept == pytest.approx(targets, abs=0.1)


def test_holm_is_the_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
