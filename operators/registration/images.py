"""Which image stands for a series: in registration, and on the reference grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from operators.types import AslKind, Role, Series, Study

if TYPE_CHECKING:
    from highdicom import Volume

REFERENCES: tuple[Role, ...] = (Role.MAGNITUDE, Role.SWI, Role.T1W, Role.T2W)
"""Roles that can give the reference grid, the best first."""
RAW: tuple[Role, ...] = (Role.DWI, Role.ASL)
"""Roles that only carry others: they are registered, not resampled."""
GRADIENT_ECHO: tuple[Role, ...] = (Role.MAGNITUDE, Role.SWI, Role.QSM, Role.PHASE, Role.MIP)
"""Roles of one acquisition: where they share a grid, they share the head's pose."""

_CARRIERS: Mapping[Role, tuple[Role, ...]] = {
    Role.FA: (Role.DWI,),
    Role.MD: (Role.DWI, Role.FA),
    Role.CBF: (Role.ASL,),
    Role.QSM: (Role.MAGNITUDE, Role.SWI),
    Role.MIP: (Role.SWI, Role.MAGNITUDE),
    Role.PHASE: (Role.MAGNITUDE,),
}
_B0_S_MM2 = 50.0
_SHADING_MM = 25.0
_SWI_TE_FIELD_MS_T = 60.0
_SAME_GRID_MM = 0.01


def carrier(role: Role, study: Study) -> Role:
    """The role whose image is registered for `role`: b0 for FA and MD, M0 for CBF, else its own.

    A map of the gradient echo is carried by the image whose grid it shares, a map of diffusion or
    perfusion by the raw series of its frame of reference.
    """
    volume = study.series[role].volumes[0]
    for candidate in _CARRIERS.get(role, ()):
        if candidate not in study.series:
            continue
        other = study.series[candidate].volumes[0]
        linked = same_grid if role in GRADIENT_ECHO else same_frame
        if linked(volume, other):
            return candidate
    return role


def same_grid(one: Volume, other: Volume) -> bool:
    """Same shape, and corners within 0.01 mm (headers are rounded)."""
    if one.spatial_shape != other.spatial_shape or not same_frame(one, other):
        return False
    last = np.diag([*(n - 1 for n in one.spatial_shape), 1.0])
    return bool(np.allclose(one.affine @ last, other.affine @ last, atol=_SAME_GRID_MM))


def same_frame(one: Volume, other: Volume) -> bool:
    """Same frame of reference; unknown on either side counts as the same."""
    uids = {one.frame_of_reference_uid, other.frame_of_reference_uid} - {None}
    return len(uids) < 2


def representative(series: Series) -> Volume:
    """The image that is registered: mean b0, M0 (else control), mean over echoes, or itself."""
    volumes = _of_kind(series, AslKind.M0) or _of_kind(series, AslKind.CONTROL)
    if not volumes and series.role is Role.DWI:
        volumes = [
            volume
            for volume, sample in zip(series.volumes, series.samples, strict=True)
            if (sample.b_value_s_mm2 or 0.0) <= _B0_S_MM2
        ]
    if not volumes:
        volumes = list(series.volumes) if series.role in (*RAW, Role.MAGNITUDE) else []
    volumes = volumes or [series.volumes[0]]
    mean = np.mean([volume.array for volume in volumes], axis=0, dtype=np.float32)
    return volumes[0].with_array(mean)


def shown(series: Series, study: Study) -> Volume:
    """The volume that is shown and measured: of several echoes the one nearest to the SWI's.

    Without an SWI (or its echo time): TE x field nearest 60 ms T, 20 ms at 3 T and 40 ms at 1.5 T,
    the usual settings (Haacke et al., AJNR 2009;30:19).
    """
    wanted_ms = _SWI_TE_FIELD_MS_T / (series.acquisition.field_strength_t or 3.0)
    if Role.SWI in study.series:
        wanted_ms = study.series[Role.SWI].samples[0].echo_time_ms or wanted_ms
    distance = [abs((sample.echo_time_ms or 0.0) - wanted_ms) for sample in series.samples]
    return series.volumes[int(np.argmin(distance))]


def _of_kind(series: Series, kind: AslKind) -> list[Volume]:
    pairs = zip(series.volumes, series.samples, strict=True)
    return [volume for volume, sample in pairs if sample.asl is kind]


def without_shading(volume: Volume) -> Volume:
    """The image over its mean within some 25 mm, so that coil shading does not pass for tissue.

    A real b0, three times as bright at the back of the head, was drawn 20 mm away without it.
    Own choice: 25 mm is wider than any structure that registration needs.
    """
    from scipy.ndimage import gaussian_filter

    array = np.nan_to_num(volume.array.astype(np.float32), posinf=0.0, neginf=0.0)
    bright = float(np.percentile(array, 99))
    if bright <= 0:
        return volume
    head = (array > 0.1 * bright).astype(np.float32)
    sigma = [_SHADING_MM / step for step in volume.spacing]
    local = gaussian_filter(array * head, sigma) / np.maximum(gaussian_filter(head, sigma), 0.01)
    return volume.with_array((array / np.maximum(local, 0.05 * bright)).astype(np.float32))
