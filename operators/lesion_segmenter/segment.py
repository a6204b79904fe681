"""From a co-registered study to its lesions: the room's one public call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import LESIONS, LesionClass, Structure
from operators.lesion_segmenter.bundle import Bundle, load_bundle
from operators.lesion_segmenter.calibration import features
from operators.lesion_segmenter.components import LESION_CLASSES, Component, components
from operators.lesion_segmenter.cubes import cubes
from operators.lesion_segmenter.inference import make_runner, predict
from operators.lesion_segmenter.location import locate
from operators.lesion_segmenter.mimics import (
    Evidence,
    depth_mm,
    known_values,
    name_lesion,
    susceptibility_contrast,
    vesselness,
)
from operators.lesion_segmenter.normalise import (
    CHANNELS,
    NetworkInput,
    network_input,
    scale_contrast,
)
from operators.lesion_segmenter.second_stage import classify
from operators.lesion_segmenter.settings import LesionSettings
from operators.lesion_segmenter.source import susceptibility_source
from operators.types import CoregisteredStudy, Lesion, LesionMap, NotAssessed, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume
    from torch import nn

Array = NDArray[np.float32]


def segment_lesions(
    study: CoregisteredStudy, regions: RegionMap | NotAssessed, *,
    bundle: Path, settings: LesionSettings,
) -> LesionMap | NotAssessed:
    """Find, measure and name the lesions of a study.

    Sought inside the brain of `regions`, or of the study where there is none. QSM and T2w may be
    missing; the map's notes say what that costs. NotAssessed without SWI or a magnitude with
    enough T2* weighting, or where slices lie too far apart. ConfigurationError if `bundle` is no
    model folder; StepFailed if a contrast is empty.
    """
    source = susceptibility_source(study, settings)
    if isinstance(source, NotAssessed):
        return source
    model = load_bundle(bundle)
    mask = regions.brain if isinstance(regions, RegionMap) else study.brain
    brain = np.asarray(mask.array, bool)
    images = {role: np.asarray(study.contrasts[role].array, np.float32)
              for role in CHANNELS if role in study.contrasts}
    images[Role.SWI] = np.asarray(study.contrasts[source].array, np.float32)
    prepared = network_input(images, brain, mask.spacing)
    runner = make_runner(model.network(), settings.engine)
    seen = predict(prepared.array, runner, slices_per_batch=settings.slices_per_batch)
    maps = prepared.to_reference(seen)
    again = model.second_stage()
    found = components(
        maps, brain, mask.spacing,
        voxel_probability=settings.voxel_probability, min_volume_mm3=settings.min_volume_mm3,
        faint_probability=settings.faint_probability if again else None,
    )
    if again and found:
        found = _looked_at_again(found, again, prepared, seen)
    judge = _Judge(study, regions, images, brain, model, settings)
    inputs = tuple(source if role is Role.SWI else role for role in prepared.present)
    return replace(_lesion_map(found, judge, maps, mask, inputs), engine=runner.name)


def _looked_at_again(
    found: list[Component], network: nn.Module, prepared: NetworkInput, maps: Array
) -> list[Component]:
    """The candidates with what the second stage gives them for their class and for a vessel.

    `maps` are on the network's grid, on which the second stage learned.
    """
    given = classify(network, cubes(
        prepared.array, maps, prepared.brain, prepared.spacing_mm, found, box=prepared.box))
    return [replace(part, second=float(row[part.kind]), vessel=float(row[LesionClass.VESSEL]))
            for part, row in zip(found, given, strict=True)]


class _Judge:
    """Turns a component into a lesion with a class, or drops it and says so."""

    def __init__(
        self, study: CoregisteredStudy, regions: RegionMap | NotAssessed,
        images: Mapping[Role, Array], brain: NDArray[np.bool_], model: Bundle,
        settings: LesionSettings,
    ) -> None:
        self.study, self.regions, self.model, self.settings = study, regions, model, settings
        self.grid, self.brain = study.brain, brain
        self.qsm = images.get(Role.QSM)
        self.darkness = -scale_contrast(images[Role.SWI], brain, Role.SWI, self.grid.spacing)
        self.points = _operating_points(model, settings)
        self.notes = list(_missing_notes(images))
        self.iron_elsewhere = 0

    def lesion(self, part: Component, maps: Array) -> Lesion | None:
        """The lesion, its index still 0; None below the operating point or not nameable.

        What might be a microbleed and the second stage takes for a vessel is a vessel.
        """
        mean, peak = self._susceptibility(part)
        spacing = self.grid.spacing
        contrast = None
        if self.qsm is not None:
            contrast = susceptibility_contrast(part, self.qsm, spacing)
        tube = vesselness(part, self.darkness, spacing)
        seen = features(part.probability, part.second, part.volume_mm3, mean, contrast, tube,
                        depth_mm(part, self.brain, spacing))
        place = self._location(part)
        kind, why = name_lesion(Evidence(part.kind, _runner_up(part, maps), contrast, tube,
                                         part.diameter_mm, place), self.settings)
        judged = kind if kind is not None and kind in self.points else part.kind
        probability = self._probability(judged, part, seen)
        if probability < self.points[judged]:
            if not self._is_doubtful(judged, part, probability):
                return None
            why = f"a vessel at a second look; a microbleed with probability {probability:.2f} only"
            kind, probability = LesionClass.VESSEL, part.vessel or 0.0
        centre = self.grid.map_indices_to_reference(np.array([part.centroid]))[0]
        centroid = (float(centre[0]), float(centre[1]), float(centre[2]))
        if kind is None:
            self._leave_out(part, centroid, why)
            return None
        return Lesion(
            index=0, kind=kind, location=place, volume_mm3=part.volume_mm3,
            diameter_mm=part.diameter_mm, centroid_lps_mm=centroid, mean_ppm=mean, peak_ppm=peak,
            probability=probability, vesselness=tube, reason=why,
            uid=tracking_uid(self.study.study.uid, kind, centroid), features=seen,
        )

    def _probability(
        self, judged: LesionClass, part: Component, seen: tuple[float, ...]
    ) -> float:
        """By the regression of the class that a candidate is named, as it was fitted."""
        model = self.model
        calibration = (
            model.calibration if self.qsm is not None else model.calibration_without_qsm
        ).get(judged)
        return calibration.probability(seen) if calibration else part.probability

    def _is_doubtful(self, judged: LesionClass, part: Component, probability: float) -> bool:
        """Whether what might be a microbleed is a vessel to the second stage."""
        return (judged is LesionClass.MICROBLEED
                and probability >= self.settings.doubt_probability
                and (part.vessel or 0.0) >= self.settings.vessel_probability)

    def _leave_out(self, part: Component, at_lps_mm: tuple[float, float, float], why: str) -> None:
        if part.kind is LesionClass.IRON_DEPOSIT:
            self.iron_elsewhere += 1
            return
        where = ", ".join(f"{value:.0f}" for value in at_lps_mm)
        self.notes.append(f"A dark lesion at LPS ({where}) mm is not listed: {why}.")

    def all_notes(self) -> tuple[str, ...]:
        """Sentences for the report, once every candidate was judged."""
        if not self.iron_elsewhere:
            return tuple(self.notes)
        spots = "1 iron-like spot" if self.iron_elsewhere == 1 else (
            f"{self.iron_elsewhere} iron-like spots")
        return (*self.notes, f"{spots} outside the basal ganglia not listed.")

    def _location(self, part: Component) -> Structure | None:
        if isinstance(self.regions, NotAssessed):
            return None
        return locate(part.centroid, self.regions.labels.array, self.grid.spacing,
                      reach_mm=self.settings.location_reach_mm)

    def _susceptibility(self, part: Component) -> tuple[float | None, float | None]:
        if self.qsm is None:
            return None, None
        values = known_values(self.qsm[part.index])
        if values.size == 0:
            return None, None
        return float(values.mean()), float(values[np.abs(values).argmax()])


def tracking_uid(
    study_uid: str, kind: LesionClass, centroid_lps_mm: tuple[float, float, float]
) -> str:
    """A UID that the same lesion of the same study gets again: from class and centre to 0.1 mm."""
    from pydicom.uid import generate_uid

    centre = [f"{value:.1f}" for value in centroid_lps_mm]
    return str(generate_uid(entropy_srcs=[study_uid, LESIONS[kind].abbreviation, *centre]))


def _lesion_map(
    found: list[Component], judge: _Judge, maps: Array, grid: Volume, inputs: tuple[Role, ...]
) -> LesionMap:
    judged = [(judge.lesion(part, maps), part) for part in found]
    kept = [(lesion, part) for lesion, part in judged if lesion is not None]
    kept.sort(key=lambda pair: (pair[0].kind, -pair[0].volume_mm3, pair[0].centroid_lps_mm))
    labels = np.zeros(grid.array.shape, np.uint16)
    lesions = []
    for number, (lesion, part) in enumerate(kept, start=1):
        labels[part.index] = number
        lesions.append(replace(lesion, index=number))
    return LesionMap(
        labels=grid.with_array(labels),
        probabilities={kind: grid.with_array(maps[kind]) for kind in LESION_CLASSES},
        lesions=tuple(lesions), inputs=inputs, model=judge.model.identity,
        notes=judge.all_notes(),
    )


def _operating_points(model: Bundle, settings: LesionSettings) -> dict[LesionClass, float]:
    chosen = {
        LesionClass.MICROBLEED: settings.microbleed_probability,
        LesionClass.IRON_DEPOSIT: settings.iron_probability,
        LesionClass.CALCIFICATION: settings.calcification_probability,
    }
    return {kind: model.operating_point[kind] if value is None else value
            for kind, value in chosen.items()}


def _runner_up(part: Component, maps: Array) -> LesionClass:
    bleed, iron = (float(maps[kind][part.index].sum())
                   for kind in (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT))
    return LesionClass.MICROBLEED if bleed >= iron else LesionClass.IRON_DEPOSIT


def _missing_notes(images: Mapping[Role, Array]) -> list[str]:
    costs = {
        Role.QSM: "No QSM: calcification cannot be told from microbleeds by its sign.",
        Role.T2W: "No T2w: lesions were sought without it.",
    }
    return [cost for role, cost in costs.items() if role not in images]
