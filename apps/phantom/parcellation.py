"""Regions of cortex and white matter that a label map does not tell apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid
from apps.phantom.tissue import Tissue

Labels = NDArray[np.uint8]


def parcellate(
    tissue: Labels, regions: Labels, left: NDArray[np.bool_], grid: Grid
) -> Labels:
    """Fill structure 0 of cerebral grey and white matter; set capsules and callosum."""
    regions = regions.copy()
    side = np.where(left, 0, 1).astype(np.uint8)
    cerebral = (regions == 0) & np.isin(
        tissue, (Tissue.GREY, Tissue.WHITE, Tissue.WHITE_LESION))
    z = np.arange(grid.shape[0])[:, None, None] + grid.affine[2, 3]
    y = np.arange(grid.shape[1])[None, :, None] + grid.affine[1, 3]
    lobe = np.full(grid.shape, 15, np.uint8)
    lobe[np.broadcast_to((y > 5) & (z > 0), grid.shape)] = 17
    lobe[np.broadcast_to((y > 45), grid.shape)] = 21
    lobe[np.broadcast_to((z < -10) & (y > -25) & (y < 45), grid.shape)] = 19
    regions[cerebral] = (lobe + side)[cerebral]
    _capsules(tissue, regions, side)
    return regions


def _capsules(tissue: Labels, regions: Labels, side: Labels) -> None:
    """Internal capsule: white matter between caudate or thalamus and the lentiform nucleus."""
    from scipy.ndimage import distance_transform_edt

    white = np.isin(tissue, (Tissue.WHITE, Tissue.WHITE_LESION))
    for offset in (0, 1):
        inner = np.isin(regions, (1 + offset, 7 + offset))
        outer = np.isin(regions, (3 + offset, 5 + offset))
        near = (distance_transform_edt(~inner) < 8) & (distance_transform_edt(~outer) < 8)
        regions[near & white & (side == offset)] = 9 + offset
