"""Every contrast of a study onto one grid, each by the image that carries it best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.brain_mask import brain_mask
from operators.errors import NothingToAssess
from operators.registration.quality import assess
from operators.registration.resample import onto
from operators.registration.rigid import align
from operators.registration.settings import RegistrationSettings
from operators.types import AslKind, CoregisteredStudy, Registration, Role, Series, Study

if TYPE_CHECKING:
    from highdicom import Volume

Matrix = NDArray[np.float64]

REFERENCES: tuple[Role, ...] = (Role.MAGNITUDE, Role.SWI, Role.T1W, Role.T2W)
"""Roles that can give the grid, the best first."""
CARRIERS: Mapping[Role, Role] = {Role.FA: Role.DWI, Role.MD: Role.DWI, Role.CBF: Role.ASL}
"""Maps whose own contrast is poor for registration, and the raw series that carries them."""
_RAW = (Role.DWI, Role.ASL)
_B0_S_MM2 = 50.0
_SWI_TE_FIELD_MS_T = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class _Scene:
    """What every contrast is registered to."""

    fixed: Volume
    brain: Volume
    role: Role
    settings: RegistrationSettings


def coregister(study: Study, settings: RegistrationSettings) -> CoregisteredStudy:
    """Bring every contrast onto the reference grid (GRE magnitude, else SWI, T1w, T2w).

    A contrast on the reference grid itself passes unchanged. All others are registered, the
    headers' pose being only the start; what fails its quality is dropped with the reason. Of a
    multi-echo series the echo with TE x field nearest 60 ms T (20 ms at 3 T) is kept. Raises
    NothingToAssess if no series can give the grid.
    """
    reference = next((role for role in REFERENCES if role in study.series), None)
    if reference is None:
        found = ", ".join(study.series) or "none"
        message = (
            f"No series can give the reference grid (found: {found}). Send SWI, GRE magnitude, "
            "T1w or T2w."
        )
        raise NothingToAssess(message)
    fixed = representative(study.series[reference])
    scene = _Scene(fixed, brain_mask(fixed, role=reference), reference, settings)
    poses: dict[Role, Registration] = {}
    for role in study.series:
        if role not in _RAW:
            carrier = CARRIERS.get(role, role)
            carrier = carrier if carrier in study.series else role
            if carrier not in poses:
                poses[carrier] = _register(study.series[carrier], scene)
    return _assemble(study, scene, poses)


def representative(series: Series) -> Volume:
    """The volume that stands for a series: mean b0, M0 or control, mean over echoes, or itself."""
    chosen = [
        volume
        for volume, sample in zip(series.volumes, series.samples, strict=True)
        if (sample.b_value_s_mm2 or 0.0) <= _B0_S_MM2 and sample.asl is not AslKind.LABEL
    ]
    m0 = [
        volume
        for volume, sample in zip(series.volumes, series.samples, strict=True)
        if sample.asl is AslKind.M0
    ]
    volumes = m0 or chosen or list(series.volumes)
    mean = np.mean([volume.array for volume in volumes], axis=0, dtype=np.float32)
    return volumes[0].with_array(mean)


def shown_echo(series: Series) -> Volume:
    """The volume whose echo time suits SWI best: TE x field nearest 60 ms T; the first if unknown.

    20 ms at 3 T and 40 ms at 1.5 T are the usual settings (Haacke et al., AJNR 2009;30:19).
    """
    field = series.acquisition.field_strength_t or 3.0
    echoes = [sample.echo_time_ms or 0.0 for sample in series.samples]
    return series.volumes[int(np.argmin([abs(e * field - _SWI_TE_FIELD_MS_T) for e in echoes]))]


def _register(series: Series, scene: _Scene) -> Registration:
    moving = representative(series)
    if series.role is scene.role or moving.geometry_equal(scene.fixed):
        return Registration(
            series.role, series.role, np.eye(4), "same grid", 1.0, True, "lies on the grid"
        )
    starts = [np.eye(4), _centred(moving, scene)]
    try:
        matrix = align(scene.fixed, moving, brain=scene.brain, starts=starts)
    except RuntimeError:
        reason = "its field of view does not meet the brain"
        return _verdict(series, np.eye(4), 0.0, reason)
    quality = assess(scene.fixed, moving, matrix, brain=scene.brain)
    settings = scene.settings
    turn, shift = _movement(matrix, scene.brain)
    reason = ""
    if turn > settings.max_rotation_deg or shift > settings.max_shift_mm:
        reason = f"registration moved it by {turn:.0f} degrees and {shift:.0f} mm: not plausible"
    elif quality.sharpness < settings.min_sharpness:
        reason = (
            f"registration failed: displaced by 6 mm it fits as well (sharpness "
            f"{quality.sharpness:.2f}, wanted {settings.min_sharpness:.2f})"
        )
    elif quality.overlap < settings.min_overlap:
        reason = f"it covers {100 * quality.overlap:.0f} % of the brain"
    return _verdict(series, matrix, quality.sharpness, reason)


def _verdict(series: Series, matrix: Matrix, quality: float, reason: str) -> Registration:
    return Registration(
        series.role, series.role, matrix,
        "rigid, Mattes mutual information; quality: share of it lost 6 mm away",
        quality, not reason, reason or "registered",
    )


def _assemble(
    study: Study, scene: _Scene, poses: Mapping[Role, Registration]
) -> CoregisteredStudy:
    contrasts: dict[Role, Volume] = {}
    registrations: dict[Role, Registration] = {}
    dropped: dict[Role, str] = {}
    for role, series in study.series.items():
        if role in _RAW:
            continue
        carrier = CARRIERS.get(role, role)
        pose = poses[carrier if carrier in poses else role]
        registrations[role] = Registration(
            role, pose.carrier, pose.matrix_lps_mm, pose.method, pose.quality, pose.accepted,
            pose.reason,
        )
        if pose.accepted:
            contrasts[role] = onto(shown_echo(series), scene.fixed, pose.matrix_lps_mm)
        else:
            dropped[role] = pose.reason
    return CoregisteredStudy(study, scene.role, contrasts, registrations, scene.brain, dropped)


def _centred(moving: Volume, scene: _Scene) -> Matrix:
    """Centre of the moving field of view onto the brain's centre: for headers that lie."""
    matrix = np.eye(4)
    matrix[:3, 3] = np.asarray(moving.center_position) - _brain_centre(scene.brain)
    return matrix


def _movement(matrix: Matrix, brain: Volume) -> tuple[float, float]:
    """Rotation in degrees, and how far the brain's centre moves in mm."""
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1)
    centre = _brain_centre(brain)
    moved = matrix[:3, :3] @ centre + matrix[:3, 3]
    return float(np.degrees(np.arccos(cosine))), float(np.linalg.norm(moved - centre))


def _brain_centre(brain: Volume) -> Matrix:
    centre: Matrix = np.argwhere(brain.array).mean(axis=0)
    return brain.affine[:3, :3] @ centre + brain.affine[:3, 3]
