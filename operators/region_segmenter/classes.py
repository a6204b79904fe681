"""What the two networks tell apart, and what that is of a label map.

The head network sees a whole head coarsely and tells sides; the nuclei network sees the deep grey
matter of one side finely, right ones mirrored, and does not.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]
VENTRICLES, BRAIN_STEM, CALLOSUM = 29, 26, 23
DEEP_WHITE = 24
"""Of the left side; the right one's is one more."""


class HeadClass(IntEnum):
    """Classes of the head network; 1 to 8 are the numbers of `labels.STRUCTURES`."""

    OUTSIDE = 0
    LEFT_CAUDATE = 1
    RIGHT_CAUDATE = 2
    LEFT_PUTAMEN = 3
    RIGHT_PUTAMEN = 4
    LEFT_PALLIDUM = 5
    RIGHT_PALLIDUM = 6
    LEFT_THALAMUS = 7
    RIGHT_THALAMUS = 8
    LEFT_WHITE = 9
    RIGHT_WHITE = 10
    LEFT_CORTEX = 11
    RIGHT_CORTEX = 12
    CALLOSUM = 13
    VENTRICLES = 14
    BRAIN_STEM = 15
    LEFT_CEREBELLUM = 16
    RIGHT_CEREBELLUM = 17
    FLUID = 18


class NucleusClass(IntEnum):
    """Classes of the nuclei network; the caudate nucleus holds the accumbens."""

    OTHER = 0
    CAUDATE = 1
    PUTAMEN = 2
    PALLIDUM = 3
    THALAMUS = 4
    WHITE = 5
    FLUID = 6
    CORTEX = 7


AS_THEY_ARE = {CALLOSUM: HeadClass.CALLOSUM, VENTRICLES: HeadClass.VENTRICLES,
               BRAIN_STEM: HeadClass.BRAIN_STEM, 27: HeadClass.LEFT_CEREBELLUM,
               28: HeadClass.RIGHT_CEREBELLUM}
"""Numbers of `labels.STRUCTURES` that are a class of the head network each."""
_CEREBRAL = (*range(9, 23), 24, 25)


def head_classes(
    regions: Labels, brain: NDArray[np.bool_], cortex: NDArray[np.bool_]
) -> Labels:
    """Of a map of `labels.STRUCTURES`, its brain, and which of its cerebrum is grey."""
    out = np.where(brain, HeadClass.FLUID, HeadClass.OUTSIDE).astype(np.uint8)
    nuclei = (regions >= 1) & (regions <= 8)
    out[nuclei] = regions[nuclei]
    for number, kind in AS_THEY_ARE.items():
        out[regions == number] = kind
    cerebral = np.isin(regions, _CEREBRAL)
    right = (regions % 2 == 0) ^ (regions >= 24)
    out[cerebral & ~cortex] = HeadClass.LEFT_WHITE
    out[cerebral & cortex] = HeadClass.LEFT_CORTEX
    out[cerebral & right] += 1
    return out


def nucleus_classes(
    regions: Labels, cortex: NDArray[np.bool_], white: NDArray[np.bool_],
    fluid: NDArray[np.bool_],
) -> Labels:
    """Of a map of `labels.STRUCTURES` and the tissues of its cerebrum."""
    out = np.zeros(regions.shape, np.uint8)
    out[white], out[fluid], out[cortex] = (
        NucleusClass.WHITE, NucleusClass.FLUID, NucleusClass.CORTEX)
    nuclei = (regions >= 1) & (regions <= 8)
    out[nuclei] = (regions[nuclei] + 1) // 2
    return out
