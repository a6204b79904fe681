"""Regions of cortex and white matter that a label map does not tell apart, and small nuclei."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid, Matrix
from apps.phantom.tissue import Tissue
from operators.region_segmenter.territories import add_internal_capsule, fill_territories

Labels = NDArray[np.uint8]

CEREBRAL = (Tissue.GREY, Tissue.WHITE, Tissue.WHITE_LESION)

# Centres and half axes, mm from the AC (MNI, LPS, right side; mirrored for the left), and turn
# about the slice normal. Read off standard atlases by us.
_SMALL_NUCLEI: tuple[tuple[Tissue, tuple[float, float, float], tuple[float, float, float], float],
                     ...] = (
    (Tissue.RED_NUCLEUS, (-5.0, 20.5, -9.0), (3.0, 3.2, 4.0), 0.0),
    (Tissue.SUBSTANTIA_NIGRA, (-10.0, 17.5, -12.5), (2.0, 7.0, 3.5), -40.0),
    (Tissue.DENTATE, (-14.0, 57.0, -36.0), (4.5, 8.5, 4.5), 25.0),
)


def parcellate(
    tissue: Labels, regions: Labels, left: NDArray[np.bool_], grid: Grid
) -> tuple[Labels, Labels]:
    """Fill structure 0 of cerebral grey and white matter; add callosum, capsules, small nuclei.

    `left` tells the hemisphere where structures do not. Returns (tissue, regions).
    """
    tissue = tissue.copy()
    cerebral = (regions == 0) & np.isin(tissue, CEREBRAL)
    regions, to_atlas = fill_territories(
        regions, cerebral, tissue == Tissue.GREY, left, grid.affine)
    add_internal_capsule(regions, tissue == Tissue.WHITE, left, np.array(grid.spacing_mm))
    white = tissue == Tissue.WHITE
    tissue[white & (regions == 23)] = Tissue.CALLOSUM
    tissue[white & np.isin(regions, (9, 10, 11, 12))] = Tissue.CAPSULE
    add_small_nuclei(tissue, regions, grid, to_atlas)
    return tissue, regions


def add_small_nuclei(tissue: Labels, regions: Labels, grid: Grid, to_atlas: Matrix) -> None:
    """Red nucleus, substantia nigra and dentate inside brain stem and cerebellar white matter."""
    hosts = (Tissue.BRAIN_STEM, Tissue.VENTRAL_DIENCEPHALON, Tissue.CEREBELLAR_WHITE,
             Tissue.CEREBELLAR_GREY, Tissue.WHITE)
    index = np.argwhere(np.isin(regions, (26, 27, 28)) & np.isin(tissue, hosts))
    points = (index @ grid.affine[:3, :3].T + grid.affine[:3, 3]) @ to_atlas[:3, :3].T
    points += to_atlas[:3, 3]
    for nucleus, centre, axes, turn_deg in _SMALL_NUCLEI:
        for mirror in (1.0, -1.0):
            offset = points * (mirror, 1.0, 1.0) - centre
            c, s = np.cos(np.deg2rad(turn_deg)), np.sin(np.deg2rad(turn_deg))
            x, y = c * offset[:, 0] - s * offset[:, 1], s * offset[:, 0] + c * offset[:, 1]
            r = (x / axes[0]) ** 2 + (y / axes[1]) ** 2 + (offset[:, 2] / axes[2]) ** 2
            tissue[tuple(index[r < 1].T)] = nucleus
