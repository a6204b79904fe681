"""From trained weights to a bundle: calibrated, with operating points, figures and a model card."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from apps.evaluate.examination import examine_all, listing_all
from apps.train.card import Publication, write_bundle
from apps.train.scoring import calibrated, calibrations, operating_points, scores
from apps.train.subjects import Array, Examined, load_examined
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Role

_log = logging.getLogger("apps.train")


def publish(
    weights: Path, out: Path, recipe: Mapping[str, Any], validation: Sequence[Path],
    *, candidates: Path | None = None, own_data: str = "", simulated: bool = True,
) -> Mapping[str, float]:
    """Write the bundle: calibration, operating points and the card's figures from validation.

    Study files in; the scores on them come back. `candidates`: weights of the second stage.
    `own_data`, `simulated`: see `Publication`.
    """
    fitted = write_fitted(weights, out, recipe, map(load_examined, validation),
                          candidates=candidates, own_data=own_data, simulated=simulated)
    results = scores(examine_all(map(load_examined, validation), out, LesionSettings()))
    write_bundle(out, weights, replace(fitted, results=results), candidates)
    points = {kind.name: round(value, 3) for kind, value in fitted.points.items()}
    _log.info("operating points: %s", json.dumps(points))
    return results


def write_fitted(
    weights: Path, out: Path, recipe: Mapping[str, Any], validation: Iterable[Examined],
    *, candidates: Path | None = None, own_data: str = "", simulated: bool = True,
) -> Publication:
    """Write a bundle whose calibration and operating points are chosen on `validation`."""
    plain = Publication(recipe, own_data=own_data, simulated=simulated)
    write_bundle(out, weights, plain, candidates)
    listed, bare = [], []
    for subject in validation:
        listed += examine_all([subject], out, listing_all())
        bare += (examine_all([without_qsm(subject)], out, listing_all())
                 if Role.QSM in subject.contrasts else listed[-1:])
    models = calibrations(listed)
    fitted = replace(
        plain, points=operating_points(calibrated(listed, models)), calibration=models,
        calibration_without_qsm=calibrations(bare))
    write_bundle(out, weights, fitted, candidates)
    return fitted


def without_qsm(subject: Examined) -> Examined:
    """The subject as it would be had no QSM been made."""
    kept: dict[Role, Array] = {
        role: image for role, image in subject.contrasts.items() if role is not Role.QSM}
    return replace(subject, contrasts=kept)
