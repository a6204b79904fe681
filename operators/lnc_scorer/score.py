"""The state of the lenticulostriate complex: measured first, then what a model says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from operators.labels import LNC_NAMES, LesionClass, Side, Structure, structure
from operators.lnc_scorer.estimate import estimate
from operators.lnc_scorer.settings import LncSettings
from operators.types import (
    Asymmetry,
    CoregisteredStudy,
    LesionMap,
    LncScore,
    NotAssessed,
    RegionMap,
    RegionMeasure,
    Role,
    Statistic,
    Unit,
)

QUANTITIES: tuple[Role, ...] = (Role.FA, Role.MD, Role.CBF, Role.QSM)
"""Contrasts measured region by region, in the order of the report."""


def score(
    study: CoregisteredStudy, regions: RegionMap | NotAssessed, lesions: LesionMap | NotAssessed,
    settings: LncSettings, bundle: Path | None = None,
) -> LncScore | NotAssessed:
    """Volume, FA, MD, CBF, susceptibility and lesion burden of every LNC region, both sides.

    Means, SDs (population) and medians are over the region's voxels in which the contrast is
    known (not NaN). NotAssessed without regions, or without any of the contrasts. `bundle` is the
    folder of the model that estimates.
    """
    if isinstance(regions, NotAssessed):
        return NotAssessed(f"Regions were not assessed: {regions.reason}")
    present = [role for role in QUANTITIES if role in study.contrasts]
    if not present:
        return NotAssessed(_nothing_to_measure(study))
    measures = tuple(
        _measure(structure(name, side), study, regions, lesions, present)
        for name in LNC_NAMES
        for side in (Side.LEFT, Side.RIGHT)
    )
    territory = np.isin(regions.labels.array, [one.structure.number for one in measures])
    score = LncScore(measures, asymmetries(measures), tuple(_notes(measures, settings)),
                     *_burden(territory, lesions, float(regions.labels.voxel_volume)))
    if bundle is None:
        return score
    return replace(score, estimates=estimate(study, regions, measures, bundle))


def asymmetries(measures: tuple[RegionMeasure, ...]) -> tuple[Asymmetry, ...]:
    """100 (L - R) / ((L + R) / 2) of volumes and means, where both sides are known.

    Susceptibility has no asymmetry in percent: it is relative to the brain's mean and may be 0.
    """
    by_place = {(m.structure.name, m.structure.side): m for m in measures}
    found: list[tuple[str, Role | None, float, float]] = []
    for name in LNC_NAMES:
        left, right = by_place[name, Side.LEFT], by_place[name, Side.RIGHT]
        found.append((name, None, left.volume_mm3, right.volume_mm3))
        for role in left.quantities:
            if role is not Role.QSM:
                means = (left.quantities[role].mean, right.quantities[role].mean)
                found.append((name, role, *means))
    return tuple(
        Asymmetry(name, role, 200 * (left - right) / (left + right))
        for name, role, left, right in found
        if np.isfinite(left + right) and left + right != 0
    )


def _measure(
    region: Structure, study: CoregisteredStudy, regions: RegionMap,
    lesions: LesionMap | NotAssessed, present: list[Role],
) -> RegionMeasure:
    inside = np.asarray(regions.labels.array == region.number)
    voxel_mm3 = float(regions.labels.voxel_volume)
    counts, burden_mm3 = _burden(inside, lesions, voxel_mm3)
    return RegionMeasure(
        structure=region,
        volume_mm3=float(inside.sum()) * voxel_mm3,
        quantities={
            role: _statistic(study.contrasts[role].array[inside], study.study.series[role].unit)
            for role in present
        },
        lesion_counts=counts,
        lesion_volume_mm3=burden_mm3,
    )


def _statistic(values: NDArray[Any], unit: Unit) -> Statistic:
    known = values[np.isfinite(values)].astype(np.float64)
    if known.size == 0:
        return Statistic(np.nan, np.nan, np.nan, 0.0, unit)
    return Statistic(
        mean=float(known.mean()), sd=float(known.std()), median=float(np.median(known)),
        coverage=known.size / values.size, unit=unit,
    )


def _burden(
    inside: NDArray[np.bool_], lesions: LesionMap | NotAssessed, voxel_mm3: float
) -> tuple[Mapping[LesionClass, int], float | None]:
    """Lesions of each class that touch the region, and the volume of blood and iron inside it."""
    if isinstance(lesions, NotAssessed):
        return {}, None
    labels = np.asarray(lesions.labels.array)
    touching = set(np.unique(labels[inside]).tolist())
    here = [lesion for lesion in lesions.lesions if lesion.index in touching]
    counts = {kind: sum(lesion.kind is kind for lesion in here) for kind in LesionClass}
    burden = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
    indices = [lesion.index for lesion in here if lesion.kind in burden]
    return counts, float(np.isin(labels[inside], indices).sum()) * voxel_mm3


def _notes(measures: tuple[RegionMeasure, ...], settings: LncSettings) -> list[str]:
    notes = []
    for role in QUANTITIES:
        known = [(m.structure, m.quantities[role]) for m in measures if role in m.quantities]
        short = [
            f"{region.label} {100 * statistic.coverage:.0f} %"
            for region, statistic in known
            if statistic.coverage < settings.full_coverage
        ]
        if short:
            notes.append(f"{role.value.upper()} covers only part of: {', '.join(short)}.")
        if any(statistic.unit is Unit.RELATIVE_CBF for _, statistic in known):
            notes.append("CBF is relative: only ratios between regions and sides mean something.")
    empty = [m.structure.label for m in measures if m.volume_mm3 == 0]
    if empty:
        notes.append(f"Not in the field of view: {', '.join(empty)}.")
    return notes


def _nothing_to_measure(study: CoregisteredStudy) -> str:
    lost = [f"{role.value}: {study.dropped[role]}" for role in QUANTITIES if role in study.dropped]
    why = f" ({'; '.join(lost)})" if lost else ""
    return f"The study has no usable FA, CBF or QSM{why}. Send DTI, ASL, or GRE with phase."
