"""The truth beside a study says, in RAS, exactly what the subject says in LPS."""

from __future__ import annotations

import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from apps.phantom.bids import write_truth
from apps.phantom.types import Planted, PlantedLesion

_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def folder(subject, tmp_path_factory):
    return write_truth(subject, tmp_path_factory.mktemp("study")).parent


@pytest.mark.parametrize(
    ("name", "field", "dtype"),
    [("desc-truth_dseg", "lesions", np.uint16),
     ("desc-truth_chimap", "susceptibility_ppm", np.float32),
     ("desc-brain_mask", "brain", np.uint8), ("desc-regions_dseg", "regions", np.uint8)],
)
def test_each_image_keeps_values_type_and_place(folder, subject, name, field, dtype):
    truth = getattr(subject.truth, field)
    image = nibabel.load(folder / f"{name}.nii.gz")
    assert image.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(image.dataobj), truth.array.astype(dtype))
    index = (6, 24, 20, 1)
    expected = _TO_RAS @ np.asarray(truth.affine) @ index
    assert image.affine @ index == pytest.approx(expected, abs=1e-4)


def test_truth_json_lists_planted_objects_with_units_and_structure(folder):
    truth = json.loads((folder / "truth.json").read_text())
    assert truth["simulated"] is True
    assert truth["lesions"] == [{
        "index": 1, "kind": "microbleed", "centre_lps_mm": [3.0, -5.0, 8.0], "diameter_mm": 4.0,
        "susceptibility_ppm": 0.4, "structure": "left putamen",
    }]


def test_an_object_outside_all_structures_has_none(subject, tmp_path):
    vein = PlantedLesion(1, Planted.VEIN, (0.0, 0.0, 0.0), 1.0, 0.1, 0)
    outside = replace(subject, truth=replace(subject.truth, planted=(vein,)))
    truth = json.loads(write_truth(outside, tmp_path).read_text())
    assert truth["lesions"][0]["structure"] is None


def test_region_numbers_are_named(folder):
    rows = (folder / "desc-regions_dseg.tsv").read_text().splitlines()
    assert rows == ["index\tname", "3\tleft putamen", "4\tright putamen"]
