"""Simulated subjects as the lesion segmenter meets them: the product's own SWI and QSM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.phantom.types import Planted, Subject
from operators.brain_mask import brain_mask
from operators.labels import LesionClass
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case, make_case
from operators.quantitative_maps.maps import add_maps
from operators.quantitative_maps.settings import QuantitativeMapsSettings
from operators.region_segmenter.masks import whole_brain
from operators.types import (
    Acquisition,
    CoregisteredStudy,
    NotAssessed,
    RegionMap,
    Role,
    Sample,
    Series,
    Study,
    Unit,
)

if TYPE_CHECKING:
    from highdicom import Volume

Array = NDArray[np.float32]
CLASSES: dict[Planted, LesionClass] = {
    Planted.MICROBLEED: LesionClass.MICROBLEED, Planted.IRON_DEPOSIT: LesionClass.IRON_DEPOSIT,
    Planted.CALCIFICATION: LesionClass.CALCIFICATION, Planted.VEIN: LesionClass.VESSEL,
    Planted.FLOW_VOID: LesionClass.VESSEL, Planted.SIDEROSIS: LesionClass.VESSEL,
    Planted.CAVERNOMA: LesionClass.VESSEL,
}
"""What only darkens the image shares the class that merely competes, VESSEL."""
_ROLES = (Role.MAGNITUDE, Role.PHASE, Role.T2W, Role.SWI)
_UNITS = {Role.QSM: Unit.PPM}


@dataclass(frozen=True, slots=True, eq=False)
class Examined:
    """One subject after maps and registration, with the truth on the same grid.

    `kinds` and `diameters_mm` are per number in `truth`, `planted` is what a simulator calls it;
    `regions` are all zero where unknown.
    """

    subject: str
    anatomy: str
    field_strength_t: float | None
    contrasts: Mapping[Role, Array]
    brain: NDArray[np.bool_]
    regions: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    kinds: Mapping[int, LesionClass]
    diameters_mm: Mapping[int, float]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str
    planted: Mapping[int, str] = field(default_factory=dict)


def examine(
    subject: Subject, generator: np.random.Generator, *, own_mask: bool = False
) -> Examined:
    """Compute SWI and QSM as the product does and bring T2w onto the grid.

    Registration is stood for by the true transform with an error of 0.3 mm (standard deviation per
    axis), what the rigid tools left in trials. The brain mask is the true one, in half of the
    subjects off by a millimetre; with `own_mask` half of the subjects have one like the product's,
    which takes in bone and leaves out gyri.
    """
    study = add_maps(_study(subject), QuantitativeMapsSettings())
    grid = subject.truth.brain
    contrasts = {role: np.asarray(study.series[role].volumes[-1].array, np.float32)
                 for role in (Role.SWI, Role.QSM, Role.MAGNITUDE) if role in study.series}
    shift = generator.normal(0, 0.3, 3)
    t2w = subject.images[Role.T2W]
    contrasts[Role.T2W] = onto(t2w.volumes[0], grid, shift, t2w.motion)
    brain = _nearly(grid, generator)
    if own_mask and generator.random() < 0.5:
        brain = _outlined(grid, study.series[Role.MAGNITUDE].volumes[0], generator)
    planted = {one.index: one for one in subject.truth.planted}
    return Examined(
        subject=f"{subject.anatomy}-{subject.seed}", anatomy=subject.anatomy,
        field_strength_t=subject.protocol.field_strength_t, contrasts=contrasts, brain=brain,
        regions=np.asarray(subject.truth.regions.array, np.uint8),
        truth=np.asarray(subject.truth.lesions.array, np.uint16),
        kinds={number: CLASSES[one.kind] for number, one in planted.items()},
        diameters_mm={number: one.diameter_mm for number, one in planted.items()},
        affine=grid.affine, frame_of_reference_uid=grid.frame_of_reference_uid or "1.2.3",
        planted={number: one.kind.value for number, one in planted.items()},
    )


def _nearly(true: Volume, generator: np.random.Generator) -> NDArray[np.bool_]:
    """The true mask, or a pixel less or more of it."""
    from scipy import ndimage

    brain = np.asarray(true.array, bool)
    change = generator.choice((0, 0, -1, 1))
    if not change:
        return brain
    edit = ndimage.binary_erosion if change < 0 else ndimage.binary_dilation
    return np.asarray(edit(brain, np.ones((1, 3, 3))), bool)


def _outlined(
    true: Volume, magnitude: Volume, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """A mask like the region segmenter's: an outline somewhat off, and that of the first echo.

    The outline is the true one 1.5 mm off its place and 3 % off its size, standard deviations per
    axis: about what the template's is (our choice).
    """
    from scipy import ndimage

    inside = np.asarray(true.array, bool)
    centre = np.argwhere(inside).mean(axis=0)
    size = 1 + generator.normal(0, 0.03, 3)
    shift = generator.normal(0, 1.5, 3) / np.asarray(true.spacing)
    moved = ndimage.affine_transform(
        inside.astype(np.float32), 1 / size, centre - centre / size - shift, order=1) > 0.5
    return np.asarray(
        whole_brain(true.with_array(moved), brain_mask(magnitude, role=Role.MAGNITUDE)).array, bool)


def as_case(examined: Examined) -> Case:
    """The subject as a training case; lesions end where the brain mask does."""
    contrasts = {role: image for role, image in examined.contrasts.items()
                 if role in CASE_CHANNELS}
    spacing = np.linalg.norm(examined.affine[:3, :3], axis=0)
    return make_case(
        examined.subject, examined.anatomy, contrasts, examined.brain,
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        np.where(examined.brain, examined.truth, 0).astype(np.uint16), examined.kinds,
    )


def as_study(examined: Examined) -> tuple[CoregisteredStudy, RegionMap | NotAssessed]:
    """The subject as the pipeline hands it to the lesion segmenter."""
    import highdicom
    from pydicom import Dataset

    def volume(array: NDArray) -> Volume:
        return highdicom.Volume(array, examined.affine, "PATIENT",
                                frame_of_reference_uid=examined.frame_of_reference_uid)

    brain = volume(examined.brain)
    acquisition = Acquisition(field_strength_t=examined.field_strength_t)
    volumes = {role: volume(image) for role, image in examined.contrasts.items()}
    series = {
        role: Series(role, (image,), (Sample(),), _UNITS.get(role, Unit.ARBITRARY), (),
                     f"1.2.3.{number}", "", "given", acquisition)
        for number, (role, image) in enumerate(volumes.items())
    }
    study = Study(f"subject {examined.subject}", Dataset(), series, ())
    registered = CoregisteredStudy(study, next(iter(volumes)), volumes, {}, brain, {})
    if not examined.regions.any():
        return registered, NotAssessed("no regions are given")
    return registered, RegionMap(volume(examined.regions), brain, Role.T1W, "truth", 1.0)


def save_examined(examined: Examined, path: Path) -> None:
    """Write a subject; the file appears whole or not at all."""
    numbers = sorted(examined.kinds)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(
            file, subject=examined.subject, anatomy=examined.anatomy,
            field_strength_t=examined.field_strength_t or np.nan, brain=examined.brain,
            regions=examined.regions, truth=examined.truth, affine=examined.affine,
            uid=examined.frame_of_reference_uid, numbers=np.array(numbers, int),
            kinds=np.array([examined.kinds[n] for n in numbers], int),
            diameters=np.array([examined.diameters_mm[n] for n in numbers], float),
            planted=np.array([examined.planted.get(n, "") for n in numbers], str),
            **{f"contrast_{role.value}": image for role, image in examined.contrasts.items()},
        )
    partial.replace(path)


def load_examined(path: Path) -> Examined:
    """Read what `save_examined` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        numbers = [int(n) for n in stored["numbers"]]
        return Examined(
            subject=str(stored["subject"]), anatomy=str(stored["anatomy"]),
            field_strength_t=None if np.isnan(stored["field_strength_t"])
            else float(stored["field_strength_t"]),
            contrasts={Role(name.removeprefix("contrast_")): stored[name]
                       for name in stored.files if name.startswith("contrast_")},
            brain=stored["brain"], regions=stored["regions"], truth=stored["truth"],
            kinds=dict(zip(numbers, map(LesionClass, stored["kinds"].tolist()), strict=True)),
            diameters_mm=dict(zip(numbers, stored["diameters"].tolist(), strict=True)),
            affine=stored["affine"], frame_of_reference_uid=str(stored["uid"]),
            planted={number: name for number, name in zip(
                numbers, stored["planted"].tolist() if "planted" in stored else [], strict=False)
                if name},
        )


def _study(subject: Subject) -> Study:
    from pydicom import Dataset

    acquisition = Acquisition(field_strength_t=subject.protocol.field_strength_t)
    series = {
        role: Series(role, image.volumes, image.samples, image.unit, (), f"1.2.3.{number}", "",
                     "simulated", acquisition)
        for number, (role, image) in enumerate(subject.images.items()) if role in _ROLES
    }
    return Study(f"simulated {subject.anatomy}-{subject.seed}", Dataset(), series, ())


def onto(
    moving: Volume, grid: Volume, shift_mm: NDArray[np.float64] | None = None,
    motion: NDArray[np.float64] | None = None,
) -> Array:
    """`moving` on `grid` through patient space, off by `shift_mm`; NaN beyond its edges.

    `motion` (4, 4): from a point of `moving` to that of the same tissue in `grid`, LPS mm.
    """
    from scipy import ndimage

    offset = np.eye(4)
    offset[:3, 3] = 0 if shift_mm is None else shift_mm
    back = np.eye(4) if motion is None else np.linalg.inv(motion)
    matrix = np.linalg.inv(moving.affine) @ back @ offset @ grid.affine
    if moving.spatial_shape == grid.spatial_shape and np.allclose(matrix, np.eye(4), atol=1e-4):
        return np.asarray(moving.array, np.float32)
    return np.asarray(ndimage.affine_transform(
        np.asarray(moving.array, np.float32), matrix[:3, :3], matrix[:3, 3],
        output_shape=grid.spatial_shape, order=1, cval=np.nan,
    ), np.float32)
