"""What a model that learned from a cohort says of a subject, to stand beside what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.labels import structure
from operators.lnc_scorer.bundle import LncBundle, Metadata, ReferenceMeasure, load_bundle
from operators.lnc_scorer.crops import SIDES, crop, normalised
from operators.lnc_scorer.features import deep_features, of_subject
from operators.lnc_scorer.saliency import saliency_maps
from operators.types import (
    CoregisteredStudy,
    LabelEstimate,
    LncEstimates,
    NotAssessed,
    RegionEstimate,
    RegionMap,
    RegionMeasure,
    Role,
    Unit,
    ZScore,
)

if TYPE_CHECKING:
    from highdicom import Volume

NO_HEADS = (
    "The LNC model learned from simulated subjects alone and gives no score and no estimate; "
    "`lentiform lnc train` makes one from a cohort of your own."
)


def estimate(
    study: CoregisteredStudy, regions: RegionMap, measures: Sequence[RegionMeasure], folder: Path
) -> LncEstimates | NotAssessed:
    """Estimates, labels and z-scores of the bundle in `folder`, or why there are none.

    ConfigurationError where the folder is there and wrong.
    """
    if not folder.is_dir():
        return NotAssessed("No LNC model is installed: measured values only.")
    bundle = load_bundle(folder)
    about = bundle.metadata
    if bundle.heads is None and about.reference is None:
        return NotAssessed(" ".join((NO_HEADS, *about.not_told)))
    scores, reference = z_scores(measures, about)
    notes = list(about.not_told)
    told: tuple[tuple[RegionEstimate, ...], tuple[LabelEstimate, ...], Mapping[str, Volume]]
    told = ((), (), {})
    if bundle.heads is not None:
        crops = _crops(study, regions, about.regions)
        if isinstance(crops, str):
            notes.append(f"No model estimate: {crops}")
        else:
            told = _told(bundle, crops, regions, measures)
    return LncEstimates(*told[:2], scores, reference, told[2], bundle.identity, tuple(notes))


def z_scores(
    measures: Sequence[RegionMeasure], about: Metadata
) -> tuple[tuple[ZScore, ...], str]:
    """How far from the reference group's mean, in its SDs, and who that group is in words.

    Of what was measured over the whole region; relative CBF has none.
    """
    if about.reference is None:
        return (), ""
    by_place = {(one.structure.name, one.structure.side): one for one in measures}
    scores = []
    for one in about.reference.measures:
        measure = by_place.get((one.region, one.side))
        value = None if measure is None else _measured(measure, one)
        if measure is not None and value is not None:
            scores.append(ZScore(measure.structure, one.role, (value - one.mean) / one.sd))
    return tuple(scores), f"{about.reference.group} ({about.reference.subjects} subjects)"


def _measured(measure: RegionMeasure, wanted: ReferenceMeasure) -> float | None:
    if wanted.role is None:
        return measure.volume_mm3 if measure.volume_mm3 > 0 else None
    statistic = measure.quantities.get(wanted.role)
    if statistic is None or statistic.unit is Unit.RELATIVE_CBF or not np.isfinite(statistic.mean):
        return None
    return statistic.mean


def _crops(
    study: CoregisteredStudy, regions: RegionMap, names: Sequence[str]
) -> NDArray[np.float32] | str:
    """(region, side, 2, z, y, x), or why there are none."""
    if Role.T1W not in study.contrasts:
        return "it needs T1w."
    t1w = normalised(_as_acquired(study), regions.labels)
    out = []
    for name in names:
        for side in SIDES:
            cube = crop(t1w, regions.labels, structure(name, side))
            if cube is None:
                return f"the {structure(name, side).label} is not in the image."
            out.append(cube)
    return np.stack(out).reshape(len(names), len(SIDES), *out[0].shape)


def _as_acquired(study: CoregisteredStudy) -> Volume:
    """T1w with its own voxels, its affine moved by its registration: interpolated only once."""
    from highdicom import Volume

    volume = study.study.series[Role.T1W].volumes[0]
    known = study.registrations.get(Role.T1W)
    if study.reference is Role.T1W or known is None:
        return study.contrasts[Role.T1W]
    affine = np.linalg.inv(known.matrix_lps_mm) @ volume.affine
    return Volume(np.asarray(volume.array, np.float32), affine, "PATIENT",
                  frame_of_reference_uid=study.contrasts[Role.T1W].frame_of_reference_uid)


def _told(
    bundle: LncBundle, crops: NDArray[np.float32], regions: RegionMap,
    measures: Sequence[RegionMeasure],
) -> tuple[tuple[RegionEstimate, ...], tuple[LabelEstimate, ...], Mapping[str, Volume]]:
    about, heads = bundle.metadata, bundle.heads
    assert heads is not None
    network = bundle.network()
    deep = deep_features(network, crops.reshape(-1, *crops.shape[2:]))
    told = heads.told(of_subject(deep.reshape(*crops.shape[:2], -1)))
    quantities = tuple(
        RegionEstimate(head.region, head.role, float(value), float(value) - head.half_width,
                       float(value) + head.half_width, _both_sides(measures, head.region,
                                                                   head.role, head.unit),
                       head.unit, head.subjects)
        for head, value in zip(about.quantities, told, strict=False))
    labels, wanted, first = [], {}, len(about.quantities)
    for head in about.labels:
        best = int(np.argmax(told[first:first + len(head.classes)]))
        labels.append(LabelEstimate(head.name, head.classes[best], head.right[best],
                                    head.balanced_accuracy, head.chance, head.subjects))
        wanted[f"label {head.name}"] = heads.weights[[first + best] * len(about.regions)]
        first += len(head.classes)
    for role in dict.fromkeys(head.role for head in about.quantities):
        rows = {head.region: n for n, head in enumerate(about.quantities) if head.role is role}
        wanted[role.value.upper()] = np.stack([
            heads.weights[rows[name]] if name in rows else np.zeros(heads.weights.shape[1])
            for name in about.regions])
    return quantities, tuple(labels), saliency_maps(
        network, crops, wanted, regions.labels, about.regions)


def _both_sides(
    measures: Sequence[RegionMeasure], region: str, role: Role, unit: Unit
) -> float:
    """Mean of both sides' measured means; NaN where one is unknown or in another unit."""
    found = [one.quantities[role] for one in measures
             if one.structure.name == region and role in one.quantities]
    known = [one.mean for one in found if one.unit is unit]
    return float(np.mean(known)) if len(known) == len(SIDES) else float("nan")
