"""A classical detector of microbleeds and iron: radial symmetry for candidates, then rules.

Dark round spots of SWI by the fast radial symmetry transform (Loy and Zelinsky, IEEE TPAMI
2003;25:959-973), slice by slice, at radii of 1 to 5 mm; the idea of using it for microbleeds is
that of Kuijf et al., NeuroImage 2012;59:2266-2273. What a spot is follows from size, roundness,
contrast, the sign of its susceptibility, and whether it lies in the basal ganglia. No network; its
few parameters are chosen on validation subjects.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.train.subjects import Examined, as_study
from operators.errors import InputError
from operators.labels import LesionClass, Structure
from operators.lesion_segmenter.components import Component, diameter_mm
from operators.lesion_segmenter.location import locate
from operators.lesion_segmenter.mimics import DEEP_NUCLEI, susceptibility_contrast
from operators.lesion_segmenter.normalise import scale_contrast
from operators.lesion_segmenter.segment import tracking_uid
from operators.types import Lesion, LesionMap, ModelIdentity, Role

Array = NDArray[np.float32]
RADII_MM = (1.0, 2.0, 3.0, 4.0, 5.0)
STRICTNESS = 2.0
"""The paper's alpha: its choice where round things are sought."""
LEAST_GRADIENT = 0.05
"""Gradients below this vote for nothing, in shares of the local mean a pixel (our choice)."""
MOST_ORIENTED = {1: 8.0}
"""The paper's k_n per radius in pixels; `MOST_ORIENTED_ELSE` is that of any other radius."""
MOST_ORIENTED_ELSE = 9.9
SEED, REACH_MM, LEAST_MM3, MOST_MM, LOCATION_REACH_MM = 0.02, 3.0, 2.0, 10.0, 3.0
"""Symmetry of a seed; how far its spot may reach from it; least volume, widest microbleed; all our
choice, the last three as the product's own."""
IDENTITY = ModelIdentity("fast radial symmetry", "1", "0" * 64, "parameters by grid search")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What counts as a lesion.

    `darkness`: share of the local mean that every voxel of a spot lacks. `symmetry`, `roundness`:
    least of each; roundness is the ratio of axes, 1 a ball, 0 a tube. `blood_ppm`: least
    susceptibility above the surroundings of blood and iron; at or below minus it, calcium.
    `depth_mm`: least distance of a spot's voxels from the brain's edge.
    """

    darkness: float = 0.25
    symmetry: float = 0.1
    roundness: float = 0.5
    blood_ppm: float = 0.03
    depth_mm: float = 0.0


GRID = {
    "darkness": (0.25, 0.35, 0.45), "symmetry": (0.02, 0.05, 0.1, 0.2, 0.3, 0.45),
    "roundness": (0.3, 0.45, 0.6, 0.7), "blood_ppm": (0.0, 0.03, 0.06, 0.1, 0.15),
    "depth_mm": (0.0, 2.0, 4.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Spot:
    """A dark spot and what the rules ask of it; `contrast_ppm` is None where QSM is unknown."""

    part: Component
    symmetry: float
    roundness: float
    depth_mm: float
    contrast_ppm: float | None
    place: Structure | None


def radial_symmetry(image: Array, brain: NDArray[np.bool_], spacing_mm: Sequence[float]) -> Array:
    """Symmetry of dark round spots, about 0 to 1, of (slice, row, column), per slice.

    `image` is in shares of the local mean. Only the pixels that gradients point away from get
    votes: bright spots are of no interest. The largest over radii where the paper sums, since a
    spot has one size.
    """
    from scipy import ndimage

    across = [np.asarray(ndimage.gaussian_filter(image, (0, 1, 1), order=order), np.float32)
              for order in ((0, 1, 0), (0, 0, 1))]
    size = np.hypot(*across)
    voters = np.nonzero(brain & (size > LEAST_GRADIENT))
    strength = size[voters]
    unit = [part[voters] / strength for part in across]
    pixel_mm = float(np.mean(spacing_mm[1:]))
    radii = sorted({max(1, round(radius / pixel_mm)) for radius in RADII_MM})
    largest = np.zeros(image.shape, np.float32)
    for radius in radii:
        row, column = (np.clip(np.rint(at - radius * way).astype(int), 0, limit - 1)
                       for at, way, limit in zip(voters[1:], unit, image.shape[1:], strict=True))
        target = np.ravel_multi_index((voters[0], row, column), image.shape)
        votes, weight = (np.bincount(target, each, image.size).reshape(image.shape)
                         for each in (None, strength))
        most = MOST_ORIENTED.get(radius, MOST_ORIENTED_ELSE)
        raw = weight / most * (np.minimum(votes, most) / most) ** STRICTNESS
        smooth = ndimage.gaussian_filter(raw, (0, 0.25 * radius, 0.25 * radius))
        np.maximum(largest, smooth.astype(np.float32), out=largest)
    return np.where(brain, largest, 0).astype(np.float32)


def spots(examined: Examined, darkness: float) -> list[Spot]:
    """Every dark spot around a seed of symmetry, whatever its shape."""
    spacing = _spacing_mm(examined)
    image = scale_contrast(examined.contrasts[Role.SWI], examined.brain, Role.SWI, spacing)
    return _spots(examined, image, radial_symmetry(image, examined.brain, spacing), darkness)


def _spacing_mm(examined: Examined) -> tuple[float, float, float]:
    slice_mm, row_mm, column_mm = np.linalg.norm(examined.affine[:3, :3], axis=0)
    return float(slice_mm), float(row_mm), float(column_mm)


def _spots(examined: Examined, image: Array, symmetry: Array, darkness: float) -> list[Spot]:
    from scipy import ndimage

    spacing = _spacing_mm(examined)
    seeds = symmetry > SEED
    depth = ndimage.distance_transform_edt(examined.brain, sampling=spacing)
    near = ndimage.distance_transform_edt(~seeds, sampling=spacing) <= REACH_MM
    labels, _ = ndimage.label(examined.brain & near & (image < -darkness), np.ones((3, 3, 3)))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        voxels = np.argwhere(labels[box] == number) + [side.start for side in box]
        volume = len(voxels) * float(np.prod(spacing))
        if volume >= LEAST_MM3:
            found.append(_spot(examined, voxels, volume, symmetry, depth))
    return found


def _spot(
    examined: Examined, voxels: NDArray, volume: float, symmetry: Array, depth: NDArray
) -> Spot:
    spacing = _spacing_mm(examined)
    mean = voxels.mean(axis=0)
    peak = float(symmetry[tuple(voxels.T)].max())
    part = Component(voxels, LesionClass.MICROBLEED, peak, volume, diameter_mm(voxels, spacing),
                     (float(mean[0]), float(mean[1]), float(mean[2])))
    qsm = examined.contrasts.get(Role.QSM)
    contrast = None if qsm is None else susceptibility_contrast(part, qsm, spacing)
    place = None
    if examined.regions.any():
        place = locate(mean, examined.regions, spacing, reach_mm=LOCATION_REACH_MM)
    shallow = float(depth[tuple(voxels.T)].min())
    return Spot(part, peak, _roundness(voxels, spacing), shallow, contrast, place)


def _roundness(voxels: NDArray, spacing_mm: Sequence[float]) -> float:
    """Middle over long axis in space, or short over long in the slice, whichever is less.

    A voxel's own width counts, so that a single one is as round as it is.
    """
    spread = np.atleast_2d(np.cov((voxels * np.asarray(spacing_mm)).T, bias=True))
    spread = spread + np.diag(np.square(spacing_mm) / 12)
    space, plane = np.linalg.eigvalsh(spread), np.linalg.eigvalsh(spread[1:, 1:])
    return float(np.sqrt(min(space[1] / space[2], plane[0] / plane[1])))


def name_spot(spot: Spot, parameters: Parameters) -> LesionClass | None:
    """The class by the rules; None: no lesion. Without QSM its sign is not asked for."""
    if (spot.symmetry < parameters.symmetry or spot.roundness < parameters.roundness
            or spot.depth_mm < parameters.depth_mm):
        return None
    contrast = spot.contrast_ppm
    if contrast is not None and contrast <= -max(parameters.blood_ppm, 1e-6):
        return LesionClass.CALCIFICATION
    if contrast is not None and contrast < parameters.blood_ppm:
        return None
    if spot.place is not None and spot.place.mars in DEEP_NUCLEI:
        return LesionClass.IRON_DEPOSIT
    return LesionClass.MICROBLEED if spot.part.diameter_mm <= MOST_MM else None


def detect(examined: Examined, parameters: Parameters) -> LesionMap:
    """The spots that the rules take for lesions, as the product gives its own.

    `probability` ranks them: symmetry / (symmetry + `parameters.symmetry`), at least a half.
    """
    study, _ = as_study(examined)
    grid = study.brain
    labels = np.zeros(examined.brain.shape, np.uint16)
    lesions: list[Lesion] = []
    for spot in spots(examined, parameters.darkness):
        kind = name_spot(spot, parameters)
        if kind is not None:
            index = len(lesions) + 1
            labels[spot.part.index] = index
            centre = grid.map_indices_to_reference(np.array([spot.part.centroid]))[0]
            lesions.append(_lesion(spot, kind, index, centre, parameters))
    return LesionMap(grid.with_array(labels), {}, tuple(lesions),
                     tuple(role for role in (Role.SWI, Role.QSM) if role in examined.contrasts),
                     IDENTITY)


def _lesion(
    spot: Spot, kind: LesionClass, index: int, centre_lps_mm: NDArray, parameters: Parameters
) -> Lesion:
    x, y, z = (float(value) for value in centre_lps_mm)
    return Lesion(
        index=index, kind=kind, location=spot.place, volume_mm3=spot.part.volume_mm3,
        diameter_mm=spot.part.diameter_mm, centroid_lps_mm=(x, y, z), mean_ppm=spot.contrast_ppm,
        peak_ppm=None, probability=spot.symmetry / (spot.symmetry + parameters.symmetry),
        vesselness=1 - spot.roundness, reason="fast radial symmetry and rules",
        uid=tracking_uid("1.2.3", kind, (x, y, z)),
    )


def fit(subjects: Iterable[Examined]) -> Parameters:
    """The parameters of `GRID` with the best mean F1 of microbleeds and iron over all subjects.

    Never to be given subjects that are reported on. InputError without subjects.
    """
    tables: dict[float, list[_Table]] = {level: [] for level in GRID["darkness"]}
    for examined in subjects:
        spacing = _spacing_mm(examined)
        image = scale_contrast(examined.contrasts[Role.SWI], examined.brain, Role.SWI, spacing)
        symmetry = radial_symmetry(image, examined.brain, spacing)
        for level, table in tables.items():
            table.append(_Table.of(examined, _spots(examined, image, symmetry, level)))
    if not any(tables.values()):
        raise InputError("No subjects to fit on. Give training or validation subjects.")
    every = [Parameters(**dict(zip(GRID, values, strict=True)))
             for values in itertools.product(*GRID.values())]
    return max(every, key=lambda one: _mean_f1(tables[one.darkness], one))


@dataclass(frozen=True, slots=True)
class _Table:
    """One subject: each spot with the number of the true lesion it covers most, 0 for none."""

    spots: tuple[tuple[Spot, int], ...]
    kinds: dict[int, LesionClass]

    @classmethod
    def of(cls, examined: Examined, found: Sequence[Spot]) -> _Table:
        inside = np.where(examined.brain, examined.truth, 0)
        here = set(np.unique(inside).tolist())
        kinds = {number: kind for number, kind in examined.kinds.items() if number in here}
        rows = []
        for spot in found:
            below = inside[spot.part.index]
            below = below[np.isin(below, list(kinds))]
            covered = int(np.bincount(below).argmax()) if below.size else 0
            rows.append((spot, covered))
        return cls(tuple(rows), kinds)


def _mean_f1(tables: Sequence[_Table], parameters: Parameters) -> float:
    wanted = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
    hits, listed, there = (dict.fromkeys(wanted, 0) for _ in range(3))
    for table in tables:
        named = [(name_spot(spot, parameters), covered) for spot, covered in table.spots]
        for kind in wanted:
            own = [covered for name, covered in named if name is kind]
            listed[kind] += len(own)
            hits[kind] += len({one for one in own if table.kinds.get(one) is kind})
            there[kind] += sum(true is kind for true in table.kinds.values())
    return float(np.mean([2 * hits[kind] / max(listed[kind] + there[kind], 1) for kind in wanted]))
