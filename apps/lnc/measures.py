"""What is measured of each subject of a cohort: regions, their FA and CBF, and T1w features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.progress import shown
from apps.evaluate.store import fingerprint, place
from apps.lnc.scans import Cohort, Member
from apps.map.settings import REGION_MODEL, REPOSITORY, Settings
from apps.train.annotated import load_volume
from apps.train.subjects import onto
from operators.errors import InputError, StepFailed
from operators.labels import STRUCTURES, Structure, structure
from operators.lnc_scorer.crops import REGIONS, SIDE_MM, SIDES, crop, normalised
from operators.lnc_scorer.features import deep_features
from operators.types import Acquisition, NotAssessed, Role, Sample, Series, Study, Unit

if TYPE_CHECKING:
    from highdicom import Volume

    from operators.lnc_scorer.network import LncNet

Array = NDArray[np.float64]
QUANTITIES = (Role.FA, Role.CBF)
INTENSITIES = ("mean", "SD", "10th percentile", "median", "90th percentile", "skewness")
SLICES = 20
"""Of 1 mm, about a region's centre."""
PIXEL_MM = 4
WHITE_MATTER = tuple(structure("deep and periventricular white matter", side).number
                     for side in SIDES)
LEAST_KNOWN = 0.5
"""Of a region, for its mean to count (our choice)."""
_CODE = ("apps/lnc/measures.py", *(f"operators/lnc_scorer/{name}.py"
                                   for name in ("crops", "features", "network")))
_SEGMENTING = ("operators/registration", "operators/region_segmenter", "operators/resampling.py",
               "models/region_segmenter")


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Of one subject's regions in the order asked for; NaN where a contrast is missing.

    `volumes_mm3` (region, side); `intensities` (region, side, `INTENSITIES`) of normalised T1w;
    `means` (quantity, region, side); `deep` (region, side, 512); `slices` (`SLICES`, region *
    100), T1w of the crops in slices of 1 mm and pixels of 4 mm, both sides' mean, lowest first.
    """

    volumes_mm3: Array
    intensities: Array
    means: Array
    deep: Array
    slices: Array


def measure_all(
    cohort: Cohort, network: LncNet, weights: str, work: Path, settings: Settings,
    names: Sequence[str] = REGIONS,
) -> list[Measures]:
    """Measures of the regions `names` of every member in order, those in `work` as they are.

    `weights` names what the network's weights are, so that others measure anew.
    """
    def each() -> Iterator[Measures]:
        for member in cohort.members:
            code = _CODE if member.regions else (*_CODE, *_SEGMENTING)
            own = "" if member.regions else settings.model_dump_json()
            key = fingerprint(weights, own, *names, *member.files,
                              *(REPOSITORY / part for part in code))
            path = place(work / "measures", member.name, key, ".npz")
            kept = _load(path)
            if kept is None:
                kept = measure(member, network, settings, names)
                _save(kept, path)
            yield kept
    return list(shown(each(), len(cohort.members), "subject"))


def measure(
    member: Member, network: LncNet, settings: Settings, names: Sequence[str] = REGIONS,
) -> Measures:
    """Measure one subject. InputError or StepFailed names it and says why it cannot be."""
    t1w, regions, maps = _images(member, settings)
    scaled = normalised(t1w, regions)
    if not np.asarray(scaled.array).any():
        raise InputError(f"{member.name}: T1w is the same in all of the regions. Look at it.")
    voxel_mm3 = float(np.prod(t1w.spacing))
    volumes = np.full((len(names), 2), np.nan)
    intensities = np.full((len(names), 2, len(INTENSITIES)), np.nan)
    means = np.full((len(QUANTITIES), len(names), 2), np.nan)
    crops = []
    for r, s, region in _places(names):
        inside = np.asarray(regions.array) == region.number
        cube = crop(scaled, regions, region)
        if cube is None:
            raise StepFailed(f"{member.name}: the {region.label} is not in the image.")
        crops.append(cube)
        volumes[r, s] = inside.sum() * voxel_mm3
        intensities[r, s] = _statistics(np.asarray(scaled.array)[inside])
        for q, role in enumerate(QUANTITIES):
            if role in maps:
                means[q, r, s] = _mean(maps[role][inside], role, member.name)
    deep = deep_features(network, np.stack(crops)).reshape(len(names), 2, -1)
    return Measures(volumes, intensities, means, deep.astype(float),
                    _slices(np.stack(crops), len(names)))


def _mean(values: NDArray, role: Role, name: str) -> float:
    """NaN where less than `LEAST_KNOWN` of the region is known."""
    known = values[np.isfinite(values)]
    if known.size <= LEAST_KNOWN * values.size:
        return float("nan")
    mean = float(known.mean())
    if role is Role.FA and not 0 <= mean <= 1:
        raise InputError(f"{name}: FA has a mean of {mean:.4g} in a nucleus. Wanted: 0 to 1; "
                         "divide it by its scale.")
    return mean


def _places(names: Sequence[str]) -> Iterator[tuple[int, int, Structure]]:
    for r, name in enumerate(names):
        for s, side in enumerate(SIDES):
            yield r, s, structure(name, side)


def _slices(crops: NDArray[np.float32], regions: int) -> Array:
    """Small pictures of the middle slices of crops (region * side, 2, slice, row, column)."""
    first, pixels = (SIDE_MM - SLICES) // 2, SIDE_MM // PIXEL_MM
    t1w = crops[:, 0, first:first + SLICES].astype(float)
    small = t1w.reshape(regions, 2, SLICES, pixels, PIXEL_MM, pixels, PIXEL_MM).mean(axis=(1, 4, 6))
    return np.asarray(np.moveaxis(small, 1, 0).reshape(SLICES, -1))


def _statistics(values: NDArray) -> Array:
    from scipy.stats import skew

    return np.array([values.mean(), values.std(), *np.percentile(values, (10, 50, 90)),
                     np.nan_to_num(skew(values))])


def _images(member: Member, settings: Settings) -> tuple[Volume, Volume, dict[Role, NDArray]]:
    """T1w, regions on its grid, and the maps on it."""
    images = {role: load_volume(path) for role, path in member.images.items()}
    if member.regions is None:
        return _segmented(member, images, settings)
    t1w, regions = images.pop(Role.T1W), load_volume(member.regions)
    if not regions.geometry_equal(t1w, tol=1e-3):
        raise InputError(f"{member.regions.name} lies on another grid than T1w. Draw it on T1w.")
    unknown = set(np.unique(regions.array).tolist()) - {0, *STRUCTURES}
    if unknown:
        raise InputError(f"{member.regions.name} holds {min(unknown):g}, which is no region "
                         "(docs/regions.md has the numbers). Correct it, or leave the file out.")
    if not np.isin(regions.array, WHITE_MATTER).any():
        raise InputError(
            f"{member.regions.name} holds no white matter. T1w is put on a scale by all of the "
            "labelled brain, as in a study: give all regions (docs/regions.md), or leave the file "
            "out.")
    return t1w, regions, {role: onto(image, t1w) for role, image in images.items()}


def _segmented(
    member: Member, images: dict[Role, Volume], settings: Settings
) -> tuple[Volume, Volume, dict[Role, NDArray]]:
    """The application's own registration and regions, T1w giving the grid."""
    from pydicom import Dataset

    from operators.region_segmenter.segment import segment_regions
    from operators.registration.coregister import coregister

    units = {Role.FA: Unit.RATIO, Role.CBF: Unit.ABSOLUTE_CBF}
    series = {
        role: Series(role, (image.with_array(np.asarray(image.array, np.float32)),), (Sample(),),
                     units.get(role, Unit.ARBITRARY), (), f"1.2.3.{number}", "", "given",
                     Acquisition())
        for number, (role, image) in enumerate(images.items())
    }
    study = coregister(Study(member.name, Dataset(), series, ()), settings.registration)
    regions = segment_regions(study, settings.region_segmenter, REGION_MODEL)
    if isinstance(regions, NotAssessed):
        raise StepFailed(f"{member.name}: no regions. {regions.reason}")
    lost = {role: why for role, why in study.dropped.items() if role in QUANTITIES}
    if lost:
        role, why = next(iter(lost.items()))
        raise StepFailed(f"{member.name}: {role.value} does not fit T1w ({why}). Register it, or "
                         "take the subject out.")
    return (study.contrasts[Role.T1W], regions.labels,
            {role: np.asarray(study.contrasts[role].array) for role in QUANTITIES
             if role in study.contrasts})


def _save(measures: Measures, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **{name: getattr(measures, name) for name in Measures.__slots__})
    partial.replace(path)


def _load(path: Path) -> Measures | None:
    """What is kept; None where nothing is, or what is cannot be read."""
    try:
        with np.load(path) as kept:
            return Measures(**{name: kept[name] for name in Measures.__slots__})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
