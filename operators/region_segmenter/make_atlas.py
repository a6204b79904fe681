"""Make the label map of the atlas from the template that nilearn carries.

    python -m operators.region_segmenter.make_atlas

Deterministic: the same template gives the same bytes. The right half is made and mirrored (the
template is symmetric). Outlines (`contours`) become signed distances, linear between slices; a
random walker on the T1 template settles the borders of the nuclei (Grady, IEEE TPAMI 2006;28:1768)
and a watershed those of the lobes and the tentorium.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.labels import Side, structure
from operators.region_segmenter import contours as drawn
from operators.region_segmenter import landmarks
from operators.region_segmenter.atlas import ATLAS_FILE, template_arrays

Mask = NDArray[np.bool_]
Field = NDArray[np.float32]
Labels = NDArray[np.uint8]

ORIGIN_MM = (0, -134, -72)
"""MNI position of the first voxel of the right half, midline included."""
TISSUE_T1 = 0.5
"""Template T1 between CSF and grey matter; own choice, half of white matter."""
FAR_MM = 99.0
JUXTACORTICAL_MM = 4.0
"""White matter this near the cortex belongs to its lobe (Kim et al., Biol Psychiatry
2008;64:273)."""
PERIVENTRICULAR_MM = 10.0
"""White matter this near a ventricle is periventricular (DeCarli et al., Stroke 2005;36:50)."""
NUCLEI = {
    "caudate nucleus": drawn.CAUDATE,
    "putamen": drawn.PUTAMEN,
    "pallidum": drawn.PALLIDUM,
    "thalamus": drawn.THALAMUS,
}
LOBES = ("frontal lobe", "parietal lobe", "temporal lobe", "occipital lobe", "cerebellum")
DEEP = "deep and periventricular white matter"
MIDLINE = ("corpus callosum", "brain stem", "ventricles")


def number(name: str) -> int:
    """Number of a structure on the right, or on the midline where it has no side."""
    return structure(name, Side.MIDLINE if name in MIDLINE else Side.RIGHT).number


def outline_distance(outline: drawn.Outline, first: Field, second: Field) -> Field:
    """Signed distance (mm, negative inside) of the plane's grid to a closed outline."""
    from skimage.measure import points_in_poly

    corners = np.asarray(outline, dtype=np.float32)
    points = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)
    nearest = np.full(len(points), FAR_MM, dtype=np.float32)
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        edge = end - start
        along = np.clip((points - start) @ edge / (edge @ edge), 0, 1)
        gap = np.linalg.norm(points - start - along[:, None] * edge, axis=1)
        nearest = np.minimum(nearest, gap)
    sign = np.where(points_in_poly(points, corners), -1, 1)
    return np.asarray((sign * nearest).reshape(len(first), len(second)), dtype=np.float32)


def stack_distance(stack: drawn.Stack, shape: tuple[int, ...], *, axis: int) -> Field:
    """Signed distance (mm) to outlines on slices across `axis`; FAR_MM beyond the end slices."""
    centres = [ORIGIN_MM[k] + np.arange(shape[k], dtype=np.float32) for k in range(3)]
    plane = [k for k in range(3) if k != axis]
    positions = sorted(stack)
    drawn_slices = np.stack(
        [outline_distance(stack[p], centres[plane[0]], centres[plane[1]]) for p in positions]
    )
    result = np.full(shape, FAR_MM, dtype=np.float32)
    view = np.moveaxis(result, axis, 0)
    for index, at in enumerate(centres[axis]):
        if positions[0] <= at <= positions[-1]:
            upper = min(int(np.searchsorted(positions, at)), len(positions) - 1)
            lower = max(upper - 1, 0)
            span = positions[upper] - positions[lower]
            share = (at - positions[lower]) / span if span else 0.0
            view[index] = (1 - share) * drawn_slices[lower] + share * drawn_slices[upper]
    return result


def nuclei(t1: Field, *, sure_mm: float = 1.3) -> Labels:
    """Caudate, putamen, pallidum, thalamus: outlines settled on the T1 by a random walker.

    Voxels deeper than `sure_mm` inside an outline are seeds, those farther outside are background;
    beta 1500 as tried on this template (own choice).
    """
    from skimage.segmentation import random_walker

    numbers = np.array([number(name) for name in NUCLEI] + [0], dtype=np.uint8)
    background = len(numbers)
    distances = {
        key: stack_distance(stack, t1.shape, axis=2)
        for key, stack in enumerate(NUCLEI.values(), start=1)
    }
    nearest = np.min(list(distances.values()), axis=0)
    seeds = np.where((nearest > sure_mm) | (t1 < TISSUE_T1), background, 0)
    for key, distance in distances.items():
        others = np.min([d for k, d in distances.items() if k != key], axis=0)
        seeds[(distance < -sure_mm) & (others > sure_mm)] = key
        seeds[(distance < -0.5) & (distance == nearest) & (others > 2 * sure_mm)] = key
    box = (slice(0, 44), slice(90, 165), slice(55, 102))
    walked = random_walker(t1[box], seeds[box], beta=1500, mode="cg_j", tol=1e-4)
    result = np.zeros(t1.shape, dtype=np.uint8)
    result[box] = numbers[walked - 1]
    return result


def lobes(t1: Field, brain: Mask, *, sure_mm: float = 4.0) -> Labels:
    """Lobes and cerebellum over the whole brain mask.

    Landmark surfaces first; then a watershed on the inverted T1, from seeds at least `sure_mm`
    away from any surface, carries each border into the sulcus or the tentorium.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter
    from skimage.segmentation import watershed

    x, y, z = (g.astype(np.float32) for g in np.indices(t1.shape))
    x, y, z = x + ORIGIN_MM[0], y + ORIGIN_MM[1], z + ORIGIN_MM[2]
    frontal, parietal, temporal, occipital, cerebellum = (number(n) for n in LOBES)
    rough = np.where(y > landmarks.central_sulcus(x), frontal, parietal).astype(np.uint8)
    rough[z < landmarks.sylvian_height(x, y)] = temporal
    rough[(z < -22) & (x > 18) & (y < 24)] = temporal
    rough[(z > landmarks.sylvian_height(x, y)) & (y > 20)] = frontal
    rough[y > 26] = frontal
    rough[y < landmarks.occipital_front(x, z)] = occipital
    rough[(z < landmarks.tentorium_height(x, y)) & (y < -28)] = cerebellum
    markers = np.zeros(t1.shape, dtype=np.int32)
    for key in np.unique(rough):
        markers[(distance_transform_edt(rough == key) > sure_mm)] = key
    relief = -gaussian_filter(t1, 0.7)
    return np.asarray(watershed(relief, markers, mask=brain), dtype=np.uint8)


def external_capsule(t1: Field, insula: Mask) -> Mask:
    """Up to 6 mm lateral of the putamen, up to the insula; claustrum and extreme capsule too."""
    distance = stack_distance(drawn.PUTAMEN, t1.shape, axis=2)
    lateral = np.gradient(distance, axis=0) > 0.3
    y = ORIGIN_MM[1] + np.arange(t1.shape[1])[None, :, None]
    inside = (distance > 0) & (distance < 6) & lateral & (np.abs(y) < 21)
    return np.asarray(inside & ~insula & (t1 > TISSUE_T1), dtype=bool)


def ventricles(t1: Field) -> Mask:
    """CSF of the template inside the outlines drawn around the ventricles."""
    hulls = (drawn.VENTRICLE_HULL, drawn.ATRIUM_HULL, drawn.FOURTH_VENTRICLE_HULL)
    inside = np.min([stack_distance(hull, t1.shape, axis=2) for hull in hulls], axis=0) < 0.5
    return np.asarray(inside & (t1 < 0.6), dtype=bool)


def deep_white_matter(white: Field, grey: Field, labels: Labels, csf: Mask) -> Mask:
    """White matter of the lobes, periventricular or deeper than the juxtacortical layer.

    The walls of the ventricles (3 mm) and what lies between the nuclei count as deep too.
    """
    from scipy.ndimage import distance_transform_edt

    lobar = np.isin(labels, [number(n) for n in LOBES[:4]])
    cortex = (lobar | (labels == number("insula"))) & (grey > 0.5)
    to_ventricle = distance_transform_edt(~csf)
    deep = distance_transform_edt(~cortex) > JUXTACORTICAL_MM
    temporal = labels == number("temporal lobe")
    core = np.zeros(labels.shape, dtype=bool)
    core[:31, 101:142, 69:95] = True  # x below 31, y -33 to 7, z -3 to 22 mm
    wall = ((to_ventricle <= 3) & ~temporal) | core
    core_white = (white > 0.5) & ((to_ventricle <= PERIVENTRICULAR_MM) | deep)
    found: NDArray[np.bool_] = lobar & (largest(core_white, opening_mm=2) | wall)
    return found


def largest(mask: Mask, *, opening_mm: int = 0) -> Mask:
    """The largest connected part, after thin bridges and spurs are opened away."""
    from scipy.ndimage import binary_opening, label

    if opening_mm:
        mask = binary_opening(mask, iterations=opening_mm)
    parts, _ = label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == sizes.argmax(), dtype=bool)


def absorb_islands(labels: Labels) -> Labels:
    """Give every part of a lobe cut off from its main body to the nearest other structure."""
    from scipy.ndimage import distance_transform_edt

    islands = np.zeros(labels.shape, dtype=bool)
    for key in map(number, LOBES):
        islands |= (labels == key) & ~largest(labels == key)
    trusted = (labels > 0) & ~islands
    nearest = distance_transform_edt(~trusted, return_distances=False, return_indices=True)
    return np.where(islands, labels[tuple(nearest)], labels)


def right_half(t1: Field, grey: Field, white: Field, brain: Mask) -> Labels:
    """Labels of the right half and the midline; later lines win over earlier ones."""
    from scipy.ndimage import distance_transform_edt

    def inside(stack: drawn.Stack, axis: int = 2) -> Mask:
        return stack_distance(stack, t1.shape, axis=axis) < 0

    tissue = t1 > TISSUE_T1
    csf = ventricles(t1)
    insula = inside(drawn.INSULA)
    labels = lobes(t1, brain)
    labels[(distance_transform_edt(~tissue) > 3) | ~brain] = 0
    labels[insula & brain] = number("insula")
    labels[deep_white_matter(white, grey, labels, csf)] = number(DEEP)
    labels[inside(drawn.VENTRAL_DIENCEPHALON) & tissue] = number(DEEP)
    labels[inside(drawn.BRAIN_STEM) & tissue] = number("brain stem")
    labels[inside(drawn.CORPUS_CALLOSUM, axis=0) & (white > 0.5)] = number("corpus callosum")
    labels[csf] = number("ventricles")
    labels[external_capsule(t1, insula)] = number("external capsule")
    labels[inside(drawn.INTERNAL_CAPSULE) & tissue & ~csf] = number("internal capsule")
    grey_nuclei = nuclei(t1)
    labels[grey_nuclei > 0] = grey_nuclei[grey_nuclei > 0]
    return absorb_islands(labels)


def mirrored(right: Labels) -> Labels:
    """The whole brain from its right half: left numbers are one below right ones."""
    left = right[1:][::-1].copy()
    sided = ~np.isin(left, [0, *(number(name) for name in MIDLINE)])
    left[sided] -= 1
    return np.concatenate([left, right])


def make_labels() -> Labels:
    """The label map, uint8 (197, 233, 189), on the template's grid (x to the right, RAS)."""
    t1, grey, white, brain = template_arrays()
    middle = t1.shape[0] // 2
    half = slice(middle, None)
    return mirrored(right_half(t1[half], grey[half], white[half], brain[half]))


def main() -> None:
    """Write the atlas beside this module; gzip without a time stamp."""
    import gzip

    import nibabel as nib

    affine = np.eye(4)
    affine[:3, 3] = (-98, *ORIGIN_MM[1:])
    image = nib.nifti1.Nifti1Image(make_labels(), affine)
    image.header.set_xyzt_units("mm")
    ATLAS_FILE.write_bytes(gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))
    print(f"{ATLAS_FILE.name}: {ATLAS_FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
