"""The template onto a subject: affine by mutual information, then a smooth deformation."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

Matrix = NDArray[np.float64]
_RAS_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

_MASK_RIM_MM = 4.0
"""Own choice: how far gyri may reach beyond the template's outline after the affine."""
AFFINE = "-a -dof 12 -m NMI -n 60x40x0"
"""Greedy's options: 12 degrees of freedom, normalised mutual information, coarse to fine."""
DEFORMABLE = "-m WNCC 2x2x2 -n 60x40x10 -s 2.0vox 0.5vox"
"""Local correlation over 5 x 5 x 5 voxels; smoothing of update and field in voxels."""


def register_template(
    subject: Volume, brain: Volume, template: Volume, *, spacing_mm: float, threads: int,
    deformable: bool,
) -> Any:
    """The SimpleITK transform from subject to template points (LPS mm).

    `subject` is any contrast, `brain` bool on its grid, `template` brain only. The order of
    sums over threads changes from run to run, and with it the result by fractions of a voxel. The
    deformation compares intensities: leave it off for a contrast other than the template's.
    """
    import SimpleITK as sitk
    from picsl_greedy import Greedy3D

    stripped = np.nan_to_num(subject.array.astype(np.float32)) * np.asarray(brain.array)
    images = {
        "fixed": _isotropic(subject.with_array(stripped.astype(np.float32)), spacing_mm),
        "moving": _isotropic(template, spacing_mm),
    }
    greedy = Greedy3D()
    common = f"-i fixed moving -threads {threads} -V 0"
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start.mat"
        np.savetxt(start, _centres_together(images["fixed"], images["moving"]))
        with _no_output():
            greedy.execute(f"{common} {AFFINE} -ia {start} -o affine", **images, affine=None)
    affine = _affine(np.asarray(greedy["affine"]))
    if not deformable:
        return affine
    near = sitk.Resample(_around(images["moving"], spacing_mm), images["fixed"], affine)
    with _no_output():
        greedy.execute(f"{common} {DEFORMABLE} -it affine -o warp", fixed=images["fixed"] * near,
                       warp=None)
    warp = sitk.DisplacementFieldTransform(sitk.Cast(greedy["warp"], sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([affine, warp])


def bring(volume: Volume, grid: Volume, transform: Any, *, labels: bool) -> Volume:
    """`volume` of template space on `grid` of the subject; nearest neighbour for labels."""
    import SimpleITK as sitk

    kind, interpolator = (
        (np.uint8, sitk.sitkNearestNeighbor) if labels else (np.float32, sitk.sitkLinear)
    )
    image = volume.with_array(volume.array.astype(kind)).to_simpleitk()
    target = grid.with_array(np.zeros(grid.spatial_shape, np.uint8)).to_simpleitk()
    moved = sitk.Resample(image, target, transform, interpolator, 0)
    return grid.with_array(type(grid).from_simpleitk(moved).array)


@contextmanager
def _no_output() -> Iterator[None]:
    """Greedy prints from C++ whatever its verbosity; what it says stays out of our output."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def _isotropic(volume: Volume, spacing_mm: float) -> Any:
    """The volume as a SimpleITK image with cubic voxels."""
    import SimpleITK as sitk

    image = volume.with_array(volume.array.astype(np.float32)).to_simpleitk()
    extent = np.multiply(image.GetSpacing(), image.GetSize())
    size = [int(n) for n in np.ceil(extent / spacing_mm)]
    return sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [spacing_mm] * 3,
        image.GetDirection(), 0.0,
    )


def _around(template: Any, spacing_mm: float) -> Any:
    """1 in the template's brain and `_MASK_RIM_MM` around: what a mask has beyond is no brain."""
    import SimpleITK as sitk

    margin = [round(_MASK_RIM_MM / spacing_mm)] * 3
    return sitk.Cast(sitk.BinaryDilate(template > 0, margin), sitk.sitkFloat32)


def _centres_together(fixed: Any, moving: Any) -> Matrix:
    """Greedy's start (RAS mm, fixed to moving): centre of one brain onto the other's."""
    matrix = np.eye(4)
    matrix[:3, 3] = (_RAS_LPS[:3, :3] @ (_centre(moving) - _centre(fixed)))
    return matrix


def _centre(image: Any) -> Matrix:
    import SimpleITK as sitk

    index = np.argwhere(sitk.GetArrayViewFromImage(image) > 0).mean(axis=0)[::-1]
    return np.asarray(image.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _affine(matrix_ras: Matrix) -> Any:
    import SimpleITK as sitk

    lps = _RAS_LPS @ matrix_ras @ _RAS_LPS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform
