"""Quantitative susceptibility mapping: phase to ppm, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.errors import StepFailed
from operators.quantitative_maps.background import known, local_field, spheres, whole
from operators.quantitative_maps.field import field_map, reliable
from operators.quantitative_maps.geometry import (
    Window,
    b0_direction,
    grown,
    inside_mm,
    spacing_mm,
    window,
)
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
_RIM_MM = 3.0
"""The mask grows by this before V-SHARP takes its rim, so that cortex is not lost; own choice."""
_SKIN = 1.5
"""Shortest voxel edges that the mask's outermost layer is thick, whose phase mixes in what lies
outside; own choice, on simulated subjects."""
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
    outside it, in the outermost voxel of trusted phase (by `tkd`: where V-SHARP does not reach) and
    where a value is not finite.
    Raises StepFailed when the mask leaves too little to compute on.
    """
    spacing = spacing_mm(phases[0])
    finite = np.all([np.isfinite(image.array) for image in (*phases, *magnitudes)], axis=0)
    _check_size(int((mask.array & finite).sum()), "The brain mask holds")
    usable = grown(mask.array, spacing, _RIM_MM) & finite
    box = window(usable, spacing, max(_MARGIN_MM, *settings.sphere_radii_mm))
    inside = box.cut(usable)
    amplitude = [_cut(box, volume, inside) for volume in magnitudes]
    angle = [_cut(box, volume, inside) for volume in phases]
    field = field_map(
        amplitude, angle, inside, echo_times_ms=echo_times_ms, field_strength_t=field_strength_t,
        spacing=spacing,
    )
    inside = reliable(inside, field.weight, spacing)
    parts = spheres(inside, spacing=spacing, radii_mm=settings.sphere_radii_mm)
    _check_size(sum(int(part.where.sum()) for part in parts), "V-SHARP leaves")
    total = np.where(inside, field.field_ppm, np.float32(0))
    kernel = dipole_kernel(box.shape, spacing, b0_direction(phases[0]))
    local = local_field(total, parts, threshold=settings.deconvolution_threshold)
    chi = thresholded_division(local, known(parts), kernel, threshold=settings.tkd_threshold)
    reached = known(parts)
    if settings.inversion == "regularised":
        # The last echo shows the edges of bleeds best.
        invert = partial(
            regularised_inversion, total, field.weight, amplitude[-1], kernel=kernel,
            smoothness=settings.smoothness, shrinkage=settings.shrinkage,
            edge_fraction=settings.edge_fraction,
        )
        chi = invert(parts, start=chi, iterations=settings.iterations)
        reached = inside_mm(inside, spacing) > _SKIN * min(spacing)
        chi = invert(
            [whole(reached)], start=chi, iterations=settings.rim_iterations, outer_sources=True
        )
    brain = reached & box.cut(mask.array)
    chi = np.where(reached, chi - chi[brain].mean(), np.float32(0))
    return phases[0].with_array(box.back(chi))


def _check_size(voxels: int, what: str) -> None:
    if voxels < _FEWEST_VOXELS:
        raise StepFailed(
            f"{what} {voxels} voxels of brain, at least {_FEWEST_VOXELS} are wanted. Check that "
            "magnitude and phase show a brain."
        )


def _cut(box: Window, volume: Volume, inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    return np.where(inside, box.cut(volume.array), 0).astype(np.float32)
