"""Quantitative susceptibility mapping: phase to ppm, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.errors import StepFailed
from operators.quantitative_maps.background import local_field
from operators.quantitative_maps.field import field_map
from operators.quantitative_maps.geometry import Window, b0_direction, spacing_mm, window
from operators.quantitative_maps.inversion import (
    dipole_kernel,
    regularised_inversion,
    thresholded_division,
)
from operators.quantitative_maps.settings import QsmSettings

if TYPE_CHECKING:
    from highdicom import Volume

_MARGIN_MM = 16.0
"""Zeros around the brain, own choice: the largest sphere fits, and dipole fields fade."""
_FEWEST_VOXELS = 1000


def susceptibility(
    magnitudes: Sequence[Volume],
    phases: Sequence[Volume],
    echo_times_ms: Sequence[float],
    *,
    field_strength_t: float,
    mask: Volume,
    settings: QsmSettings,
) -> Volume:
    """Magnetic susceptibility in ppm, float32, on the grid of the phases.

    One magnitude and one phase (radians, growing with the field) per echo, echo times ascending;
    `mask` is the brain, bool. Paramagnetic is positive; the mean over the brain is 0 ppm; 0
    outside it, and outside is also what V-SHARP cannot reach at the rim and what is not finite.
    Raises StepFailed when the mask leaves too little to compute on.
    """
    usable = mask.array & np.all([np.isfinite(p.array) for p in (*phases, *magnitudes)], axis=0)
    if usable.sum() < _FEWEST_VOXELS:
        raise StepFailed(
            f"The brain mask for QSM holds {int(usable.sum())} voxels, at least {_FEWEST_VOXELS} "
            "are wanted. Check that magnitude and phase show a brain."
        )
    spacing = spacing_mm(phases[0])
    box = window(usable, spacing, max(_MARGIN_MM, settings.largest_sphere_mm))
    inside = box.cut(usable)
    amplitude = [_cut(box, volume, inside) for volume in magnitudes]
    angle = [_cut(box, volume, inside) for volume in phases]
    field = field_map(
        amplitude, angle, inside, echo_times_ms=echo_times_ms, field_strength_t=field_strength_t,
        spacing=spacing,
    )
    local, known = local_field(
        field.field_ppm, inside, spacing=spacing, largest_mm=settings.largest_sphere_mm,
        smallest_mm=max(settings.smallest_sphere_mm, min(spacing)),
        step_mm=settings.sphere_step_mm, threshold=settings.deconvolution_threshold,
    )
    if known.sum() < _FEWEST_VOXELS:
        raise StepFailed(
            f"V-SHARP leaves {int(known.sum())} voxels of the brain, at least {_FEWEST_VOXELS} are "
            "wanted. Lower smallest_sphere_mm in app.yaml, or check the brain mask."
        )
    kernel = dipole_kernel(box.shape, spacing, b0_direction(phases[0]))
    chi = thresholded_division(local, known, kernel, threshold=settings.tkd_threshold)
    if settings.inversion == "regularised":
        chi = regularised_inversion(
            local, field.weight, amplitude[0], known, kernel, start=chi,
            smoothness=settings.smoothness, edge_fraction=settings.edge_fraction,
            iterations=settings.iterations,
        )
    chi = np.where(known, chi - chi[known].mean(), np.float32(0))
    return phases[0].with_array(box.back(chi))


def _cut(box: Window, volume: Volume, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(inside, box.cut(volume.array), 0).astype(np.float32)
