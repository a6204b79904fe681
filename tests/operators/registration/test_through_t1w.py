"""Which search comes after which: through the T1w what fits no other way, no search in vain."""

from __future__ import annotations

import numpy as np
import pytest

from operators.registration import coregister as room
from operators.registration.coregister import coregister
from operators.registration.settings import RegistrationSettings
from operators.types import CoregisteredStudy, Registration, Role, Series

from .conftest import Head, acquire, rigid_pose, series, study

DIRECT = "it fits nowhere"


def found(
    head: Head, monkeypatch: pytest.MonkeyPatch, by_t1w: Registration
) -> CoregisteredStudy:
    """Magnitude, T1w and b0, where b0 fits only the T1w, or not even that."""
    to_t1w = Registration(Role.T1W, Role.T1W, rigid_pose(1, head.centre), "by hand", 1.0, True, "")

    def pose(one: Series, scene: room._Scene, _: RegistrationSettings) -> Registration:
        if one.role is scene.role:
            return Registration(one.role, one.role, np.eye(4), "itself", 1.0, True, "")
        if one.role is Role.T1W:
            return to_t1w
        if scene.role is Role.T1W:
            return by_t1w
        return Registration(one.role, one.role, np.eye(4), "by hand", 0.0, False, DIRECT)

    monkeypatch.setattr(room, "_pose", pose)
    roles = (Role.MAGNITUDE, Role.T1W, Role.T2W)
    result = coregister(study(*(series(role, acquire(head, role)) for role in roles)),
                        RegistrationSettings())
    assert np.allclose(result.registrations[Role.T1W].matrix_lps_mm, to_t1w.matrix_lps_mm)
    return result


def test_what_fits_only_the_t1w_goes_through_it(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = rigid_pose(2, head.centre)
    result = found(head, monkeypatch, Registration(
        Role.T2W, Role.T2W, own, "by hand", 0.7, True, "registered"))
    one = result.registrations[Role.T2W]
    assert np.allclose(one.matrix_lps_mm, own @ rigid_pose(1, head.centre))
    assert (one.accepted, one.quality) == (True, 0.7)
    assert one.method.startswith("through t1w")
    assert Role.T2W in result.contrasts


def test_what_does_not_fit_the_t1w_either_is_dropped_for_the_first_reason(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = found(head, monkeypatch, Registration(
        Role.T2W, Role.T2W, np.eye(4), "by hand", 0.0, False, "nor here"))
    assert result.dropped[Role.T2W] == DIRECT
    assert Role.T2W not in result.contrasts


def test_no_mirror_image_is_registered_where_a_cheaper_test_has_failed(
    head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> float:
        raise AssertionError("a search in vain")

    monkeypatch.setattr(room, "failure", lambda *_, **__: DIRECT)
    monkeypatch.setattr(room, "mirror_loss", never)
    roles = (Role.MAGNITUDE, Role.T1W)
    result = coregister(study(*(series(role, acquire(head, role)) for role in roles)),
                        RegistrationSettings())
    assert result.dropped[Role.T1W] == DIRECT


def test_threads_change_no_pose(head: Head) -> None:
    moved = rigid_pose(3, head.centre, degrees=5, mm=5)
    whole = study(series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE)),
                  series(Role.T1W, acquire(head, Role.T1W, pose=moved)),
                  series(Role.T2W, acquire(head, Role.T2W, pose=moved)))
    one, two = (coregister(whole, RegistrationSettings(threads=count)) for count in (1, 2))
    for role in (Role.T1W, Role.T2W):
        assert np.allclose(one.registrations[role].matrix_lps_mm,
                           two.registrations[role].matrix_lps_mm, atol=0.02)
        assert one.registrations[role].accepted
