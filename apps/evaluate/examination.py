"""One subject with a truth, seen by the product's own `segment_lesions`: what it lists and misses.

All positions are DICOM LPS, millimetres; label maps are (slice, row, column).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.conspicuity import contrast_to_noise
from apps.evaluate.pairing import SCORED, Labels, Point, dice, pair, pair_near
from apps.train.subjects import Examined, as_study
from operators.errors import StepFailed
from operators.labels import LesionClass, MarsCategory
from operators.lesion_segmenter.location import locate
from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Lesion, LesionMap, NotAssessed, Role

if TYPE_CHECKING:
    from highdicom import Volume

LEAST = 0.05
"""Every candidate above this probability is listed where operating points are chosen."""


@dataclass(frozen=True, slots=True)
class Found:
    """A lesion that was listed, the class of the known object it matches, and that object's size.

    `truth` is None where it matches nothing (a false positive in healthy tissue). `near`: it has no
    match of its own class, but the centre of an unmatched one lies within 5 mm. `location` is what
    the product says; None is unknown.
    """

    kind: LesionClass
    probability: float
    vesselness: float
    volume_mm3: float
    mean_ppm: float | None
    reason: str
    truth: LesionClass | None
    truth_mm: float
    near: bool = False
    location: MarsCategory | None = None
    features: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """An object that the truth holds; `listed` is the class it was listed as, None if it was not.

    `near`: see `Found`. `location` is None where the regions do not say. `planted`: what a
    simulator calls it. `contrast_to_noise`: on SWI, see there; None where unknown.
    """

    kind: LesionClass
    diameter_mm: float
    volume_mm3: float = 0.0
    location: MarsCategory | None = None
    listed: LesionClass | None = None
    near: bool = False
    planted: str = ""
    contrast_to_noise: float | None = None


@dataclass(frozen=True, slots=True)
class Examination:
    """All that was listed and all that was there in one subject.

    `dice` is per class that is there or listed; `slice_mm` the distance of slices.
    """

    subject: str
    found: tuple[Found, ...]
    known: tuple[Known, ...]
    slice_mm: float | None = None
    field_strength_t: float | None = None
    dice: Mapping[LesionClass, float] = field(default_factory=dict)


def listing_all(settings: LesionSettings | None = None) -> LesionSettings:
    """Settings that list every candidate, to choose operating points from."""
    least = ("microbleed_probability", "iron_probability", "calcification_probability")
    return (settings or LesionSettings()).model_copy(update=dict.fromkeys(least, LEAST))


def examine_all(
    subjects: Iterable[Examined], bundle: Path, settings: LesionSettings
) -> list[Examination]:
    """Run the lesion segmenter on subjects; StepFailed names one that is not assessed."""
    out = []
    for subject in subjects:
        result = examine(subject, subject, bundle, settings)
        if isinstance(result, NotAssessed):
            raise StepFailed(f"Subject {subject.subject} was not assessed: {result.reason}")
        out.append(result)
    return out


def examine(
    truth: Examined, seen: Examined, bundle: Path, settings: LesionSettings
) -> Examination | NotAssessed:
    """Segment `seen` and judge what is listed by `truth`, on the grid of the latter.

    Both are the same subject, in the same patient space: its arrays as they are, or with contrasts
    left out, or as the product made them from DICOM.
    """
    study, regions = as_study(seen)
    result = segment_lesions(study, regions, bundle=bundle, settings=settings)
    if isinstance(result, NotAssessed):
        return result
    return judge_map(truth, result)


def judge_map(truth: Examined, found: LesionMap) -> Examination:
    """What a lesion map, on any grid of the same patient space, lists and misses of the truth."""
    return judge(truth, _on_grid(found.labels, truth), found.lesions)


def judge(truth: Examined, labels: Labels, lesions: Sequence[Lesion]) -> Examination:
    """Match lesions, drawn in `labels` on the grid of `truth`, to the known ones in the brain."""
    inside = np.where(truth.brain, truth.truth, 0)
    here = sorted(set(np.unique(inside)[1:].tolist()) & set(truth.kinds))
    kinds = {number: truth.kinds[number] for number in here}
    pairs = pair(inside, labels, lesions, kinds)
    by_index = {one.index: one for one in lesions}
    places = _places(inside, here)
    matched = {number: true for number, true in pairs.items()
               if by_index[number].kind is kinds[true]}
    near = pair_near(
        {number: (kinds[number], _to_lps(places[number].mean(axis=0), truth.affine))
         for number in here if number not in matched.values()},
        {one.index: (one.kind, np.array(one.centroid_lps_mm))
         for one in lesions if one.index not in matched},
    )
    listed_as = {true: by_index[number].kind for number, true in pairs.items()}
    background = truth.brain & (truth.truth == 0)
    return Examination(
        subject=truth.subject,
        found=tuple(_found(one, truth, pairs.get(one.index), one.index in near) for one in lesions),
        known=tuple(_known(number, places[number], truth, background, listed_as.get(number),
                           number in near.values()) for number in here),
        slice_mm=float(_spacing_mm(truth)[0]), field_strength_t=truth.field_strength_t,
        dice=_dices(inside, labels, lesions, kinds),
    )


def _found(one: Lesion, truth: Examined, match: int | None, near: bool) -> Found:
    return Found(
        one.kind, one.probability, one.vesselness, one.volume_mm3, one.mean_ppm, one.reason,
        truth.kinds[match] if match else None, truth.diameters_mm[match] if match else 0.0, near,
        one.location.category if one.location else None, one.features,
    )


def _known(
    number: int, voxels: NDArray[np.intp], truth: Examined, background: NDArray[np.bool_],
    listed: LesionClass | None, near: bool,
) -> Known:
    spacing = _spacing_mm(truth)
    place = locate(voxels.mean(axis=0).tolist(), truth.regions, spacing.tolist(),
                   reach_mm=LesionSettings().location_reach_mm)
    return Known(truth.kinds[number], truth.diameters_mm[number],
                 len(voxels) * float(np.prod(spacing)), place.category if place else None,
                 listed, near, truth.planted.get(number, ""),
                 contrast_to_noise(truth.contrasts[Role.SWI], voxels, background, spacing)
                 if Role.SWI in truth.contrasts else None)


def _spacing_mm(truth: Examined) -> Point:
    return np.asarray(np.linalg.norm(truth.affine[:3, :3], axis=0))


def _dices(
    inside: Labels, labels: Labels, lesions: Sequence[Lesion], kinds: Mapping[int, LesionClass]
) -> dict[LesionClass, float]:
    out = {}
    for kind in SCORED:
        value = dice(inside, labels, [number for number, true in kinds.items() if true is kind],
                     [one.index for one in lesions if one.kind is kind])
        if value is not None:
            out[kind] = value
    return out


def _places(labels: Labels, numbers: Sequence[int]) -> dict[int, NDArray[np.intp]]:
    """Voxel indices (n, 3) of each number."""
    from scipy import ndimage

    boxes = ndimage.find_objects(labels.astype(np.int32))
    out = {}
    for number in numbers:
        box = boxes[number - 1]
        out[number] = np.argwhere(labels[box] == number) + [side.start for side in box]
    return out


def _to_lps(index: Point, affine: Point) -> Point:
    return np.asarray(affine[:3, :3] @ index + affine[:3, 3])


def _on_grid(labels: Volume, truth: Examined) -> Labels:
    """A label map on the grid of the truth, each voxel from the nearest one."""
    from scipy import ndimage

    shape = truth.truth.shape
    if labels.spatial_shape == shape and np.allclose(labels.affine, truth.affine, atol=1e-3):
        return np.asarray(labels.array)
    matrix = np.linalg.inv(labels.affine) @ truth.affine
    return np.asarray(ndimage.affine_transform(
        labels.array, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=0, cval=0
    ))
