from dataclasses import replace

import numpy as np
import pytest

from apps.train.subjects import Examined, as_case, as_study, load_examined, save_examined
from operators.labels import LesionClass
from operators.lesion_segmenter.normalise import CHANNELS
from operators.types import NotAssessed, Role

SHAPE = (8, 60, 56)


@pytest.fixture
def examined():
    generator = np.random.default_rng(0)
    truth = np.zeros(SHAPE, np.uint16)
    truth[4, 30:33, 20:23], truth[3, 30:33, 40:43] = 1, 2
    swi = generator.normal(100, 2, SHAPE).astype(np.float32)
    swi[truth > 0] = 20
    qsm = np.where(truth == 1, 0.4, 0).astype(np.float32)
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 5:-5, 5:-5] = True
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) * (2.0, 1.0, 1.0)
    return Examined(
        "head-1", "head", 3.0, {Role.SWI: swi, Role.QSM: qsm, Role.T2W: swi, Role.MAGNITUDE: swi},
        brain, brain.astype(np.uint8), truth,
        {1: LesionClass.MICROBLEED, 2: LesionClass.VESSEL}, {1: 3.0, 2: 3.0}, affine, "1.2.3",
    )


def test_a_subject_comes_back_from_disk_as_it_was(examined, tmp_path):
    save_examined(examined, tmp_path / "a.study.npz")
    again = load_examined(tmp_path / "a.study.npz")
    assert again.kinds == examined.kinds
    assert again.diameters_mm == examined.diameters_mm
    assert set(again.contrasts) == set(examined.contrasts)
    np.testing.assert_array_equal(again.truth, examined.truth)
    np.testing.assert_array_equal(again.contrasts[Role.QSM], examined.contrasts[Role.QSM])


def test_the_case_shows_the_bleed_dark_and_paramagnetic_under_its_class(examined):
    case = as_case(examined)
    bleed = case.classes == LesionClass.MICROBLEED
    assert bleed.sum() == 9
    assert case.inputs[CHANNELS.index(Role.SWI)][bleed].max() < -0.6
    assert case.inputs[CHANNELS.index(Role.QSM)][bleed].min() > 2
    assert (case.classes == LesionClass.VESSEL).sum() == 9


def test_the_study_carries_the_grid_in_patient_space(examined):
    study, regions = as_study(examined)
    assert study.brain.spacing == (2.0, 1.0, 1.0)
    assert study.study.series[Role.SWI].acquisition.field_strength_t == 3.0
    assert regions.brain.geometry_equal(study.contrasts[Role.QSM])


def test_without_regions_none_are_assessed(examined, tmp_path):
    bare = replace(examined, regions=np.zeros(SHAPE, np.uint8), field_strength_t=None)
    save_examined(bare, tmp_path / "a.study.npz")
    again = load_examined(tmp_path / "a.study.npz")
    assert again.field_strength_t is None
    assert isinstance(as_study(again)[1], NotAssessed)
