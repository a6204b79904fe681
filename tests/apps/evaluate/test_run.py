"""Examining a tree: resumed where nothing changed, anew where something did, nothing in silence."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from apps.evaluate import from_dicom, run
from apps.evaluate.command import Request, evaluate
from apps.evaluate.examination import Examination, listing_all
from apps.evaluate.from_dicom import prepare, seen_by_the_map
from apps.evaluate.run import Plan, Way, examine_scans
from apps.evaluate.tree import read_tree
from apps.map.settings import DEFAULT_MODELS, load_settings
from apps.train.subjects import Examined, as_study
from operators.errors import InputError, StepFailed
from operators.lesion_segmenter.segment import segment_lesions
from operators.types import NotAssessed, Role, Sample


@pytest.fixture
def plan(tmp_path):
    return Plan(DEFAULT_MODELS / "lesion_segmenter", tmp_path / "work", load_settings())


@pytest.fixture
def calls(monkeypatch):
    """Instead of the network: the names of the subjects it was asked for."""
    asked = []

    def examine(truth, *_):
        asked.append(truth.subject)
        if truth.subject == "sub-2":
            raise StepFailed("no signal")
        return Examination(truth.subject, (), (), 2.0, truth.field_strength_t, {})
    monkeypatch.setattr(run, "examine", examine)
    return asked


def test_what_is_done_is_kept_until_a_scan_a_setting_or_the_model_changes(tree, plan, calls):
    scans = read_tree(tree).scans
    records = examine_scans(scans, plan)
    assert [one.scan for one in records] == calls == ["sub-1", "sub-2", "sub-3", "sub-4"]
    assert records[1].reason == "StepFailed: no signal"
    assert examine_scans(scans, plan) == records
    assert len(calls) == 4
    table = next(tree.rglob("sub-3*dseg.tsv"))
    table.write_text(table.read_text().replace("CMB", "NHID"))
    examine_scans(scans, plan)
    assert calls[4:] == ["sub-3"]
    lesions = plan.settings.lesion_segmenter.model_copy(update={"max_vesselness": 0.5})
    changed = plan.settings.model_copy(update={"lesion_segmenter": lesions})
    examine_scans(scans[:1], replace(plan, settings=changed))
    assert calls[5:] == ["sub-1"]
    assert len(list((plan.work / "sub-1").iterdir())) == 1


def test_candidates_are_a_second_look(tree, plan, calls):
    (record,) = examine_scans(read_tree(tree).scans[:1], replace(plan, candidates=True))
    assert calls == ["sub-1", "sub-1"]
    assert record.candidates is not None


def test_a_contrast_is_kept_from_the_model_and_not_from_the_truth(tree, plan, monkeypatch):
    seen = []

    def examine(truth, given, *_):
        seen.append((Role.QSM in truth.contrasts, Role.QSM in given.contrasts))
        return Examination(truth.subject, (), (), 2.0, None, {})
    monkeypatch.setattr(run, "examine", examine)
    scans = read_tree(tree).scans[:1]
    for without in ((), (Role.QSM,), (Role.QSM,)):
        examine_scans(scans, replace(plan, without=without))
    assert seen == [(True, True), (True, False)]


def test_several_processes_give_the_same(tree, plan, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(
        [str(run.REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    scans = read_tree(tree).scans[:2]
    alone = examine_scans(scans, plan)
    both = examine_scans(scans, replace(plan, work=plan.work / "other"), jobs=2)
    for here, there in zip(alone, both, strict=True):
        assert (here.scan, here.listed.known) == (there.scan, there.listed.known)
        assert [one.kind for one in here.listed.found] == [one.kind for one in there.listed.found]
        np.testing.assert_allclose([one.probability for one in here.listed.found],
                                   [one.probability for one in there.listed.found], atol=1e-3)


def test_a_prepared_study_is_kept_until_its_files_change(tmp_path, examined, monkeypatch):
    asked = []

    def once(_, name, __):
        asked.append(name)
        return examined
    monkeypatch.setattr(from_dicom, "prepare", once)
    study, work, settings = tmp_path / "study", tmp_path / "work", load_settings()
    study.mkdir()
    (study / "1.dcm").write_bytes(b"1")
    first = seen_by_the_map(study, "sub-1", work, settings)
    again = seen_by_the_map(study, "sub-1", work, settings)
    assert isinstance(first, Examined)
    assert isinstance(again, Examined)
    np.testing.assert_array_equal(first.brain, again.brain)
    assert len(asked) == 1
    (study / "1.dcm").write_bytes(b"2")
    seen_by_the_map(study, "sub-1", work, settings)
    assert len(asked) == 2
    assert len(list(work.iterdir())) == 1


def test_a_study_that_cannot_be_read_is_a_reason_and_not_the_end(tmp_path):
    (tmp_path / "note.txt").write_text("no DICOM here")
    prepared = prepare(tmp_path, "sub-1", load_settings())
    assert isinstance(prepared, NotAssessed)
    assert "Error: " in prepared.reason or "NothingToAssess" in prepared.reason


def test_a_tree_becomes_a_page_that_says_simulated_and_names_what_was_not_assessed(tree, tmp_path):
    study = tree / "sourcedata" / "sub-2"
    study.mkdir(parents=True)
    (study / "note.txt").write_text("no DICOM here")
    out = tmp_path / "out"
    page = evaluate(Request(tree, out, "lentiform evaluate scans -o out", from_dicom=True))
    text = page.read_text()
    assert text.startswith("# The lesion model on simulated scans")
    assert "these figures say nothing about patients" in text
    assert "## Scans not assessed (1)" in text
    assert "| sub-2 | DICOM" in text
    assert "lentiform evaluate scans -o out" in text
    data = json.loads((out / "evaluation.json").read_text())
    assert data["simulated"] is True
    assert data["ways"]["arrays"]["figures"]["microbleed"]["sensitivity"]["whole"] == 3
    assert len(data["model"]["sha256"]) == 64
    assert {one["way"] for one in data["records"]} == {Way.ARRAYS, Way.DICOM}
    for picture in ("froc.png", "calibration.png", "bland-altman.png"):
        assert f"]({picture})" in text
        assert (out / picture).stat().st_size > 1000


@pytest.mark.usefixtures("calls")
def test_an_annotated_tree_is_not_held_to_the_bars_of_simulation(tree, tmp_path):
    (tree / "dataset_description.json").unlink()
    text = evaluate(Request(tree, tmp_path / "out", "x")).read_text()
    assert "The project's bars" not in text
    assert "simulated scans" not in text


def test_asking_for_dicom_that_is_not_there_is_refused(tree, tmp_path):
    with pytest.raises(InputError, match="sourcedata"):
        evaluate(Request(tree, tmp_path / "out", "x", from_dicom=True))


def test_no_scan_at_all_is_an_error(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "examine", lambda *_: NotAssessed("too thick"))
    with pytest.raises(StepFailed, match=r"None of 4 scans .* too thick"):
        evaluate(Request(tree, tmp_path / "out", "x"))


@pytest.mark.parametrize("known", [True, False])
def test_what_is_kept_of_a_study_gives_the_lesions_that_the_study_gives(
    examined, monkeypatch, known
):
    """The steps before the lesion segmenter are stood for by what they would give."""
    magnitude = {Role.MAGNITUDE: examined.contrasts[Role.SWI]}
    contrasts = {role: image for role, image in examined.contrasts.items() if role is not Role.SWI}
    study, regions = as_study(replace(examined, contrasts=magnitude | contrasts))
    gre = study.study.series[Role.MAGNITUDE]
    gre = replace(gre, samples=(Sample(echo_time_ms=20.0),))
    study = replace(study, study=replace(study.study, series={Role.MAGNITUDE: gre}))
    if not known:
        regions = NotAssessed("no T1w")
    monkeypatch.setattr("operators.dicom_loader.load.load_study", lambda *_, **__: study.study)
    monkeypatch.setattr("operators.quantitative_maps.maps.add_maps", lambda one, _: one)
    monkeypatch.setattr("operators.registration.coregister.coregister", lambda *_: study)
    monkeypatch.setattr("operators.region_segmenter.segment.segment_regions", lambda *_: regions)
    settings, bundle = load_settings(), DEFAULT_MODELS / "lesion_segmenter"
    every = listing_all(settings.lesion_segmenter)
    direct = segment_lesions(study, regions, bundle=bundle, settings=every)
    kept, place = as_study(prepare(None, "sub-1", settings))
    again = segment_lesions(kept, place, bundle=bundle, settings=every)
    assert direct.lesions
    assert [replace(one, uid="") for one in again.lesions] == [
        replace(one, uid="") for one in direct.lesions]
    np.testing.assert_array_equal(again.labels.array, direct.labels.array)
