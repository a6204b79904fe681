"""Every contrast of a study onto one grid, each by the image that carries it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from operators.brain_mask import brain_mask
from operators.errors import NothingToAssess, StepFailed
from operators.registration import images
from operators.registration.quality import DISPLACEMENT_MM, assess, failure, mirror_loss, stranger
from operators.registration.resample import onto
from operators.registration.rigid import Matrix, Target, align, centre_of_mass, pyramid, target
from operators.registration.settings import RegistrationSettings
from operators.types import CoregisteredStudy, Registration, Role, Series, Study

if TYPE_CHECKING:
    from highdicom import Volume

METHOD = (
    "rigid, Mattes mutual information; quality: share of it lost "
    f"{DISPLACEMENT_MM:g} mm away"
)


@dataclass(frozen=True, eq=False)
class _Scene:
    """One image that others are registered to, with its brain."""

    role: Role
    image: Volume
    brain: Volume
    prepared: Target

    @cached_property
    def evened(self) -> Target:
        """Without the shading of the coils."""
        return target(images.without_shading(self.image), self.brain)


def coregister(study: Study, settings: RegistrationSettings) -> CoregisteredStudy:
    """Bring every contrast onto the reference grid: GRE magnitude's, else SWI's, T1w's, T2w's.

    Maps of the gradient echo on the reference grid pass unchanged. Everything else is registered
    (FA and MD by b0, CBF by M0), the headers' pose being only a start; what does not fit the
    reference is tried against the T1w. What fails its quality is dropped with the reason. Raises
    NothingToAssess if no series can give the grid, StepFailed if there is no brain on it.
    """
    scene = _reference_scene(study)
    poses = _poses(study, _carriers(study), scene, settings)
    t1w = poses.get(Role.T1W)
    lost = [role for role, pose in poses.items() if not pose.accepted]
    if lost and t1w is not None and t1w.accepted and scene.role is not Role.T1W:
        through = _second_scene(study.series[Role.T1W], scene, t1w.matrix_lps_mm)
        for role, pose in _poses(study, lost, through, settings).items():
            if pose.accepted:
                poses[role] = replace(pose, matrix_lps_mm=pose.matrix_lps_mm @ t1w.matrix_lps_mm,
                                      method=f"through {Role.T1W.value}: {METHOD}")
    return _assemble(study, scene, poses, settings)


def _carriers(study: Study) -> list[Role]:
    """The roles that are registered."""
    return sorted({images.carrier(role, study) for role in study.series if role not in images.RAW})


def _poses(
    study: Study, roles: Sequence[Role], scene: _Scene, settings: RegistrationSettings
) -> dict[Role, Registration]:
    """The pose of each role in the scene, accepted or not; several at a time."""
    with ThreadPoolExecutor(settings.threads) as pool:
        found = pool.map(lambda role: _pose(study.series[role], scene, settings), roles)
        return dict(zip(roles, found, strict=True))


def _reference_scene(study: Study) -> _Scene:
    role = next((role for role in images.REFERENCES if role in study.series), None)
    if role is None:
        raise NothingToAssess(
            f"No series can give the reference grid (found: {', '.join(study.series) or 'none'}). "
            "Send SWI, GRE magnitude, T1w or T2w."
        )
    image = images.representative(study.series[role])
    brain = brain_mask(image, role=role)
    if not brain.array.any():
        raise StepFailed(
            f"No brain was found in the {role.value} series, which gives the grid of all results. "
            "Send a series of the whole head, or correct the roles in section dicom_loader."
        )
    return _Scene(role, image, brain, target(image, brain))


def _second_scene(series: Series, scene: _Scene, matrix: Matrix) -> _Scene:
    """A registered series as something to register to; its brain is that of the reference."""
    image = images.representative(series)
    brain = scene.brain.with_array(scene.brain.array.astype(np.float32))
    inside = onto(brain, image, np.linalg.inv(matrix)).array > 0.5
    mask = image.with_array(inside)
    return _Scene(series.role, image, mask, target(image, mask))


def _pose(series: Series, scene: _Scene, settings: RegistrationSettings) -> Registration:
    """The pose of a series in the scene, accepted or not."""
    moving = images.representative(series)
    is_echo = series.role in images.GRADIENT_ECHO and scene.role in images.GRADIENT_ECHO
    if series.role is scene.role or (is_echo and images.same_grid(moving, scene.image)):
        return _registration(series.role, np.eye(4), "same acquisition, same grid", 1.0, "")
    if series.role is Role.PHASE:
        reason = "wrapped phase cannot be interpolated onto the grid of the reference"
        return _registration(series.role, np.eye(4), METHOD, 0.0, reason)
    if not moving.array.std() > 0:
        return _registration(series.role, np.eye(4), METHOD, 0.0, "it is empty")
    plain = _fit(series, moving, scene, scene.prepared, settings)
    if plain.accepted:
        return plain
    evened = _fit(series, images.without_shading(moving), scene, scene.evened, settings)
    return evened if evened.accepted else plain


def _fit(
    series: Series, moving: Volume, scene: _Scene, fixed: Target, settings: RegistrationSettings
) -> Registration:
    """`moving` registered to `fixed`, judged."""
    same_frame = images.same_frame(moving, scene.image)
    starts = [np.eye(4)]
    if not same_frame:
        starts.append(_centred(moving, scene, series.role))
    levels = pyramid(moving)
    try:
        matrix = align(fixed, levels, starts=starts)
    except RuntimeError:
        reason = "registration failed: its field of view does not meet the brain"
        return _registration(series.role, np.eye(4), METHOD, 0.0, reason)
    quality = assess(fixed, levels, matrix)
    reason = failure(quality, settings, same_frame=same_frame) or stranger(
        mirror_loss(fixed, levels, matrix, quality.information), settings)
    return _registration(series.role, matrix, METHOD, quality.sharpness, reason)


def _registration(
    role: Role, matrix: Matrix, method: str, quality: float, failed: str
) -> Registration:
    return Registration(role, role, matrix, method, quality, not failed, failed or "registered")


def _centred(moving: Volume, scene: _Scene, role: Role) -> Matrix:
    """Brain centre onto brain centre: where the headers share no frame of reference."""
    brain = brain_mask(moving, role=role)
    centre = centre_of_mass(brain) if brain.array.any() else np.asarray(moving.center_position)
    matrix = np.eye(4)
    matrix[:3, 3] = centre - scene.prepared.centre_lps_mm
    return matrix


def _assemble(
    study: Study, scene: _Scene, poses: Mapping[Role, Registration], settings: RegistrationSettings
) -> CoregisteredStudy:
    found = {role: replace(poses[images.carrier(role, study)], role=role)
             for role in study.series if role not in images.RAW}
    kept = [role for role, pose in found.items() if pose.accepted]

    def shown(role: Role) -> Volume:
        volume = images.shown(study.series[role], study)
        return onto(volume, scene.image, found[role].matrix_lps_mm)

    with ThreadPoolExecutor(settings.threads) as pool:
        contrasts = dict(zip(kept, pool.map(shown, kept), strict=True))
    dropped = {role: pose.reason for role, pose in found.items() if not pose.accepted}
    return CoregisteredStudy(study, scene.role, contrasts, found, scene.brain, dropped)
