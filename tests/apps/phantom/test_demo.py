"""Planted against found: shared voxels, one to one, the largest overlap first."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest

from apps.phantom.demo import Finding, Planting, compare, match
from apps.phantom.types import Planted


def _planted(index, *, kind=Planted.MICROBLEED, diameter_mm=4.0):
    return Planting(index, kind, (0.0, 0.0, 0.0), diameter_mm, "left putamen")


def _found(index, label="CMB"):
    return Finding(index, label, (0.0, 0.0, 0.0), 4.0)


def _line(*values):
    return np.array([[values]], np.int32)


def _pairs(rows):
    return [(r.planted and r.planted.index, r.found and r.found.index, r.merged) for r in rows]


def test_the_largest_overlap_wins_and_the_other_finding_stays_alone():
    rows = match([_planted(1)], [_found(1), _found(2)], _line(1, 1, 1, 1), _line(1, 2, 2, 2))
    assert _pairs(rows) == [(1, 2, False), (None, 1, False)]


def test_neighbours_that_share_no_voxel_do_not_match():
    rows = match([_planted(1)], [_found(1)], _line(1, 1, 0, 0), _line(0, 0, 1, 1))
    assert _pairs(rows) == [(1, None, False), (None, 1, False)]


def test_one_finding_matches_one_planted_lesion_and_the_other_is_merged_in_it():
    rows = match([_planted(1), _planted(2)], [_found(1, "NHID")],
                 _line(1, 0, 2, 2), _line(1, 1, 1, 1))
    assert _pairs(rows) == [(1, 1, True), (2, 1, False)]
    assert [row.label for row in rows] == ["in NHID", "NHID"]


def _write(tmp_path, planted, lesions, planted_mask, found_mask, *, shift=0):
    truth, result = tmp_path / "truth", tmp_path / "result"
    anat = result / "bids" / "sub-1" / "anat"
    truth.mkdir()
    anat.mkdir(parents=True)
    (truth / "truth.json").write_text(json.dumps({"lesions": planted}))
    (result / "findings.json").write_text(json.dumps({"lesions": lesions}))
    there = np.eye(4)
    there[2, 3] = shift
    nibabel.save(nibabel.Nifti1Image(planted_mask, np.eye(4)), truth / "desc-truth_dseg.nii.gz")
    nibabel.save(nibabel.Nifti1Image(found_mask, there), anat / "sub-1_seg-lesions_dseg.nii.gz")
    return truth, result


def _item(index, kind, x, diameter_mm=4.0):
    return {"index": index, "kind": kind, "centre_lps_mm": [x, 0, 0], "diameter_mm": diameter_mm,
            "susceptibility_ppm": 0.3, "structure": "left putamen"}


@pytest.mark.parametrize("shift", [0, 1])
def test_the_table_counts_what_each_kind_was_found_as(tmp_path, shift):
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
    masks = _line(0, 0, 1, 2, 3, 4, 5, 0), _line(0, 0, 1, 2, 3, 0, 0, 4)
    moved = np.roll(masks[1], -shift, axis=2)
    lesions = {"assessed": True, "items": found}
    table = compare(*_write(tmp_path, planted, lesions, masks[0], moved, shift=shift))
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
    empty = _line(0, 0)
    table = compare(*_write(tmp_path, [_item(1, "microbleed", 0)], lesions, empty, empty))
    assert table.rows == ()
    assert str(table) == "Lesions were not assessed: no SWI in the study"
