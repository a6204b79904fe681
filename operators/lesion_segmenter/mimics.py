"""What only looks like a microbleed: calcium by its sign, tubes where asked, what is too wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.labels import LesionClass, Structure
from operators.lesion_segmenter.components import Component
from operators.lesion_segmenter.settings import LesionSettings

Array = NDArray[np.float32]
REACH_MM = 8.0
"""Surroundings in which shape and susceptibility contrast are judged: a CMB's largest radius and
as much again of vein would show here (our choice)."""
DEEP_NUCLEI = ("basal ganglia", "internal capsule")
"""MARS locations of iron deposits; the capsule runs between the nuclei, and their edges blur."""
RING_MM = (2.0, 5.0)
"""Distance of the ring that a lesion's susceptibility is compared with (our choice)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for one class or another.

    `contrast_ppm` is the lesion's mean susceptibility above its surroundings; None where unknown.
    `runner_up` is the likelier of microbleed and iron deposit where the network says calcium.
    """

    kind: LesionClass
    runner_up: LesionClass
    contrast_ppm: float | None
    vesselness: float
    diameter_mm: float
    location: Structure | None


def name_lesion(evidence: Evidence, settings: LesionSettings) -> tuple[LesionClass | None, str]:
    """The class of a candidate and why, in words; None: not a lesion this model names.

    Rules, in order: the sign of susceptibility tells blood and iron from calcium; iron deposits are
    those of the basal ganglia (Rashid et al. 2021), not the iron-rich nuclei of the brain stem and
    cerebellum; a tube is a vessel where the settings say how tube-like; what is wider than a
    microbleed can be is iron in the basal ganglia and nothing elsewhere.
    """
    kind, why = _by_sign(evidence, settings)
    place = evidence.location
    if kind is LesionClass.IRON_DEPOSIT and place is not None and not _is_deep(place):
        return None, f"iron-like, but in {place.label}; {why}"
    if kind is not LesionClass.MICROBLEED:
        return kind, why
    if evidence.vesselness > settings.max_vesselness:
        return LesionClass.VESSEL, f"tube-like (vesselness {evidence.vesselness:.2f}); {why}"
    if evidence.diameter_mm > settings.max_microbleed_diameter_mm:
        wide = (f"{evidence.diameter_mm:.1f} mm wide, more than the "
                f"{settings.max_microbleed_diameter_mm:g} mm of a microbleed")
        return (LesionClass.IRON_DEPOSIT if _is_deep(place) else None), f"{wide}; {why}"
    return kind, f"vesselness {evidence.vesselness:.2f} (0 round, 1 tube); {why}"


def _by_sign(evidence: Evidence, settings: LesionSettings) -> tuple[LesionClass, str]:
    contrast, kind = evidence.contrast_ppm, evidence.kind
    if contrast is None:
        return kind, "sign of susceptibility unknown (no QSM here)"
    if contrast <= settings.calcium_max_ppm:
        return LesionClass.CALCIFICATION, f"diamagnetic ({contrast:+.2f} ppm)"
    if kind is LesionClass.CALCIFICATION and contrast >= settings.blood_min_ppm:
        return evidence.runner_up, f"paramagnetic ({contrast:+.2f} ppm), so not calcium"
    sign = "paramagnetic" if contrast >= settings.blood_min_ppm else "weak susceptibility"
    return kind, f"{sign} ({contrast:+.2f} ppm)"


def _is_deep(location: Structure | None) -> bool:
    return location is not None and location.mars in DEEP_NUCLEI


def susceptibility_contrast(
    component: Component, qsm: Array, spacing_mm: Sequence[float]
) -> float | None:
    """Mean susceptibility of a lesion above the median of the ring around it, ppm.

    `qsm` is (slice, row, column) in ppm. None where QSM is unknown in most of the lesion: its mask
    loses the brain's rim.
    """
    from scipy import ndimage

    inside = known_values(qsm[component.index])
    if 2 * inside.size < len(component.voxels):
        return None
    box, offset = _surroundings(component, qsm.shape, spacing_mm)
    lesion = np.zeros(tuple(side.stop - side.start for side in box), bool)
    lesion[tuple((component.voxels - offset).T)] = True
    distance = ndimage.distance_transform_edt(~lesion, sampling=list(spacing_mm))
    around = qsm[box][(distance >= RING_MM[0]) & (distance <= RING_MM[1])]
    around = known_values(around)
    background = float(np.median(around)) if around.size else 0.0
    return float(inside.mean()) - background


def known_values(qsm: Array) -> Array:
    """Values that are measurements: finite, and not the exact 0 that fills a QSM's outside."""
    known: Array = qsm[np.isfinite(qsm) & (qsm != 0)]
    return known


def vesselness(component: Component, darkness: Array, spacing_mm: Sequence[float]) -> float:
    """How tube-like the dark spot is: 0 a ball, 1 a tube.

    From the Hessian of `darkness` (slice, row, column; larger is darker) at the lesion's centre,
    on a 1 mm isotropic copy of its surroundings, smoothed at the lesion's own radius: along a tube
    the curvature is nil, in a ball it is the same in all directions (the blob ratio of Frangi et
    al., MICCAI 1998). 1 - |curvature along| / |middle curvature|.
    """
    from scipy import ndimage

    box, offset = _surroundings(component, darkness.shape, spacing_mm)
    crop = darkness[box]
    fine = ndimage.zoom(crop, list(spacing_mm), order=1, mode="nearest", grid_mode=True)
    scale = np.asarray(fine.shape) / np.asarray(crop.shape)
    centre = np.clip(np.rint((np.asarray(component.centroid) - offset + 0.5) * scale - 0.5),
                     0, np.asarray(fine.shape) - 1).astype(int)
    radius = (3 * component.volume_mm3 / (4 * np.pi)) ** (1 / 3)
    sigma = float(np.clip(radius, 1.0, 3.0))
    hessian = np.empty((3, 3))
    for a in range(3):
        for b in range(a, 3):
            order = [int(axis == a) + int(axis == b) for axis in range(3)]
            second = ndimage.gaussian_filter(fine, sigma, order=order, mode="nearest")
            hessian[a, b] = hessian[b, a] = second[tuple(centre)]
    _, middle, along = np.linalg.eigvalsh(hessian)
    if middle >= 0:
        return 1.0
    return float(np.clip(1 - along / middle, 0, 1))


def depth_mm(component: Component, brain: NDArray[np.bool_], spacing_mm: Sequence[float]) -> float:
    """Distance of a lesion's centre from the nearest voxel outside the brain, at most `REACH_MM`.

    `brain` is (slice, row, column); beyond the volume counts as inside.
    """
    box, offset = _surroundings(component, brain.shape, spacing_mm)
    outside = np.argwhere(~brain[box])
    if not len(outside):
        return REACH_MM
    away = (outside + offset - np.asarray(component.centroid)) * np.asarray(spacing_mm)
    return float(min(np.linalg.norm(away, axis=1).min(), REACH_MM))


def _surroundings(
    component: Component, shape: Sequence[int], spacing_mm: Sequence[float]
) -> tuple[tuple[slice, slice, slice], NDArray[np.intp]]:
    reach = np.ceil(REACH_MM / np.asarray(spacing_mm)).astype(int)
    low = np.maximum(component.voxels.min(axis=0) - reach, 0)
    high = np.minimum(component.voxels.max(axis=0) + reach + 1, shape)
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return (first, second, third), low
