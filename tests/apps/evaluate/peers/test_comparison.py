"""The comparison with peers: the same scans, the network's own view of them, words that follow."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from apps.evaluate.examination import Examination, Found, Known, judge_map
from apps.evaluate.peers import __main__ as command
from apps.evaluate.peers.comparison import Comparison, Result, page
from apps.evaluate.peers.contenders import Nnu, points_of_nnunet
from apps.evaluate.peers.network_view import of_case, of_scan
from apps.train.subjects import as_case, save_examined
from operators.errors import InputError
from operators.labels import LesionClass
from operators.types import LesionMap, ModelIdentity, Role
from tests.apps.evaluate.conftest import examined, tree  # noqa: F401

BLEED, IRON = LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT


def test_a_scan_seen_by_the_network_lies_where_it_lay(examined):  # noqa: F811
    fine = np.diag([1.0, 0.5, 0.5, 1.0])
    fine[1:3, 3] = -0.25
    small = replace(examined, affine=examined.affine @ fine, **{
        name: np.repeat(np.repeat(getattr(examined, name), 2, 1), 2, 2)
        for name in ("brain", "regions", "truth")},
        contrasts={role: np.repeat(np.repeat(image, 2, 1), 2, 2)
                   for role, image in examined.contrasts.items()})
    seen = of_scan(small)
    assert np.linalg.norm(seen.affine[:3, :3], axis=0) == pytest.approx((2.0, 1.0, 1.0))

    def dark(one):
        spot = np.argwhere(one.contrasts[Role.SWI] < -0.5)
        return one.affine[:3, :3] @ spot.mean(axis=0) + one.affine[:3, 3]

    both = small.affine[:3, :3] @ np.argwhere(small.truth > 0).mean(axis=0) + small.affine[:3, 3]
    assert dark(seen) == pytest.approx(both, abs=0.3)
    assert not seen.truth.any()


def test_a_case_keeps_its_lesions_and_their_classes(examined):  # noqa: F811
    seen = of_case(as_case(examined))
    assert dict(seen.kinds) == dict(examined.kinds)
    assert (seen.truth > 0).sum() == (examined.truth > 0).sum()
    assert set(seen.contrasts) == {Role.SWI, Role.QSM, Role.T2W}


def listing(hits, wrong, missed):
    found = [Found(BLEED, 0.9, 0.1, 9.0, None, "", truth, 3.0)
             for truth in [BLEED] * hits + [None] * wrong]
    known = [Known(BLEED, 3.0, listed=listed) for listed in [BLEED] * hits + [None] * missed]
    return Examination("a", tuple(found), (*known, Known(IRON, 3.0)))


def test_the_page_says_who_is_better_and_how_much_faster():
    ours = Result("Lentiform", (listing(2, 0, 0),), 2.0)
    better = Result("nnU-Net 2D, 30 min of training", (listing(1, 1, 1),), 30.0)
    text = page(Comparison((ours, better), True, 1, 2, 3, "0", "x"))
    assert "F1 of cerebral microbleeds at least equal (1.000 against 0.500)" in text
    assert "15.0 times faster (wanted 10: met)" in text
    text = page(Comparison((replace(better, name="Lentiform"), replace(ours, name="nnU-Net 2D")),
                           True, 1, 2, 3, "0", "x"))
    assert "microbleeds LOWER (0.500 against 1.000)" in text
    assert "0.1 times faster (wanted 10: MISSED)" in text


def test_what_the_scans_cannot_say_is_no_defeat():
    none = Examination("a", (), ())
    text = page(Comparison((Result("Lentiform", (none,), 2.0), Result("x", (none,), 1.0)), True, 1,
                           2, 3, "0", "x"))
    assert "F1 of cerebral microbleeds cannot be said" in text
    assert "LOWER" not in text


class FixedNet:
    """Instead of nnU-Net: a lesion wherever the view is dark."""

    def detect(self, subjects, least):
        from apps.evaluate.peers.nnunet import lesion_map

        maps = []
        for subject in subjects:
            given = np.zeros((4, *subject.brain.shape), np.float32)
            given[1] = subject.contrasts[Role.SWI] < -0.5
            maps.append(lesion_map(subject, given, least))
        return maps


def test_nnunets_lesions_are_judged_on_the_grid_of_the_scan(examined):  # noqa: F811
    (found, seconds), = Nnu(FixedNet(), {}, "nnU-Net").look([examined])
    assert seconds >= 0
    judged = judge_map(examined, found)
    assert sorted(one.listed or 0 for one in judged.known) == [BLEED, BLEED]
    points = points_of_nnunet(FixedNet(), [examined])
    assert points[BLEED] < 1
    assert points[IRON] == 1.0


def test_the_command_writes_page_and_data(
    tree, examined, tmp_path, monkeypatch  # noqa: F811
):
    nothing = LesionMap(None, {}, (), (), ModelIdentity("x", "0", "", ""))

    def look(_, scans):
        for scan in scans:
            import highdicom

            empty = highdicom.Volume(np.zeros(scan.brain.shape, np.uint16), scan.affine, "PATIENT")
            yield replace(nothing, labels=empty), 0.5

    monkeypatch.setattr(command.Ours, "look", look)
    (tmp_path / "cohort/validation").mkdir(parents=True)
    save_examined(examined, tmp_path / "cohort/validation/a.study.npz")
    import typer

    app = typer.Typer()
    app.command()(command.main)
    arguments = [str(tree), "-o", str(tmp_path / "out"), "--cohort", str(tmp_path / "cohort"),
                 "--most", "2"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    data = json.loads((tmp_path / "out/peers.json").read_text())
    assert [one["name"] for one in data["results"]] == [
        "Lentiform", "fast radial symmetry and rules"]
    assert [len(one["listed"]) for one in data["results"]] == [2, 2]
    text = (tmp_path / "out/peers.md").read_text()
    assert "2 simulated scans" in text
    (tmp_path / "cohort/validation/a.study.npz").unlink()
    failed = CliRunner().invoke(app, arguments)
    assert isinstance(failed.exception, InputError)
