"""DEEPMIR's design: nothing leaks between folds, each arm sees its own contrasts and classes."""

import json
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from apps.evaluate import arms
from apps.evaluate.arms import ARMS, Arm, Outcome, restrict
from apps.evaluate.command import Request
from apps.evaluate.deepmir import Design, run_deepmir
from apps.evaluate.deepmir_page import Study, comparisons, page
from apps.evaluate.deepmir_paper import MULTI, SINGLE
from apps.evaluate.examination import Examination, Found, Known
from apps.evaluate.folds import Fold, part
from apps.evaluate.tree import Scan
from apps.map.settings import DEFAULT_MODELS
from apps.train.subjects import as_case
from operators.errors import InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import WEIGHTS
from operators.lesion_segmenter.cases import load_case
from operators.lesion_segmenter.training import TrainingSettings, Validation

BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT


def scan(number, anatomy):
    return Scan(f"sub-{number:02d}", (), anatomy, None, None, None)


@pytest.mark.parametrize("heads", [6, 24])
def test_every_scan_is_tested_once_and_no_head_is_on_two_sides(heads):
    scans = [scan(number, f"head-{number % heads}") for number in range(24)]
    head = {one.name: one.anatomy for one in scans}
    folds = part(scans, 4, seed=3)
    assert sorted(name for one in folds for name in one.test) == sorted(head)
    for one in folds:
        sides = [{head[name] for name in side} for side in (one.train, one.validation, one.test)]
        assert not sides[0] & sides[1] | sides[0] & sides[2] | sides[1] & sides[2]
        assert len(one.train) + len(one.validation) + len(one.test) == 24
        assert 0.2 * 18 <= len(one.validation) <= 0.5 * 18
    assert max(len(one.test) for one in folds) - min(len(one.test) for one in folds) <= 4
    assert folds == part(scans[::-1], 4, seed=3)
    assert folds != part(scans, 4, seed=4)


def test_too_few_heads_are_refused():
    with pytest.raises(InputError, match="2 anatomies cannot be parted into 2 folds"):
        part([scan(number, f"head-{number % 2}") for number in range(8)], 2, seed=1)


def test_an_arm_sees_its_contrasts_and_learns_its_classes(examined):
    kinds = {1: IRON, 2: BLEED}
    case = as_case(replace(examined, kinds=kinds))
    own = restrict(case, Arm("SWI+T2w", "microbleed"))
    assert own.present.tolist() == [True, False, True, False]
    assert np.abs(own.inputs[[0, 2]]).max(axis=(1, 2, 3)).all()
    assert not own.inputs[[1, 3]].any()
    assert set(np.unique(own.classes)) == {0, BLEED}
    assert set(np.unique(own.instances)) == {0, 2}
    whole = restrict(case, Arm("SWI+QSM+T2w", "multi"))
    np.testing.assert_array_equal(whole.instances, case.instances)


def test_a_left_out_channel_is_what_a_missing_contrast_gives(examined):
    arm = Arm("SWI", "multi")
    swi = {role: examined.contrasts[role] for role in arms.CONTRASTS["SWI"]}
    np.testing.assert_array_equal(restrict(as_case(examined), arm).inputs,
                                  as_case(replace(examined, contrasts=swi)).inputs)


@pytest.fixture
def trained(monkeypatch):
    """Instead of training: which cases every network was given; its weights are the default's."""
    runs = []

    def train(cases, out, settings, *, validation):
        runs.append(([load_case(path) for path in cases], settings))
        assert not {path.name for path in cases} & {path.name for path in validation}
        out.mkdir(parents=True)
        shutil.copyfile(DEFAULT_MODELS / "lesion_segmenter" / WEIGHTS, out / "model.pt")
        return Validation(2, 0.1, {}, {})
    monkeypatch.setattr(arms, "train", train)
    return runs


def test_the_design_runs_once_through_and_is_resumed(tree, tmp_path, trained, monkeypatch):
    (tree / "participants.tsv").unlink()
    monkeypatch.setattr(arms, "write_fitted", lambda *_, **__: None)
    seen = []

    def examine_all(subjects, *_):
        names = [(one.subject, sorted(one.contrasts)) for one in subjects]
        seen.extend(names)
        return [Examination(name, (), (Known(BLEED, 2.0),)) for name, _ in names]
    monkeypatch.setattr(arms, "examine_all", examine_all)
    request = Request(tree, tmp_path / "out", "lentiform evaluate scans --design deepmir")
    design = Design.of(folds=2, steps=2, seed=1)
    path = run_deepmir(request, design)
    assert len(trained) == 2 * len(ARMS)
    assert all(settings.drop_qsm == settings.drop_t2w == settings.use_magnitude == 0
               for _, settings in trained)
    # Four scans are tested by twelve networks each, and twice by the two that are compared.
    assert len(seen) == 4 * (len(ARMS) + 2)
    assert {name for name, contrasts in seen if contrasts == ["swi"]} == {
        f"sub-{number}" for number in range(1, 5)}
    assert not list((tmp_path / "out").rglob("*.case.npz"))
    text = path.read_text()
    assert "# DEEPMIR's design on 4 simulated scans" in text
    assert json.loads((tmp_path / "out/deepmir.json").read_text())["simulated"] is True
    run_deepmir(request, design)
    assert len(trained) == 2 * len(ARMS)
    run_deepmir(request, replace(design, training=TrainingSettings(steps=3)))
    assert len(trained) == 4 * len(ARMS)


def outcome(arm, false, fold=0):
    """Two scans with one hit each, in one of them `false` more probable false positives."""
    hit = Found(BLEED, 0.8, 0.1, 9.0, None, "", BLEED, 2.0)
    wrong = Found(BLEED, 0.9, 0.1, 9.0, None, "", None, 0.0)
    listed = tuple(Examination(f"sub-{number}", (hit, *(wrong,) * (false * number)),
                               (Known(BLEED, 2.0, 4.0, None, BLEED),)) for number in range(2))
    return Outcome(arm, fold, 1, listed, listed if arm.compared else ())


def test_the_page_has_our_rows_beside_the_papers_and_the_gain_of_qsm():
    outcomes = tuple(outcome(arm, 0 if "QSM" in arm.contrasts else 2) for arm in ARMS)
    study = Study(outcomes, (Fold(0, ("a",), ("b",), ("c",)),), True, 2, 2, TrainingSettings(),
                  "0", "lentiform evaluate")
    text = page(study)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    ours = [(one, two) for one, two in pairwise(rows) if "| ours |" in one]
    assert len(ours) == 16
    assert all("| paper |" in two for _, two in ours)
    for row in (*SINGLE.values(), *MULTI.values()):
        assert f"| {' | '.join(row)} |" in text
    gain = next(one for name, one in comparisons(study).items() if "precision at" in name)
    assert (gain.first, gain.second) == (0.5, 1.0)
    assert "simulated" in text


def test_the_tables_of_the_paper_hold_every_arm():
    wanted = {(kind, contrasts) for kind in (BLEED, IRON) for contrasts in arms.CONTRASTS}
    assert set(SINGLE) == set(MULTI) == wanted
