"""Heads to simulate: tissue classes and regions at 1 mm, from label maps or the template."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid
from apps.phantom.tissue import BRAIN_FIRST, Tissue
from operators.errors import InputError

if TYPE_CHECKING:
    import nibabel

Labels = NDArray[np.uint8]

VENTRICLES, BRAIN_STEM = 29, 26


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """One head, (slice, row, column) from feet to head, front to back, right to left.

    Attributes
    ----------
    name : of the head; splits into training, validation and test go by it.
    tissue : uint8, numbers of `tissue.Tissue`.
    regions : uint8, numbers of `operators.labels.STRUCTURES`, 0 elsewhere.
    brain : bool, without skull, with ventricles and the sulci a brain mask closes.
    grid : 1 mm, LPS; the origin is the centre of the brain's box.
    """

    name: str
    tissue: Labels
    regions: Labels
    brain: NDArray[np.bool_]
    grid: Grid


# FreeSurfer numbers -> (tissue, structure). Extra-cerebral numbers are those of SAMSEG/charm
# (FreeSurferColorLUT 501-530). Structure 0 of cerebral tissue is filled by `parcellation`.
_FREESURFER: dict[int, tuple[Tissue, int]] = {
    0: (Tissue.AIR, 0),
    2: (Tissue.WHITE, 0), 41: (Tissue.WHITE, 0),
    3: (Tissue.GREY, 0), 42: (Tissue.GREY, 0),
    4: (Tissue.CSF, 29), 43: (Tissue.CSF, 29), 5: (Tissue.CSF, 29), 44: (Tissue.CSF, 29),
    14: (Tissue.CSF, 29), 15: (Tissue.CSF, 29), 72: (Tissue.CSF, 29),
    7: (Tissue.CEREBELLAR_WHITE, 27), 46: (Tissue.CEREBELLAR_WHITE, 28),
    8: (Tissue.CEREBELLAR_GREY, 27), 47: (Tissue.CEREBELLAR_GREY, 28),
    10: (Tissue.THALAMUS, 7), 49: (Tissue.THALAMUS, 8),
    11: (Tissue.CAUDATE, 1), 50: (Tissue.CAUDATE, 2),
    12: (Tissue.PUTAMEN, 3), 51: (Tissue.PUTAMEN, 4),
    13: (Tissue.PALLIDUM, 5), 52: (Tissue.PALLIDUM, 6),
    16: (Tissue.BRAIN_STEM, BRAIN_STEM),
    17: (Tissue.GREY, 19), 53: (Tissue.GREY, 20), 18: (Tissue.GREY, 19), 54: (Tissue.GREY, 20),
    24: (Tissue.CSF, 0),
    25: (Tissue.WHITE_LESION, 0), 57: (Tissue.WHITE_LESION, 0),
    77: (Tissue.WHITE_LESION, 0),
    26: (Tissue.CAUDATE, 1), 58: (Tissue.CAUDATE, 2),
    28: (Tissue.VENTRAL_DIENCEPHALON, BRAIN_STEM), 60: (Tissue.VENTRAL_DIENCEPHALON, BRAIN_STEM),
    30: (Tissue.CSF, 0), 62: (Tissue.CSF, 0), 85: (Tissue.WHITE, 0),
    31: (Tissue.CHOROID, 29), 63: (Tissue.CHOROID, 29),
    136: (Tissue.CHOROID, 29), 163: (Tissue.CHOROID, 29),
    137: (Tissue.CHOROID, 29), 164: (Tissue.CHOROID, 29),
    251: (Tissue.WHITE, 23), 252: (Tissue.WHITE, 23), 253: (Tissue.WHITE, 23),
    254: (Tissue.WHITE, 23), 255: (Tissue.WHITE, 23),
    502: (Tissue.SOFT, 0), 506: (Tissue.EYE, 0), 507: (Tissue.SOFT, 0), 508: (Tissue.SOFT, 0),
    509: (Tissue.MUCOSA, 0), 511: (Tissue.SKIN, 0), 512: (Tissue.BRAIN_STEM, 0),
    514: (Tissue.SINUS_BLOOD, 0), 515: (Tissue.BONE, 0), 516: (Tissue.MARROW, 0),
    530: (Tissue.SOFT, 0),
}
_LEFT_CEREBRUM = (2, 3, 25)


def label_map_anatomy(path: Path) -> Anatomy:
    """Head from a NIfTI label map in FreeSurfer numbers, as SynthSeg's training maps.

    Raises InputError where a label is unknown or the map has no skull (nothing would make the
    background field).
    """
    import nibabel

    stored = nibabel.nifti1.Nifti1Image.from_filename(path)
    image = nibabel.funcs.as_closest_canonical(stored)  # type: ignore[no-untyped-call]
    labels = _one_millimetre(image)
    found = np.unique(labels)
    unknown = [int(v) for v in found if int(v) not in _FREESURFER]
    if unknown:
        raise InputError(
            f"{path.name} holds labels {unknown} that are no FreeSurfer numbers known here. "
            "Relabel them, or add them to apps/phantom/anatomy.py."
        )
    if 515 not in found:
        raise InputError(
            f"{path.name} has no skull (label 515). Use label maps with extra-cerebral classes."
        )
    lookup = np.zeros((2, max(_FREESURFER) + 1), np.uint8)
    for number, (tissue, structure) in _FREESURFER.items():
        lookup[:, number] = tissue, structure
    tissue, regions = lookup[0][labels], lookup[1][labels]
    left = np.isin(labels, _LEFT_CEREBRUM)
    return assemble(path.name.split(".")[0], clean_air(tissue), regions, left)


def template_anatomy() -> Anatomy:
    """Head from the ICBM152 template and the region atlas, needing no data; always the same."""
    from apps.phantom.template import build_template

    return build_template()


def _one_millimetre(image: nibabel.Nifti1Image) -> NDArray[np.int16]:
    """Labels (slice, row, column) in LPS order at 1 mm."""
    from scipy.ndimage import zoom

    array = np.asarray(image.dataobj).astype(np.int16)
    spacing = np.linalg.norm(image.affine[:3, :3], axis=0)
    if not np.allclose(spacing, 1.0, atol=0.01):
        array = zoom(array, spacing, order=0)
    return np.ascontiguousarray(array[::-1, ::-1].transpose(2, 1, 0))


def clean_air(tissue: Labels, *, smallest_mm3: int = 300) -> Labels:
    """Specks of air inside bone become marrow, specks of head outside become air."""
    from scipy import ndimage

    tissue = tissue.copy()
    heads, count = ndimage.label(tissue > 0)
    if count > 1:
        sizes = np.bincount(heads.ravel())
        sizes[0] = 0
        tissue[heads != int(sizes.argmax())] = Tissue.AIR
    holes, _ = ndimage.label(tissue == Tissue.AIR)
    small = np.bincount(holes.ravel()) < smallest_mm3
    small[0] = False
    tissue[small[holes]] = Tissue.MARROW
    return tissue


def assemble(
    name: str, tissue: Labels, regions: Labels, left: NDArray[np.bool_]
) -> Anatomy:
    """Crop to the head, close the brain mask, fill regions of cortex and white matter."""
    from apps.phantom.parcellation import parcellate

    box = _box(tissue > 0, margin=6)
    tissue, regions, left = tissue[box].copy(), regions[box].copy(), left[box]
    brain = brain_mask(tissue, regions)
    corners = _box(brain, margin=0)
    centre = np.array([(s.start + s.stop - 1) / 2 for s in corners])
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    affine[:3, 3] = -affine[:3, :3] @ centre
    grid = Grid(tissue.shape, affine)  # type: ignore[arg-type]
    tissue, regions = parcellate(tissue, regions, left, grid)
    return Anatomy(name, tissue, regions, brain, grid)


def brain_mask(tissue: Labels, regions: Labels) -> NDArray[np.bool_]:
    """Parenchyma and ventricles, closed by 3 mm, holes filled, without the spinal cord."""
    from scipy import ndimage

    solid = (tissue >= BRAIN_FIRST) & (tissue != Tissue.CSF) & (regions > 0)
    solid |= (tissue == Tissue.WHITE) | (tissue == Tissue.GREY) | (regions == VENTRICLES)
    parts, _ = ndimage.label(solid)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    solid = parts == int(sizes.argmax())
    box = _box(solid, margin=6)
    distance = ndimage.distance_transform_edt(~solid[box])
    closed = ndimage.distance_transform_edt(distance <= 3.0) > 3.0
    bony = np.isin(tissue[box], (Tissue.AIR, Tissue.SOFT, Tissue.SKIN, Tissue.BONE, Tissue.MARROW))
    solid[box] = ndimage.binary_fill_holes(solid[box] | (closed & ~bony))
    return np.asarray(solid)


def _box(mask: NDArray[np.bool_], *, margin: int) -> tuple[slice, slice, slice]:
    slices = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        inside = np.nonzero(mask.any(axis=others))[0]
        slices.append(slice(max(0, inside[0] - margin), min(mask.shape[axis],
                                                           inside[-1] + 1 + margin)))
    return slices[0], slices[1], slices[2]
