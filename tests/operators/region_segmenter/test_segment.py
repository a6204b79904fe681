"""Regions land on the anatomy, left stays left, and a failed registration is not assessed."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from scipy.ndimage import affine_transform

from operators.labels import Side, structure
from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.types import (
    CoregisteredStudy,
    NotAssessed,
    RegionMap,
    Role,
    Sample,
    Series,
    Study,
    Unit,
)

SETTINGS = RegionSettings(spacing_mm=3.0)
NUCLEI = ("caudate nucleus", "putamen", "thalamus")


def moved_to_subject(volume: Volume, order: int) -> Volume:
    """Template space volume as a subject's: turned 8 degrees, scaled 6 % and shifted, at 2 mm."""
    angle = np.deg2rad(8)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turn[:3, :3] *= 1.06
    turn[:3, 3] = (4, -6, 9)
    grid = np.array([[0, 0, 2.0, -98], [0, 2.0, 0, -118], [2.0, 0, 0, -80], [0, 0, 0, 1]])
    to_template = np.linalg.inv(volume.affine) @ np.linalg.inv(turn) @ grid
    array = affine_transform(
        volume.array.astype(np.float32), to_template[:3, :3], to_template[:3, 3],
        output_shape=(95, 118, 98), order=order,
    )
    return Volume(array, grid, "PATIENT", frame_of_reference_uid="1.2.3")


def study_of(image: Volume, brain: Volume) -> CoregisteredStudy:
    series = Series(Role.T1W, (image,), (Sample(),), Unit.ARBITRARY, (), "1.2", "", "chosen")
    return CoregisteredStudy(
        Study("1.9", Dataset(), {Role.T1W: series}, ()), Role.T1W, {Role.T1W: image}, {}, brain, {}
    )


@pytest.fixture(scope="module")
def subject() -> tuple[CoregisteredStudy, np.ndarray]:
    image = moved_to_subject(load_template(), 1)
    noise = np.random.default_rng(2).normal(0, 0.02, image.array.shape)
    brain = moved_to_subject(load_template_brain(), 0)
    truth = moved_to_subject(load_atlas(), 0)
    noisy = image.with_array((image.array * 700 + noise * 700).astype(np.float32))
    return study_of(noisy, brain.with_array(brain.array > 0)), truth.array.astype(np.uint8)


@pytest.fixture(scope="module")
def regions(subject: tuple[CoregisteredStudy, np.ndarray]) -> RegionMap:
    found = segment_regions(subject[0], SETTINGS)
    assert isinstance(found, RegionMap)
    return found


@pytest.mark.parametrize("name", NUCLEI)
@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_a_turned_and_scaled_template_gets_its_own_nuclei_back(
    subject: tuple[CoregisteredStudy, np.ndarray], regions: RegionMap, name: str, side: Side
) -> None:
    number = structure(name, side).number
    found, truth = regions.labels.array == number, subject[1] == number
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85


def test_left_is_where_x_is_larger(regions: RegionMap) -> None:
    for name in NUCLEI:
        left, right = (
            regions.labels.map_indices_to_reference(
                np.argwhere(regions.labels.array == structure(name, side).number).mean(axis=0)[None]
            )[0, 0]
            for side in (Side.LEFT, Side.RIGHT)
        )
        assert left - right > 10


def test_sides_and_sizes_do_not_depend_on_how_the_array_is_stored(
    subject: tuple[CoregisteredStudy, np.ndarray], regions: RegionMap
) -> None:
    study = subject[0]
    stored = study_of(
        study.contrasts[Role.T1W].to_patient_orientation("LPH"),
        study.brain.to_patient_orientation("LPH"),
    )
    other = segment_regions(stored, SETTINGS)
    assert isinstance(other, RegionMap)
    same = other.labels.to_patient_orientation("HPL").array
    upright = regions.labels.to_patient_orientation("HPL").array
    agreement = (same == upright)[(same > 0) | (upright > 0)].mean()
    assert agreement > 0.97


def test_an_image_of_noise_is_not_assessed(
    subject: tuple[CoregisteredStudy, np.ndarray]
) -> None:
    study = subject[0]
    noise = np.random.default_rng(1).random(study.brain.array.shape).astype(np.float32)
    found = segment_regions(study_of(study.brain.with_array(noise), study.brain), SETTINGS)
    assert isinstance(found, NotAssessed)
    assert "likeness" in found.reason


def test_a_study_without_an_anatomical_image_says_so() -> None:
    brain = Volume(np.ones((4, 4, 4), bool), np.eye(4), "PATIENT")
    bare = CoregisteredStudy(Study("1", Dataset(), {}, ()), Role.T1W, {}, {}, brain, {})
    found = segment_regions(bare, SETTINGS)
    assert isinstance(found, NotAssessed)
    assert "no T1w" in found.reason
