"""From trained weights to a bundle: calibrated, with operating points, figures and a model card."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.train.card import Publication, write_bundle
from apps.train.evaluate import (
    calibrated,
    calibrations,
    examine_all,
    listing_all,
    operating_points,
    scores,
)
from operators.lesion_segmenter.settings import LesionSettings

_log = logging.getLogger("apps.train")


def publish(
    weights: Path, out: Path, recipe: Mapping[str, Any], validation: Sequence[Path],
    test: Sequence[Path], *, own_data: str = "",
) -> Mapping[str, float]:
    """Write the bundle: calibration and operating points from validation, figures from test.

    Study files in; the scores on `test` come back. `own_data`: see `Publication`.
    """
    write_bundle(out, weights, Publication(recipe, own_data=own_data))
    listed = examine_all(validation, out, listing_all())
    models = calibrations(listed)
    points = operating_points(calibrated(listed, models))
    write_bundle(out, weights, Publication(recipe, points, models, own_data=own_data))
    results = scores(examine_all(test, out, LesionSettings()))
    write_bundle(out, weights, Publication(recipe, points, models, results, own_data))
    _log.info("operating points: %s", json.dumps({k.name: round(v, 3) for k, v in points.items()}))
    return results
