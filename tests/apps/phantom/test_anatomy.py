from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from apps.phantom.anatomy import Anatomy, clean_air, label_map_anatomy
from apps.phantom.tissue import Tissue
from operators.errors import InputError
from operators.labels import STRUCTURES, Side

MAPS = (Path(__file__).resolve().parents[3]
        / "../shared/data/synthseg_label_maps/data/training_label_maps")


@pytest.fixture
def template(template_head: Anatomy) -> Anatomy:
    return template_head


def _centre(anatomy: Anatomy, number: int) -> np.ndarray:
    return anatomy.grid.point(np.argwhere(anatomy.regions == number).mean(axis=0))


def _check_sides(anatomy: Anatomy) -> None:
    for number, structure in STRUCTURES.items():
        if structure.side is Side.LEFT:
            left, right = _centre(anatomy, number), _centre(anatomy, number + 1)
            assert left[0] > right[0] + 8, structure.label


def test_the_template_holds_every_structure_on_its_side(template: Anatomy) -> None:
    assert set(np.unique(template.regions)) == {0, *STRUCTURES}
    _check_sides(template)
    front, back = _centre(template, 15), _centre(template, 21)
    assert front[1] < back[1] - 60
    assert _centre(template, 17)[2] > _centre(template, 19)[2] + 20


def test_the_template_brain_lies_in_a_skull_with_air_spaces(template: Anatomy) -> None:
    assert 1.5e6 < template.brain.sum() < 2.1e6
    assert not np.isin(template.tissue[template.brain], (Tissue.AIR, Tissue.BONE)).any()
    head = template.tissue > 0
    covered = head.cumsum(axis=1).astype(bool) & head[:, ::-1].cumsum(axis=1)[:, ::-1].astype(bool)
    enclosed_air = covered & ~head
    assert enclosed_air.sum() > 10_000
    assert (template.tissue == Tissue.SINUS_BLOOD).sum() > 2000


def test_capsules_and_callosum_are_white_matter_of_high_anisotropy(template: Anatomy) -> None:
    assert (template.tissue[template.regions == 23] == Tissue.CALLOSUM).mean() > 0.5
    assert (template.tissue[np.isin(template.regions, (9, 10))] == Tissue.CAPSULE).mean() > 0.6


def test_small_air_specks_in_bone_become_marrow() -> None:
    tissue = np.full((20, 20, 20), Tissue.BONE, np.uint8)
    tissue[0] = Tissue.AIR
    tissue[10, 10, 10] = Tissue.AIR
    tissue[3:12, 2:10, 12:18] = Tissue.AIR
    cleaned = clean_air(tissue)
    assert cleaned[10, 10, 10] == Tissue.MARROW
    assert cleaned[5, 5, 14] == Tissue.AIR


def _save(path: Path, labels: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.int16), np.eye(4)), path)
    return path


def test_an_unknown_label_is_refused_by_number(tmp_path: Path) -> None:
    labels = np.zeros((8, 8, 8))
    labels[4, 4, 4] = 999
    with pytest.raises(InputError, match=r"holds labels \[999\]"):
        label_map_anatomy(_save(tmp_path / "odd.nii.gz", labels))


def test_a_map_without_skull_is_refused(tmp_path: Path) -> None:
    labels = np.zeros((8, 8, 8))
    labels[4, 4, 4] = 2
    with pytest.raises(InputError, match="no skull"):
        label_map_anatomy(_save(tmp_path / "bare.nii.gz", labels))


@pytest.mark.skipif(not MAPS.exists(), reason="shared label maps are not beside the repository")
def test_a_real_label_map_gets_its_lobes_and_keeps_its_nuclei() -> None:
    anatomy = label_map_anatomy(MAPS / "training_seg_03.nii.gz")
    _check_sides(anatomy)
    stored = nibabel.load(MAPS / "training_seg_03.nii.gz")
    labels = np.asarray(stored.dataobj)
    assert (anatomy.regions == 1).sum() == np.isin(labels, (11, 26)).sum()
    assert (anatomy.regions == 5).sum() == (labels == 13).sum()
    cerebral = np.isin(anatomy.tissue, (Tissue.GREY, Tissue.WHITE)) & anatomy.brain
    assert (anatomy.regions[cerebral] > 0).mean() > 0.98
    assert _centre(anatomy, 15)[1] < _centre(anatomy, 21)[1] - 50
