"""Regions of a subject from the atlas, by way of the template: slower, needing no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
from operators.region_segmenter.masks import dice, whole_brain
from operators.region_segmenter.settings import RegionSettings
from operators.region_segmenter.template import bring, register_template
from operators.types import CoregisteredStudy, NotAssessed, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume


def regions_by_template(
    study: CoregisteredStudy, source: Role, settings: RegionSettings, *, why: str
) -> RegionMap | NotAssessed:
    """Regions on the reference grid, the template placed on the contrast `source`.

    The template goes onto the T1w by an affine and a deformation; without T1w, onto T2w or GRE by
    the affine alone, which places lobes well and nuclei roughly (said in `method`, with `why` the
    template was used). NotAssessed if the result overlaps the brain or resembles the T1w too
    little.
    """
    template, image = load_template(), study.contrasts[source]
    deformable = source is Role.T1W
    try:
        transform = register_template(
            image, study.brain, template, spacing_mm=settings.spacing_mm,
            threads=settings.threads, deformable=deformable,
        )
    except RuntimeError as error:
        return NotAssessed(f"The template could not be registered to {source.value} ({error}).")
    brain = bring(load_template_brain(), study.brain, transform, labels=True)
    covered = np.isfinite(image.array)
    overlap = dice(np.asarray(brain.array) > 0, np.asarray(study.brain.array), where=covered)
    if overlap < settings.min_overlap:
        return NotAssessed(_poor("overlap with the brain", overlap, settings.min_overlap))
    if deformable:
        shown = bring(template, study.brain, transform, labels=False)
        likeness = correlation(image, shown, brain)
        if likeness < settings.min_correlation:
            return NotAssessed(_poor("likeness to T1w", likeness, settings.min_correlation))
    return RegionMap(
        labels=bring(load_atlas(), study.brain, transform, labels=True),
        brain=whole_brain(brain, study.brain),
        source=source,
        method=_method(deformable, why),
        quality=overlap,
    )


def correlation(image: Volume, template: Volume, brain: Volume) -> float:
    """Pearson correlation of two images inside a mask, outliers clipped; NaN left out."""
    inside = (brain.array > 0) & np.isfinite(image.array) & (template.array > 0)
    if inside.sum() < 1000:
        return 0.0
    values = image.array[inside]
    values = np.clip(values, *np.percentile(values, (1, 99)))
    return float(np.corrcoef(values, template.array[inside])[0, 1])


def _method(deformable: bool, why: str) -> str:
    kind = "affine and deformation" if deformable else "affine only, nuclei placed roughly"
    return (f"ICBM152 template, {kind}, as {why}; quality: Dice overlap of its brain with the "
            "brain mask")


def _poor(what: str, found: float, wanted: float) -> str:
    return f"The template registration failed: {what} {found:.2f}, wanted {wanted:.2f}."
