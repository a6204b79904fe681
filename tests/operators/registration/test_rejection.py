"""What does not belong to the head is dropped, and the report is told why."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume

from operators.errors import NothingToAssess, StepFailed
from operators.registration.coregister import coregister
from operators.registration.settings import RegistrationSettings
from operators.types import CoregisteredStudy, Role

from .conftest import Head, acquire, rigid_pose, series, study

SETTINGS = RegistrationSettings()


def against_magnitude(head: Head, role: Role, moving: Volume) -> CoregisteredStudy:
    parts = series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE)), series(role, moving)
    return coregister(study(*parts), SETTINGS)


def assert_dropped(result: CoregisteredStudy, role: Role, why: str) -> None:
    assert role not in result.contrasts
    assert why in result.dropped[role]
    assert not result.registrations[role].accepted


@pytest.mark.parametrize("role", [Role.T1W, Role.T2W])
def test_the_brain_of_somebody_else_is_dropped(
    role: Role, head: Head, other_head: Head
) -> None:
    pose = rigid_pose(3, head.centre, degrees=3, mm=3)
    result = against_magnitude(head, role, acquire(other_head, role, pose=pose))
    assert_dropped(result, role, "another head, or sides exchanged")


@pytest.mark.parametrize("role", [Role.T1W, Role.T2W])
def test_a_mirrored_image_is_dropped(role: Role, head: Head) -> None:
    image = acquire(head, role)
    mirrored = image.with_array(image.array[..., ::-1].copy())
    assert_dropped(against_magnitude(head, role, mirrored), role,
                   "another head, or sides exchanged")


def test_noise_is_dropped(head: Head) -> None:
    image = acquire(head, Role.T2W)
    noise = np.random.default_rng(0).random(image.spatial_shape).astype(np.float32)
    result = against_magnitude(head, Role.T2W, image.with_array(noise))
    assert Role.T2W in result.dropped


def test_an_empty_image_is_dropped_without_a_search(head: Head) -> None:
    image = acquire(head, Role.T2W)
    result = against_magnitude(head, Role.T2W, image.with_array(np.zeros_like(image.array)))
    assert_dropped(result, Role.T2W, "it is empty")


def test_a_series_somewhere_else_in_the_same_frame_is_dropped(head: Head) -> None:
    far = rigid_pose(3, head.centre, degrees=0, mm=400)
    result = against_magnitude(head, Role.T2W, acquire(head, Role.T2W, pose=far))
    assert Role.T2W in result.dropped


def test_a_study_without_an_image_that_gives_a_grid_is_not_assessed(head: Head) -> None:
    with pytest.raises(NothingToAssess, match="fa"):
        coregister(study(series(Role.FA, acquire(head, Role.FA))), SETTINGS)


def test_a_reference_without_a_head_fails_aloud(head: Head) -> None:
    image = acquire(head, Role.SWI)
    empty = series(Role.SWI, image.with_array(np.zeros_like(image.array)))
    with pytest.raises(StepFailed, match="No brain"):
        coregister(study(empty), SETTINGS)
