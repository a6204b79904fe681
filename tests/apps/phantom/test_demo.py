"""Planted against found: one to one, nearest first, within 5 mm or the lesion's diameter."""

from __future__ import annotations

import json

import pytest

from apps.phantom.demo import Finding, Planting, compare, match
from apps.phantom.types import Planted


def _planted(index, x, *, kind=Planted.MICROBLEED, diameter_mm=4.0):
    return Planting(index, kind, (x, 0.0, 0.0), diameter_mm, "left putamen")


def _found(index, x, label="CMB"):
    return Finding(index, label, (x, 0.0, 0.0), 4.0)


def _pairs(rows):
    return [(r.planted and r.planted.index, r.found and r.found.index) for r in rows]


def test_the_nearest_pair_wins_and_the_other_finding_stays_alone():
    rows = match([_planted(1, 0.0)], [_found(1, 3.0), _found(2, 1.0)])
    assert _pairs(rows) == [(1, 2), (None, 1)]
    assert rows[0].distance_mm == pytest.approx(1.0)


def test_one_finding_cannot_match_two_planted_lesions():
    rows = match([_planted(1, 0.0), _planted(2, 2.0)], [_found(1, 1.5)])
    assert _pairs(rows) == [(1, None), (2, 1)]


@pytest.mark.parametrize(("diameter_mm", "apart", "expected"), [
    (2.0, 5.0, 1), (2.0, 5.01, None), (8.0, 8.0, 1), (8.0, 8.01, None),
])
def test_the_reach_is_five_millimetres_or_the_diameter(diameter_mm, apart, expected):
    rows = match([_planted(1, 0.0, diameter_mm=diameter_mm)], [_found(1, apart)])
    assert _pairs(rows)[0] == (1, expected)


def _write(tmp_path, planted, lesions):
    truth, findings = tmp_path / "truth.json", tmp_path / "findings.json"
    truth.write_text(json.dumps({"lesions": planted}))
    findings.write_text(json.dumps({"lesions": lesions}))
    return truth, findings


def _item(index, kind, x, diameter_mm=4.0):
    return {"index": index, "kind": kind, "centre_lps_mm": [x, 0, 0], "diameter_mm": diameter_mm,
            "susceptibility_ppm": 0.3, "structure": "left putamen"}


def test_the_table_counts_what_each_kind_was_found_as(tmp_path):
    planted = [
        _item(1, "microbleed", 0), _item(2, "microbleed", 40), _item(3, "calcification", 80),
        _item(4, "microbleed", 200, diameter_mm=2.0), _item(5, "vein", 120),
    ]
    found = [
        {"index": 1, "class": "CMB", "centroid_lps_mm": [1, 0, 0], "diameter_mm": 4.2},
        {"index": 2, "class": "NHID", "centroid_lps_mm": [41, 0, 0], "diameter_mm": 4.2},
        {"index": 3, "class": "CALC", "centroid_lps_mm": [80, 2, 0], "diameter_mm": 4.2},
        {"index": 4, "class": "CMB", "centroid_lps_mm": [160, 0, 0], "diameter_mm": 2.2},
    ]
    table = compare(*_write(tmp_path, planted, {"assessed": True, "items": found}))
    assert table.found_as(Planted.MICROBLEED) == {"CMB": 1, "NHID": 1, "": 1}
    assert table.found_as(Planted.MICROBLEED, over_mm=3.0) == {"CMB": 1, "NHID": 1}
    assert table.found_as(Planted.CALCIFICATION) == {"CALC": 1}
    assert [finding.index for finding in table.unplanted] == [4]
    lines = str(table).splitlines()
    assert lines[1].split() == ["microbleed", "left", "putamen", "4.0", "CMB", "4.2", "1.0"]
    assert not any(line.startswith("vein") for line in lines)
    assert "simulated microbleed: 3 -> not found 1, CMB 1, NHID 1" in lines
    assert lines[-1] == "found where nothing was planted: 1"


def test_not_assessed_is_said_and_is_not_an_empty_table(tmp_path):
    lesions = {"assessed": False, "reason": "no SWI in the study"}
    table = compare(*_write(tmp_path, [_item(1, "microbleed", 0)], lesions))
    assert table.rows == ()
    assert str(table) == "Lesions were not assessed: no SWI in the study"
