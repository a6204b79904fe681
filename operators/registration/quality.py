"""How good a rigid registration is: what a displacement of it costs, and how far it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.registration.rigid import (
    Matrix,
    Pyramid,
    Target,
    mirrored,
    mutual_information,
    refined,
)
from operators.registration.settings import RegistrationSettings

DISPLACEMENT_MM = 3.0
"""Own choice: about half a cortical fold."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What a registration is judged by first; `mirror_loss` costs another registration.

    Attributes
    ----------
    information : mutual information of the two images in the brain, nats.
    sharpness : share of mutual information lost 3 mm away, mean of six directions.
    overlap : share of the brain's voxels inside the moving field of view.
    rotation_deg, shift_mm : from the pose that the headers give; the shift is the brain centre's.
    """

    information: float
    sharpness: float
    overlap: float
    rotation_deg: float
    shift_mm: float


def assess(fixed: Target, moving: Pyramid, matrix: Matrix) -> Quality:
    """Judge `matrix` (4, 4), fixed to moving points, LPS mm."""
    here = max(mutual_information(fixed, moving, matrix), 1e-6)
    away = [
        mutual_information(fixed, moving, _shifted(axis, step_mm) @ matrix)
        for axis in range(3)
        for step_mm in (-DISPLACEMENT_MM, DISPLACEMENT_MM)
    ]
    cosine = np.clip((np.trace(matrix[:3, :3]) - 1.0) / 2.0, -1.0, 1.0)
    centre = fixed.centre_lps_mm
    moved = matrix[:3, :3] @ centre + matrix[:3, 3]
    return Quality(
        information=here,
        sharpness=1.0 - float(np.mean(away)) / here,
        overlap=_overlap(fixed, moving, matrix),
        rotation_deg=float(np.degrees(np.arccos(cosine))),
        shift_mm=float(np.linalg.norm(moved - centre)),
    )


def mirror_loss(fixed: Target, moving: Pyramid, matrix: Matrix, information: float) -> float:
    """Share of mutual information lost when the moving image is mirrored and registered anew.

    Mirrored left to right it has the same contrast and noise, and is the nearest thing to somebody
    else's brain; what fits no better than it is not this brain. Below 0 where the mirror image
    fits better: left and right are exchanged. `matrix` (4, 4) from fixed to moving points, LPS mm;
    `information` (nats) of the images as they are.
    """
    middle = matrix[:3, :3] @ fixed.centre_lps_mm + matrix[:3, 3]
    mirror = mirrored(moving, middle, matrix[:3, 0])
    turned = refined(fixed, mirror, matrix)
    return 1.0 - mutual_information(fixed, mirror, turned) / information


def stranger(loss: float, settings: RegistrationSettings) -> str:
    """Why the two images are not of one head, as a sentence's rest; empty where they are."""
    if loss >= settings.min_identity:
        return ""
    return (
        "registration failed: mirrored left to right it fits about as well or better (identity "
        f"{loss:.2f}, wanted {settings.min_identity:.2f}): another head, or sides exchanged"
    )


def failure(quality: Quality, settings: RegistrationSettings, *, same_frame: bool) -> str:
    """Why the registration cannot be used, as a sentence's rest; empty where it can.

    How far it went from the headers counts only where both series share their frame of reference.
    """
    far = same_frame and quality.shift_mm > settings.max_shift_mm
    if quality.overlap < settings.min_overlap:
        return f"it covers {100 * quality.overlap:.0f} % of the brain"
    if far or quality.rotation_deg > settings.max_rotation_deg:
        return (
            f"registration moved it by {quality.rotation_deg:.0f} degrees and "
            f"{quality.shift_mm:.0f} mm: not plausible"
        )
    if quality.information < settings.min_information:
        return (
            "registration failed: the images share next to nothing (mutual information "
            f"{quality.information:.3f} nats, wanted {settings.min_information:.2f})"
        )
    if quality.sharpness < settings.min_sharpness:
        return (
            f"registration failed: {DISPLACEMENT_MM:g} mm away it fits almost as well (sharpness "
            f"{quality.sharpness:.2f}, wanted {settings.min_sharpness:.2f})"
        )
    return ""


def _shifted(axis: int, step_mm: float) -> Matrix:
    matrix = np.eye(4)
    matrix[axis, 3] = step_mm
    return matrix


def _overlap(fixed: Target, moving: Pyramid, matrix: Matrix) -> float:
    """Share of the brain at 4 mm that lies inside the moving image."""
    import SimpleITK as sitk

    brain, image = fixed.brains[1], moving[1]
    inside = np.argwhere(sitk.GetArrayViewFromImage(brain) > 0)[:, ::-1]
    points = _points(brain, inside) @ matrix[:3, :3].T + matrix[:3, 3]
    direction = np.reshape(image.GetDirection(), (3, 3))
    index = (points - image.GetOrigin()) @ direction / image.GetSpacing()
    met = np.all((index >= -0.5) & (index <= np.array(image.GetSize()) - 0.5), axis=1)
    return float(met.mean())


def _points(image: Any, index: NDArray[np.intp]) -> Matrix:
    """LPS mm of voxel indices (n, 3) of a SimpleITK image."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    step = index * image.GetSpacing()
    return np.asarray(step @ direction.T + image.GetOrigin())
