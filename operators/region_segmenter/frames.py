"""Where the networks look: grids of cubes in the patient and in the atlas, and a head's pose.

A grid here is a shape (slice, row, column) and an affine (4, 4) from those indices to LPS mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from operators.region_segmenter.classes import HeadClass

Matrix = NDArray[np.float64]
Shape = tuple[int, int, int]

HEAD_MM = 3.0
NUCLEI_MM = 1.25
NUCLEI_SHAPE: Shape = (48, 80, 48)
NUCLEI_CENTRE_LPS_MM = (20.0, 4.5, 7.0)
"""In the atlas, of the left side: 60 x 100 x 60 mm that hold caudate, lentiform and thalamus, 10
mm beyond the midline and 10 mm and more around them."""
_AXES = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
ATLAS_CENTRES_LPS_MM: Mapping[int, tuple[float, float, float]] = {
    HeadClass.LEFT_CAUDATE: (13.0, -11.6, 6.9), HeadClass.RIGHT_CAUDATE: (-13.0, -11.6, 6.9),
    HeadClass.LEFT_PUTAMEN: (25.9, -2.3, 0.3), HeadClass.RIGHT_PUTAMEN: (-25.9, -2.3, 0.3),
    HeadClass.LEFT_PALLIDUM: (19.8, 2.5, -1.5), HeadClass.RIGHT_PALLIDUM: (-19.8, 2.5, -1.5),
    HeadClass.LEFT_THALAMUS: (12.1, 19.1, 6.8), HeadClass.RIGHT_THALAMUS: (-12.1, 19.1, 6.8),
    HeadClass.CALLOSUM: (0.0, 6.2, 18.8),
}
"""Centres of mass in the atlas; they tell how a head lies."""
LEAST_COSINE = 0.5
"""Of every axis of a head with the patient's: 60 degrees. A head turned farther has its sides, or
its top and bottom, taken for each other (our choice)."""
MOST_REST_MM = 15.0
"""Root mean square distance of a head's centres from the atlas's: far above that of any head seen
(our choice)."""


def grid_affine(spacing_mm: float, shape: Shape, centre_lps_mm: Sequence[float]) -> Matrix:
    """Cubes along the patient's axes: slices to the head, rows to the back, columns to the left."""
    affine = np.eye(4)
    affine[:3, :3] = _AXES * spacing_mm
    affine[:3, 3] = np.asarray(centre_lps_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def nuclei_affine(*, right: bool) -> Matrix:
    """The nuclei network's grid in the atlas; of the right side its columns run to the right."""
    affine = grid_affine(NUCLEI_MM, NUCLEI_SHAPE, NUCLEI_CENTRE_LPS_MM)
    return np.diag([-1.0, 1.0, 1.0, 1.0]) @ affine if right else affine


def centres(labels: NDArray[np.uint8], affine: Matrix) -> dict[int, NDArray[np.float64]]:
    """Centre of mass of every class that is there, LPS mm."""
    flat = labels.ravel()
    size = np.bincount(flat)
    index = np.stack([
        np.bincount(flat, np.broadcast_to(
            np.arange(n).reshape([-1 if a == axis else 1 for a in range(3)]),
            labels.shape).ravel())
        for axis, n in enumerate(labels.shape)], axis=1)
    there = np.flatnonzero(size)
    points = index[there] / size[there, None] @ affine[:3, :3].T + affine[:3, 3]
    return dict(zip(there.tolist(), points, strict=True))


def pose(found: Mapping[int, NDArray[np.float64]]) -> tuple[Matrix, float]:
    """Turn and shift from the head to the atlas by least squares over the centres of both.

    (4, 4), LPS mm, and the root mean square distance that is left, mm (Kabsch, Acta Cryst 1976;
    A32:922). ValueError below six centres.
    """
    shared = [kind for kind in ATLAS_CENTRES_LPS_MM if kind in found]
    if len(shared) < 6:
        raise ValueError(f"{len(shared)} structures were found, six are needed to place a head")
    here = np.array([found[kind] for kind in shared])
    there = np.array([ATLAS_CENTRES_LPS_MM[kind] for kind in shared])
    left, _, right = np.linalg.svd((here - here.mean(0)).T @ (there - there.mean(0)))
    flip = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    matrix = np.eye(4)
    matrix[:3, :3] = (left @ flip @ right).T
    matrix[:3, 3] = there.mean(0) - matrix[:3, :3] @ here.mean(0)
    rest = here @ matrix[:3, :3].T + matrix[:3, 3] - there
    return matrix, float(np.sqrt((rest**2).sum(axis=1).mean()))
