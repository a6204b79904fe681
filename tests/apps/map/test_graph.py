"""A graph that stops short is an error, and an error inside a step leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apps.map.run import RunPaths, run_study
from operators.dicom_loader.operator import DicomLoaderOperator
from operators.dicom_writer.staging import MANIFEST, SCHEMA
from operators.errors import IncompleteRun, StepFailed


@pytest.fixture
def paths(tmp_path: Path) -> RunPaths:
    (tmp_path / "study").mkdir()
    return RunPaths(tmp_path / "study", tmp_path / "out")


def test_a_loader_that_never_emits_is_an_incomplete_run(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DicomLoaderOperator, "compute", lambda *_: None)
    with pytest.raises(IncompleteRun, match="ended without a result"):
        run_study(paths)


def test_a_former_result_does_not_pass_for_this_runs_result(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.out.mkdir()
    former = {
        "schema": SCHEMA,
        "provenance": {"started": "2020-01-01T00:00:00+00:00"},
        "status": {"exit_code": 0},
    }
    (paths.out / MANIFEST).write_text(json.dumps(former))
    monkeypatch.setattr(DicomLoaderOperator, "compute", lambda *_: None)
    with pytest.raises(IncompleteRun):
        run_study(paths, overwrite=True)


def test_an_error_inside_a_step_comes_out_as_itself_and_leaves_nothing(
    paths: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise StepFailed("the magnet quenched")

    monkeypatch.setattr(DicomLoaderOperator, "compute", broken)
    with pytest.raises(StepFailed, match="the magnet quenched"):
        run_study(paths)
    assert not any(paths.out.glob("*"))
