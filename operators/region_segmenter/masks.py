"""Brains as masks: how well two agree, and the one inside which lesions are sought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

RIM_MM = 4.0
"""Own choice: how far a gyrus may reach beyond the outline that the regions or the mask give."""


def whole_brain(outline: Volume, image: Volume) -> Volume:
    """The brain of the regions, and what the image's own mask adds within `RIM_MM` of it.

    The regions' outline is smooth and cuts gyri that reach farther out; lesions lie there too.
    """
    from scipy.ndimage import distance_transform_edt, find_objects

    inside = np.asarray(outline.array) > 0
    for box in find_objects(inside.astype(np.uint8)):
        margin = [int(RIM_MM / step) + 1 for step in outline.spacing]
        wide = tuple(slice(max(0, s.start - m), s.stop + m)
                     for s, m in zip(box, margin, strict=True))
        near = distance_transform_edt(~inside[wide], sampling=outline.spacing) <= RIM_MM
        inside[wide] |= near & np.asarray(image.array)[wide]
    return outline.with_array(inside)


def dice(first: NDArray[Any], second: NDArray[Any], *, where: NDArray[np.bool_]) -> float:
    """Dice overlap of two masks, over the voxels in `where`."""
    one, two = first & where, second & where
    total = np.count_nonzero(one) + np.count_nonzero(two)
    return 2 * float(np.count_nonzero(one & two)) / total if total else 0.0
