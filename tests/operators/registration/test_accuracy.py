"""Known movements of the head are found again, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from operators.brain_mask import brain_mask
from operators.registration.coregister import coregister
from operators.registration.rigid import align, pyramid, target
from operators.registration.settings import RegistrationSettings
from operators.types import CoregisteredStudy, Role

from .conftest import (
    Head,
    acquire,
    carried,
    error_mm,
    make_head,
    rigid_pose,
    series,
    study,
)

LIMIT_MM = 0.5
SETTINGS = RegistrationSettings()


@pytest.fixture(scope="module")
def moved(head: Head) -> tuple[CoregisteredStudy, dict[Role, np.ndarray]]:
    """T1, T2, FA with b0, CBF with M0, each moved by 10 degrees and 10 mm its own way."""
    poses = {
        role: rigid_pose(seed, head.centre)
        for seed, role in enumerate((Role.T1W, Role.T2W, Role.FA, Role.CBF), start=11)
    }
    parts = {Role.MAGNITUDE: series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE))}
    for role in (Role.T1W, Role.T2W):
        parts[role] = series(role, acquire(head, role, pose=poses[role], seed=3))
    for role in (Role.FA, Role.CBF):
        parts |= carried(head, role, poses[role], seed=5)
    return coregister(study(*parts.values()), SETTINGS), poses


@pytest.mark.parametrize("role", [Role.T1W, Role.T2W, Role.FA, Role.CBF])
def test_ten_degrees_and_ten_mm_are_found_within_half_a_millimetre(
    role: Role, head: Head, moved: tuple[CoregisteredStudy, dict[Role, np.ndarray]]
) -> None:
    result, poses = moved
    registration = result.registrations[role]
    assert registration.accepted, registration.reason
    assert error_mm(registration.matrix_lps_mm, poses[role], head.points()) <= LIMIT_MM
    assert error_mm(np.eye(4), poses[role], head.points()) > 8.0


def test_fa_and_cbf_are_carried_by_b0_and_m0(
    moved: tuple[CoregisteredStudy, dict[Role, np.ndarray]]
) -> None:
    result, _ = moved
    assert result.registrations[Role.FA].carrier is Role.DWI
    assert result.registrations[Role.CBF].carrier is Role.ASL
    assert Role.DWI not in result.contrasts
    assert Role.ASL not in result.contrasts


def test_resampled_contrasts_look_like_those_of_a_head_that_never_moved(
    head: Head, moved: tuple[CoregisteredStudy, dict[Role, np.ndarray]]
) -> None:
    result, _ = moved
    still = coregister(
        study(series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE)),
              *carried(head, Role.FA, np.eye(4), seed=5).values()), SETTINGS)
    brain = result.brain.array
    there, here = (s.contrasts[Role.FA].array for s in (result, still))
    both = brain & np.isfinite(there) & np.isfinite(here)
    assert np.corrcoef(there[both], here[both])[0, 1] > 0.95


def test_the_same_images_give_the_same_matrix_twice_but_for_rounding(head: Head) -> None:
    fixed, moving = acquire(head, Role.MAGNITUDE), acquire(head, Role.DWI, seed=4)
    found = [
        align(target(fixed, brain_mask(fixed, role=Role.MAGNITUDE)), pyramid(moving),
              starts=[np.eye(4)])
        for _ in range(2)
    ]
    assert np.allclose(*found, rtol=0, atol=1e-5)


def test_headers_without_a_common_frame_are_no_obstacle(head: Head) -> None:
    """The series comes 120 mm away, with another Frame of Reference."""
    pose = rigid_pose(5, head.centre, degrees=6, mm=120)
    t2w = acquire(head, Role.T2W, pose=pose, frame="1.2.826.0.1.2")
    result = coregister(
        study(series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE)), series(Role.T2W, t2w)),
        SETTINGS)
    assert result.registrations[Role.T2W].accepted
    assert error_mm(result.registrations[Role.T2W].matrix_lps_mm, pose, head.points()) <= LIMIT_MM


def test_another_head_is_another_head() -> None:
    """Guards the phantom: its folds differ by seed, or no test of rejection means anything."""
    one, other = make_head(1).tissue, make_head(2).tissue
    assert np.mean(one[one >= 4] == other[one >= 4]) < 0.85
