"""Regions from T2w, GRE magnitude or SWI alone: how good, and how often the networks are believed.

    python -m benchmarks.region_contrasts COHORT STUDY ... [--subjects 8]

COHORT: a tree of `lentiform simulate --subjects` (test heads, which no training saw), against its
truth; the template, registered on the same image, stands beside the networks. STUDY: a folder of
DICOM with a T1w, whose regions are what those of its other contrasts are compared with; b0 and M0,
which the application never takes regions from, stand for real images of other contrast.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.tree import read_tree
from apps.map.settings import DEFAULT_CONFIG, REGION_MODEL, load_settings
from benchmarks.region_dice import dice
from operators.brain_mask import brain_mask
from operators.dicom_loader.load import load_study
from operators.quantitative_maps.maps import add_maps
from operators.region_segmenter.bundle import load_networks
from operators.region_segmenter.by_network import read_regions
from operators.region_segmenter.by_template import regions_by_template
from operators.region_segmenter.segment import SOURCES, segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.registration.coregister import coregister
from operators.registration.images import representative
from operators.registration.resample import onto
from operators.types import CoregisteredStudy, NotAssessed, RegionMap, Role, Study

if TYPE_CHECKING:
    from highdicom import Volume

Labels = NDArray[np.uint8]
OTHERS = SOURCES[1:]
NUCLEI = {"caudate": (1, 2), "putamen": (3, 4), "pallidum": (5, 6), "thalamus": (7, 8)}


class Sample(NamedTuple):
    """An image, the brain mask that goes with it, and what its regions are compared with."""

    name: str
    contrast: str
    role: Role
    image: Volume
    brain: Volume
    truth: Labels


def simulated(cohort: Path, subjects: int) -> Iterator[Sample]:
    """Every contrast of a cohort's scans with the truth; the brain is found on the contrast."""
    from highdicom import Volume

    for scan in read_tree(cohort).scans[:subjects]:
        examined = scan.read()
        for role in OTHERS:
            if role in examined.contrasts:
                image = Volume(examined.contrasts[role], examined.affine, "PATIENT")
                yield Sample(scan.name, f"simulated {role.value}", role, image,
                             brain_mask(image, role=role), examined.regions)


def real(study: Path) -> Iterator[Sample]:
    """Contrasts of a study, and mean b0 and M0, with the regions that are seen on its T1w."""
    settings = load_settings(DEFAULT_CONFIG)
    loaded = load_study(study, settings=settings.dicom_loader, study_uid=None)
    registered = coregister(add_maps(loaded, settings.quantitative_maps), settings.registration)
    t1w = segment_regions(registered, settings.region_segmenter, REGION_MODEL)
    assert isinstance(t1w, RegionMap)
    assert t1w.source is Role.T1W
    truth = np.asarray(t1w.labels.array)
    for role in OTHERS:
        if role in registered.contrasts:
            yield Sample(study.name, f"real {role.value}", role, registered.contrasts[role],
                         registered.brain, truth)
    for carried, raw, name in ((Role.FA, Role.DWI, "b0"), (Role.CBF, Role.ASL, "M0")):
        if raw in loaded.series and carried in registered.contrasts:
            image = onto(representative(loaded.series[raw]), registered.brain,
                         registered.registrations[carried].matrix_lps_mm)
            yield Sample(study.name, f"real {name}", Role.T2W, image, registered.brain, truth)


def by_template(image: Volume, brain: Volume, role: Role) -> Labels | None:
    """Regions of the template registered on the image."""
    from pydicom import Dataset

    bare = Study(uid="", header=Dataset(), series={}, decisions=())
    study = CoregisteredStudy(bare, role, {role: image}, {}, brain, {})
    regions = regions_by_template(study, role, RegionSettings(), why="compared")
    return None if isinstance(regions, NotAssessed) else np.asarray(regions.labels.array)


def nuclei_dice(found: Labels | None, truth: Labels) -> list[float]:
    """Mean Dice of both sides of each of `NUCLEI`; NaN where there are no regions."""
    return [np.nan if found is None else float(np.mean([
        dice(found == number, truth == number) for number in numbers]))
        for numbers in NUCLEI.values()]


def main() -> None:
    """Print a row per image, then means of each contrast."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--subjects", type=int, default=8, help="of a cohort, the first so many")
    options = parser.parse_args()
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    least = RegionSettings().min_agreement
    print(header("image | quality"))
    rows: dict[str, list[list[float]]] = {}
    for folder in options.folders:
        cohort = (folder / "participants.tsv").exists()
        images = simulated(folder, options.subjects) if cohort else real(folder)
        for one in images:
            found = read_regions(one.image, one.brain, networks)
            quality = found.quality if found else 0.0
            own = nuclei_dice(found.labels if found else None, one.truth)
            other = nuclei_dice(by_template(one.image, one.brain, one.role), one.truth)
            print(f"| {one.name}, {one.contrast} | {quality:.2f} | {cells(own)} | {cells(other)} |",
                  flush=True)
            rows.setdefault(one.contrast, []).append([quality, *own, *other])
    print("\n" + header(f"mean of those that both saw | images | both | quality at least {least}"))
    for kind, each in rows.items():
        table = np.array(each)
        both = table[np.isfinite(table).all(axis=1), 1:]
        means = both.mean(axis=0) if len(both) else np.full(2 * len(NUCLEI), np.nan)
        print(f"| {kind} | {len(table)} | {len(both)} | {int((table[:, 0] >= least).sum())} | "
              f"{cells(means[:4])} | {cells(means[4:])} |")


def header(first: str) -> str:
    """Head of a table whose last columns are the nuclei by the networks and by the template."""
    columns = [*first.split(" | "), *NUCLEI, *(f"{name}, template" for name in NUCLEI)]
    return f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}"


def cells(values: NDArray[np.float64] | list[float]) -> str:
    return " | ".join(f"{value:.2f}" for value in values)


if __name__ == "__main__":
    main()
