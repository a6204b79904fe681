"""Split a lesion mask into lesions and measure them. Indices are (slice, row, column)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.labels import LesionClass

Array = NDArray[np.float32]
LESION_CLASSES = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT, LesionClass.CALCIFICATION)
"""Network classes that make a lesion; the vessel channel only competes with them."""
OWN_PART_MM3 = 14.0
"""A sphere of 3 mm; less of another class is the uncertain rim of its neighbour. Own choice."""
_TOUCHING = np.ones((3, 3, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One connected lesion.

    Attributes
    ----------
    voxels : (n, 3) indices, in array order.
    kind : the class with the largest summed probability.
    probability : of `kind`, its log-odds averaged over the voxels.
    diameter_mm : largest distance between two outer faces in one slice.
    centroid : mean index.
    second : what the second stage gives `kind`; None where there is none.
    vessel : what the second stage gives a vessel; None where there is none.
    """

    voxels: NDArray[np.intp]
    kind: LesionClass
    probability: float
    volume_mm3: float
    diameter_mm: float
    centroid: tuple[float, float, float]
    second: float | None = None
    vessel: float | None = None

    @property
    def index(self) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
        """For indexing a volume: `image[component.index]`."""
        return self.voxels[:, 0], self.voxels[:, 1], self.voxels[:, 2]


def components(
    probabilities: Array, brain: NDArray[np.bool_], spacing_mm: Sequence[float],
    *, voxel_probability: float, min_volume_mm3: float, faint_probability: float | None = None,
) -> list[Component]:
    """Lesions of class probabilities (class, slice, row, column), 26-connected, inside the brain.

    Channel 0 is background, then the numbers of `LesionClass`. A voxel belongs to a lesion where
    the lesion classes together reach `voxel_probability`. What hangs together is one lesion, but a
    part of another class of at least `OWN_PART_MM3` is a lesion of its own, as a calcification in
    an iron-laden pallidum is. What only reaches `faint_probability` is a lesion too, as far as it
    reaches half of its largest probability. Components smaller than `min_volume_mm3` are dropped;
    equality keeps them. Order: by class, larger first, then by position.
    """
    from scipy import ndimage

    lesion = probabilities[list(LESION_CLASSES)]
    together = np.where(brain, lesion.sum(axis=0), 0)
    mask = together >= voxel_probability
    if faint_probability is not None:
        mask |= _faint(together, faint_probability, voxel_probability)
    labels, _ = ndimage.label(mask, _TOUCHING)
    voxel_mm3 = float(np.prod(spacing_mm))
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        whole = labels[box] == number
        if whole.sum() * voxel_mm3 < min_volume_mm3 * (1 - 1e-6):
            continue
        classes = np.where(whole, lesion[(slice(None), *box)].argmax(axis=0) + 1, 0)
        corner = [side.start for side in box]
        for part in _parts(whole, classes, voxel_mm3):
            found.append(_measure(np.argwhere(part) + corner, probabilities, spacing_mm))
    return sorted(found, key=lambda one: (one.kind, -one.volume_mm3, one.centroid))


def _faint(together: Array, least: float, most: float) -> NDArray[np.bool_]:
    """What hangs together at `least` but stays below `most`, where it reaches half of its peak."""
    from scipy import ndimage

    low = together >= least
    labels, count = ndimage.label(low, _TOUCHING)
    peaks = np.append(0, ndimage.maximum(together, labels, np.arange(1, count + 1)))[labels]
    return np.asarray(low & (peaks < most) & (together >= peaks / 2))


def _parts(
    whole: NDArray[np.bool_], classes: NDArray[np.intp], voxel_mm3: float
) -> list[NDArray[np.bool_]]:
    """`whole` cut into its parts of one class; parts too small stay with the largest part."""
    from scipy import ndimage

    pieces = []
    for kind in np.unique(classes[whole]):
        labels, count = ndimage.label(classes == kind, _TOUCHING)
        pieces += [labels == number for number in range(1, count + 1)]
    pieces.sort(key=lambda piece: -int(piece.sum()))
    own = [piece for piece in pieces[1:] if piece.sum() * voxel_mm3 >= OWN_PART_MM3]
    rest = whole.copy()
    for piece in own:
        rest &= ~piece
    return [rest, *own]


def _measure(
    voxels: NDArray[np.intp], probabilities: Array, spacing_mm: Sequence[float]
) -> Component:
    values = probabilities[:, voxels[:, 0], voxels[:, 1], voxels[:, 2]]
    kind = max(LESION_CLASSES, key=lambda each: float(values[each].sum()))
    sure = np.clip(values[kind].astype(np.float64), 1e-3, 1 - 1e-6)
    odds = float(np.log(sure / (1 - sure)).mean())
    mean = voxels.mean(axis=0)
    return Component(
        voxels=voxels, kind=kind, probability=1 / (1 + float(np.exp(-odds))),
        volume_mm3=len(voxels) * float(np.prod(spacing_mm)),
        diameter_mm=diameter_mm(voxels, spacing_mm),
        centroid=(float(mean[0]), float(mean[1]), float(mean[2])),
    )


def diameter_mm(voxels: NDArray[np.intp], spacing_mm: Sequence[float]) -> float:
    """Largest distance between the middles of two outer faces of voxels of one slice, in mm.

    One voxel of 1 x 1 mm measures 1 mm, a row of three 3 mm.
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    in_plane = np.asarray(spacing_mm[1:], float)
    faces = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
    largest = 0.0
    for number in np.unique(voxels[:, 0]):
        pixels = voxels[voxels[:, 0] == number, 1:].astype(float)
        points = (pixels[:, None] + faces).reshape(-1, 2) * in_plane
        outline = points[ConvexHull(points).vertices]
        largest = max(largest, float(pdist(outline).max()))
    return largest
