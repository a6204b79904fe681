"""Saliency as DICOM Parametric Maps: one object per answer of the LNC model, cut to where it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_writer.coding import concept
from operators.dicom_writer.imprint import SOFTWARE, Imprint
from operators.dicom_writer.segmentation import source_headers, with_geometry
from operators.labels import NO_UNIT, SALIENCY

if TYPE_CHECKING:
    from highdicom import Volume
    from highdicom.pm import ParametricMap

    from operators.types import LncEstimates, Series

_FIRST = 30


def saliency_objects(
    estimates: LncEstimates, source: Series, imprint: Imprint
) -> dict[str, ParametricMap]:
    """File name -> object; none for an answer that nothing raises.

    `source` is the series whose grid is the reference grid.
    """
    return {
        f"SALIENCY_{place + 1}_{re.sub('[^A-Za-z0-9]+', '-', name)}": _object(
            name, volume, source, imprint, _FIRST + place)
        for place, (name, volume) in enumerate(estimates.saliency.items())
        if np.asarray(volume.array).any()
    }


def _object(
    name: str, volume: Volume, source: Series, imprint: Imprint, offset: int
) -> ParametricMap:
    from highdicom import VOILUTTransformation
    from highdicom.pm import DerivedPixelContrastValues, ParametricMap, RealWorldValueMapping

    images = imprint.sources(source_headers(source))
    title = f"{SOFTWARE} saliency of {name} (research)"[:64]
    made = ParametricMap(
        source_images=[with_geometry(image, volume) for image in images],
        pixel_array=_cut(volume),
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[RealWorldValueMapping(
            lut_label="SALIENCY", lut_explanation="Grad-CAM, 1 is the largest",
            unit=concept(NO_UNIT), value_range=(0.0, 1.0), slope=1.0, intercept=0.0,
            quantity_definition=concept(SALIENCY))],
        voi_lut_transformations=[VOILUTTransformation(window_center=0.5, window_width=1.0)],
        derived_pixel_contrast=DerivedPixelContrastValues.NONE,
        content_label="SALIENCY", content_description=title,
        content_creator_name=f"{SOFTWARE}^", contributing_equipment=imprint.equipment(),
        **imprint.keywords(f"saliency {name}", offset, title),
    )
    made.CodingSchemeIdentificationSequence = list(imprint.coding_schemes())
    imprint.finish(made)
    return made


def _cut(volume: Volume) -> Volume:
    """The box of what is above 0, float32."""
    array = np.asarray(volume.array, np.float32)
    where = np.argwhere(array > 0)
    low, high = where.min(axis=0).tolist(), (where.max(axis=0) + 1).tolist()
    first, second, third = (slice(a, b) for a, b in zip(low, high, strict=True))
    return volume.with_array(array)[first, second, third]  # type: ignore[index]
