"""Where lobes and posterior fossa part: heights and planes read off the template at landmarks.

MNI millimetres; |x| is the distance from the midline. Every surface is a table at landmark points,
linear between them and constant beyond. The sulci are met only roughly; `make_atlas` then moves
each border into the nearest dark valley of the template.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.float32]

CENTRAL_SULCUS_X = (8.0, 12.0, 18.0, 26.0, 34.0, 44.0, 56.0, 62.0)
CENTRAL_SULCUS_Y = (-36.0, -34.0, -30.0, -27.0, -23.0, -15.0, -7.0, -3.0)

SYLVIAN_X = (15.0, 25.0, 35.0, 45.0, 60.0)
SYLVIAN_Y = (-70.0, -60.0, -50.0, -40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0)
SYLVIAN_Z = (
    (5, 5, 8, 10, 12), (2, 4, 8, 12, 15), (-1, 3, 8, 18, 22), (2, 6, 9, 22, 24),
    (0, 2, 5, 20, 20), (-10, -8, -5, 15, 15), (-12, -10, -8, 9, 9), (-17, -16, -14, 0, 2),
    (-24, -23, -20, -8, -3), (-30, -29, -25, -15, -6),
)

OCCIPITAL_X = (15.0, 40.0)
OCCIPITAL_Z = (-20.0, -5.0, 5.0, 10.0, 25.0, 42.0, 50.0)
OCCIPITAL_Y = (
    (-52, -64), (-50, -66), (-55, -69), (-60, -70), (-70, -77), (-82, -86), (-88, -90),
)

TENTORIUM_X = (0.0, 10.0, 20.0, 35.0, 52.0)
TENTORIUM_Y = (-100.0, -85.0, -75.0, -65.0, -55.0, -45.0, -35.0, -30.0)
TENTORIUM_Z = (
    (-20, -20, -20, -20, -20), (-17, -18.5, -20, -21, -21), (-8, -12, -15, -19, -21),
    (0, -8, -14, -20, -22.5), (4, -7, -16, -23.5, -29), (0, -10, -19, -27, -32),
    (-4, -10, -19, -30, -36), (-5, -12, -25, -33, -38),
)


def table(
    row_points: Sequence[float],
    column_points: Sequence[float],
    values: Sequence[Sequence[float]],
    rows: Grid,
    columns: Grid,
) -> Grid:
    """`values` at (rows, columns), bilinear between the points and constant beyond them."""
    from scipy.interpolate import RegularGridInterpolator

    surface = RegularGridInterpolator((row_points, column_points), np.asarray(values, np.float32))
    at = np.stack(
        [
            np.clip(rows, row_points[0], row_points[-1]),
            np.clip(columns, column_points[0], column_points[-1]),
        ],
        axis=-1,
    )
    return np.asarray(surface(at), dtype=np.float32)


def sylvian_height(x: Grid, y: Grid) -> Grid:
    """Height z of the roof of the temporal lobe: fissure, then temporal stem, then isthmus."""
    return table(SYLVIAN_Y, SYLVIAN_X, SYLVIAN_Z, y, x)


def occipital_front(x: Grid, z: Grid) -> Grid:
    """Front y of the occipital lobe: parieto-occipital sulcus to preoccipital notch."""
    return table(OCCIPITAL_Z, OCCIPITAL_X, OCCIPITAL_Y, z, x)


def tentorium_height(x: Grid, y: Grid) -> Grid:
    """Height z of the tentorium; the cerebellum lies below."""
    return table(TENTORIUM_Y, TENTORIUM_X, TENTORIUM_Z, y, x)


def central_sulcus(x: Grid) -> Grid:
    """Position y of the central sulcus; the frontal lobe lies before it."""
    return np.interp(x, CENTRAL_SULCUS_X, CENTRAL_SULCUS_Y).astype(np.float32)
