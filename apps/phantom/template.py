"""A head around the ICBM152 template: no data needed beyond what a dependency carries.

The template ends at the brain; skull, scalp, face, air spaces and neck are our own simple solids
around it, there for their background field and for skull-stripping, not for looks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.anatomy import Anatomy, assemble
from apps.phantom.tissue import Tissue

Labels = NDArray[np.uint8]

_PAD = ((60, 30), (30, 30), (22, 22))
_NUCLEI = {
    1: Tissue.CAUDATE, 2: Tissue.CAUDATE, 3: Tissue.PUTAMEN, 4: Tissue.PUTAMEN,
    5: Tissue.PALLIDUM, 6: Tissue.PALLIDUM, 7: Tissue.THALAMUS, 8: Tissue.THALAMUS,
    26: Tissue.BRAIN_STEM, 29: Tissue.CSF,
}


class _Solid(NamedTuple):
    """Ellipsoid in MNI space, LPS mm; `mirrored`: also on the other side."""

    tissue: Tissue
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    mirrored: bool = False


_FACE = (
    _Solid(Tissue.SOFT, (0, -45, -75), (62, 55, 60)),
    _Solid(Tissue.SOFT, (0, 25, -110), (52, 55, 75)),
    _Solid(Tissue.EYE, (32, -62, -38), (12, 12, 12), mirrored=True),
)
_AIR = (
    _Solid(Tissue.AIR, (0, -72, -62), (9, 24, 18)),
    _Solid(Tissue.AIR, (0, -40, -85), (10, 26, 9)),
    _Solid(Tissue.AIR, (0, -14, -88), (9, 8, 30)),
    _Solid(Tissue.AIR, (0, -22, -36), (12, 10, 8)),
    _Solid(Tissue.AIR, (0, -50, -38), (9, 20, 9)),
    _Solid(Tissue.AIR, (9, -83, -8), (9, 5, 11), mirrored=True),
    _Solid(Tissue.AIR, (29, -55, -62), (11, 15, 14), mirrored=True),
    _Solid(Tissue.AIR, (58, 28, -42), (6, 8, 8), mirrored=True),
    _Solid(Tissue.AIR, (66, 16, -38), (14, 3, 3), mirrored=True),
)
_LAYERS_MM = (
    (2.0, Tissue.CSF), (3.5, Tissue.BONE), (6.5, Tissue.MARROW), (8.0, Tissue.BONE),
    (12.0, Tissue.SOFT), (14.0, Tissue.SKIN),
)


def build_template() -> Anatomy:
    """See `anatomy.template_anatomy`."""
    from operators.region_segmenter.atlas import load_atlas, mni_volume, template_arrays

    atlas = load_atlas()
    _, grey, white, brain = (
        np.pad(np.asarray(mni_volume(a).array), _PAD) for a in template_arrays())
    regions = np.pad(np.asarray(atlas.array, np.uint8), _PAD)
    origin = np.asarray(atlas.affine)[:3, 3] - np.array([_PAD[2][0], _PAD[1][0], _PAD[0][0]])
    z, y, x = np.ogrid[tuple(slice(0, n) for n in brain.shape)]
    place = (x + origin[0], y + origin[1], z + origin[2])
    tissue = _brain_tissue(grey, white, brain, regions)
    head = _wrap(brain, place)
    tissue = np.where(brain, tissue, head)
    _add_choroid(tissue, regions)
    left = np.broadcast_to(place[0] > 0, brain.shape)
    kept = np.where(np.isin(regions, (*range(1, 9), *range(26, 30))), regions, 0)
    return assemble("icbm152", tissue, kept.astype(np.uint8), left)


def _brain_tissue(grey: NDArray, white: NDArray, brain: NDArray, regions: Labels) -> Labels:
    tissue = np.where(grey > white, Tissue.GREY, Tissue.WHITE).astype(np.uint8)
    cerebellum = np.isin(regions, (27, 28))
    tissue[cerebellum] = np.where(
        grey > white, Tissue.CEREBELLAR_GREY, Tissue.CEREBELLAR_WHITE)[cerebellum]
    tissue[brain & (grey + white < 0.5)] = Tissue.CSF
    for number, kind in _NUCLEI.items():
        tissue[regions == number] = kind
    return tissue


def _wrap(brain: NDArray[np.bool_], place: tuple[NDArray, NDArray, NDArray]) -> Labels:
    """CSF, skull and scalp in layers around a smoothed brain, face, air spaces, venous sinus."""
    from scipy.ndimage import binary_erosion

    outside, distance = _distances(brain)
    head = np.zeros(brain.shape, np.uint8)
    for solid in _FACE:
        head[_inside(solid, place)] = solid.tissue
    for limit, tissue in reversed(_LAYERS_MM):
        head[(distance <= limit) & ((head == 0) | (limit <= 8.0))] = tissue
    deep = binary_erosion(head > 0, iterations=2)
    head[~deep & (head == Tissue.SOFT)] = Tissue.SKIN
    for solid in _AIR:
        head[_inside(solid, place) & (distance > 4.0)] = solid.tissue
    midline = (np.abs(place[0]) <= 3) & ((place[2] > 10) | (place[1] > 60)) & (place[2] > -20)
    head[midline & (outside >= 1) & (distance <= 4.0) & (outside <= 7)] = Tissue.SINUS_BLOOD
    return head


def _distances(brain: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Millimetres from the brain, and from the brain closed by 12 mm; made at 2 mm."""
    from scipy.ndimage import distance_transform_edt, zoom

    outside = distance_transform_edt(~brain[::2, ::2, ::2], sampling=2.0)
    within = distance_transform_edt(outside <= 12, sampling=2.0)
    closed = distance_transform_edt(within < 12, sampling=2.0)
    ratio = np.array(brain.shape) / np.array(outside.shape)
    fine = [zoom(d.astype(np.float32), ratio, order=1, mode="nearest", grid_mode=True)
            for d in (outside, closed)]
    return fine[0], fine[1]


def _inside(solid: _Solid, place: tuple[NDArray, NDArray, NDArray]) -> NDArray[np.bool_]:
    inside = _ellipsoid(solid, place, 1.0)
    return inside | _ellipsoid(solid, place, -1.0) if solid.mirrored else inside


def _ellipsoid(
    solid: _Solid, place: tuple[NDArray, NDArray, NDArray], mirror: float
) -> NDArray[np.bool_]:
    terms = [
        ((axis - centre * (mirror if i == 0 else 1.0)) / half) ** 2
        for i, (axis, centre, half) in enumerate(zip(place, solid.centre, solid.axes, strict=True))
    ]
    return np.asarray(terms[0] + terms[1] + terms[2] <= 1.0)


def _add_choroid(tissue: Labels, regions: Labels) -> None:
    """Choroid plexus as clumps in the ventricles, off the wall."""
    from scipy.ndimage import binary_erosion, gaussian_filter

    ventricle = regions == 29
    noise = gaussian_filter(np.random.default_rng(0).standard_normal(tissue.shape), 1.5)
    deep = binary_erosion(ventricle)
    tissue[deep & (noise > noise.std())] = Tissue.CHOROID
