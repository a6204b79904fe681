"""Regions of a subject from the atlas, by way of the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
from operators.region_segmenter.settings import RegionSettings
from operators.region_segmenter.template import bring, register_template
from operators.types import CoregisteredStudy, NotAssessed, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume

SOURCES: tuple[Role, ...] = (Role.T1W, Role.T2W, Role.MAGNITUDE, Role.SWI)
"""Contrasts that can carry the template, the best first; only T1w allows the deformation."""

RIM_MM = 4.0
"""Own choice: how far a gyrus may reach beyond the template's outline."""


def segment_regions(
    study: CoregisteredStudy, settings: RegionSettings
) -> RegionMap | NotAssessed:
    """Label every voxel of the brain with its structure, on the reference grid.

    The template goes onto the T1w by an affine and a deformation; without T1w, onto T2w or GRE by
    the affine alone, which places lobes well and nuclei roughly (said in `method`). NotAssessed
    if no contrast is there, or the result overlaps the brain or resembles the T1w too little.
    """
    source = next((role for role in SOURCES if role in study.contrasts), None)
    if source is None:
        return NotAssessed("The study has no T1w, T2w or GRE image to place the regions on.")
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
    labels = bring(load_atlas(), study.brain, transform, labels=True)
    return RegionMap(
        labels=labels,
        brain=whole_brain(brain, study.brain),
        source=source,
        method=_method(deformable),
        quality=overlap,
    )


def whole_brain(template: Volume, image: Volume) -> Volume:
    """The template's brain, and what the image's own mask adds within `RIM_MM` of it.

    The template's outline is smooth and cuts gyri that reach farther out; lesions lie there too.
    """
    from scipy.ndimage import distance_transform_edt

    inside = np.asarray(template.array) > 0
    near = distance_transform_edt(~inside, sampling=template.spacing) <= RIM_MM
    return template.with_array(inside | (near & np.asarray(image.array)))


def dice(first: NDArray[Any], second: NDArray[Any], *, where: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks, over the voxels in `where`."""
    total = int(first[where].sum()) + int(second[where].sum())
    return 2 * float((first & second & where).sum()) / total if total else 0.0


def correlation(image: Volume, template: Volume, brain: Volume) -> float:
    """Pearson correlation of two images inside a mask, outliers clipped; NaN left out."""
    inside = (brain.array > 0) & np.isfinite(image.array) & (template.array > 0)
    if inside.sum() < 1000:
        return 0.0
    values = image.array[inside]
    values = np.clip(values, *np.percentile(values, (1, 99)))
    return float(np.corrcoef(values, template.array[inside])[0, 1])


def _method(deformable: bool) -> str:
    kind = "affine and deformation" if deformable else "affine only, nuclei placed roughly"
    return f"ICBM152 template, {kind}; quality: Dice overlap of its brain with the brain mask"


def _poor(what: str, found: float, wanted: float) -> str:
    return f"The template registration failed: {what} {found:.2f}, wanted {wanted:.2f}."
