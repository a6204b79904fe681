"""Seconds of the LNC branch on a study: T1w to regions, and regions to LNC score.

    python -m benchmarks.lnc_branch STUDY [--models DIR] [--repeats 3]

STUDY is a folder of DICOM with T1w and FA or CBF. Loading, quantitative maps and registration,
which both branches share, are told apart; the template's regions stand beside the networks'. With
`--models` of `lentiform lnc train` the score holds estimates and saliency maps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, REGION_MODEL, load_settings
from benchmarks.region_dice import warm_up
from operators.dicom_loader.load import load_study
from operators.lnc_scorer.score import score
from operators.quantitative_maps.maps import add_maps
from operators.region_segmenter.segment import segment_regions
from operators.registration.coregister import coregister
from operators.types import NotAssessed

WANTED_S = 20.0
WANTED_TIMES = 5.0


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = call()
    return result, time.perf_counter() - begun


def main() -> None:
    """Time the steps and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--models", type=Path, default=DEFAULT_MODELS)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    settings = load_settings(DEFAULT_CONFIG)
    warm_up()
    loaded = load_study(options.study, settings=settings.dicom_loader, study_uid=None)
    study, before = timed(lambda: coregister(
        add_maps(loaded, settings.quantitative_maps), settings.registration))
    rows: dict[str, list[float]] = {"regions, networks": [], "regions, template": [], "score": []}
    unknown = NotAssessed("not part of this branch")
    for _ in range(options.repeats):
        regions, quick = timed(
            lambda: segment_regions(study, settings.region_segmenter, REGION_MODEL))
        _, slow = timed(lambda: segment_regions(study, settings.region_segmenter))
        _, scoring = timed(lambda: score(study, regions, unknown, settings.lnc_scorer,  # noqa: B023
                                         options.models / "lnc_scorer"))
        for name, seconds in zip(rows, (quick, slow, scoring), strict=True):
            rows[name].append(seconds)
    print(f"maps and registration, shared with the lesions: {before:.1f} s")
    for name, seconds in rows.items():
        print(f"{name}: median {np.median(seconds):.2f} s of {options.repeats}")
    ratio = np.median(np.array(rows["regions, template"]) / rows["regions, networks"])
    branch = np.median(np.array(rows["regions, networks"]) + rows["score"])
    print(f"template / networks: {ratio:.1f} (wanted {WANTED_TIMES:.0f} and more)")
    print(f"branch, regions and score: {branch:.1f} s, with maps and registration "
          f"{branch + before:.1f} s (wanted under {WANTED_S:.0f})")


if __name__ == "__main__":
    main()
