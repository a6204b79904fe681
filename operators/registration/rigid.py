"""Rigid registration of one image to another: SimpleITK, behind one function.

Mutual information of Mattes et al., IEEE Trans Med Imaging 2003;22:120, on a pyramid from 8 to
2 mm, regular-step gradient descent. Points of the fixed image inside its brain are compared; the
sampling is regular and the number of threads fixed, so that the same input gives the same matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from highdicom import Volume

Matrix = NDArray[np.float64]

# Own choices, set on simulated heads. Points are jittered within their voxel (fixed seed) and a
# coarse moving image is brought to the level's voxels by splines: both keep mutual information
# free of the false maxima of aligned grids.
_BINS = 32
_ITERATIONS = 200
_RELAXATION = 0.9
_SEED = 7
_THREADS = 2


class Resolution(NamedTuple):
    """One level of the pyramid; `share` of the fixed voxels is compared."""

    spacing_mm: float
    first_step_mm: float
    last_step_mm: float
    share: float


_PYRAMID = (
    Resolution(8.0, 4.0, 0.2, 1.0),
    Resolution(4.0, 1.0, 0.05, 0.5),
    Resolution(2.0, 0.25, 0.01, 0.25),
)


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Both images at one resolution, as SimpleITK images (LPS mm), and the fixed mask."""

    fixed: Any
    mask: Any
    moving: Any


def align(
    fixed: Volume, moving: Volume, *, brain: Volume, starts: Sequence[Matrix]
) -> Matrix:
    """The rigid matrix (4, 4) that maps fixed points to moving points, LPS mm.

    `fixed` and `moving` are three-dimensional images of any contrast, `brain` is bool on the grid
    of `fixed`. Of `starts`, that with the highest mutual information at 8 mm begins. Raises
    RuntimeError (of SimpleITK) where no fixed brain point lies in the moving field of view.
    """
    centre = _centre(brain)
    first, *finer = [(_level(fixed, moving, brain, r.spacing_mm), r) for r in _PYRAMID]
    coarse = [_optimised(*first, _euler(start, centre)) for start in starts]
    _, pose = min(coarse, key=lambda pair: pair[0])
    for level, resolution in finer:
        _, pose = _optimised(level, resolution, pose)
    return _matrix(pose)


def _optimised(level: Level, resolution: Resolution, pose: Any) -> tuple[float, Any]:
    """Metric (lower is better) and pose after one level of the pyramid."""
    import SimpleITK as sitk

    pose = sitk.Euler3DTransform(pose)
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(_THREADS)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(level.mask)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(resolution.share, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        resolution.first_step_mm, resolution.last_step_mm, _ITERATIONS,
        relaxationFactor=_RELAXATION, gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(pose, inPlace=True)
    method.Execute(level.fixed, level.moving)
    return float(method.GetMetricValue()), pose


def _level(fixed: Volume, moving: Volume, brain: Volume, spacing_mm: float) -> Level:
    import SimpleITK as sitk

    near_brain = sitk.BinaryDilate(_coarse_mask(brain, spacing_mm), [1, 1, 1])
    return Level(_smooth(fixed, spacing_mm), near_brain, _smooth(moving, spacing_mm))


def _smooth(volume: Volume, spacing_mm: float) -> Any:
    """Voxels of about `spacing_mm`: finer ones are blurred, coarser ones splined."""
    import SimpleITK as sitk

    array = np.nan_to_num(volume.array.astype(np.float32), posinf=0.0, neginf=0.0)
    image = volume.with_array(array).to_simpleitk()
    spacing = image.GetSpacing()
    blurred = [max(spacing_mm**2 - step**2, 0.0) ** 0.5 * 0.5 for step in spacing]
    for axis, sigma_mm in enumerate(blurred):
        if sigma_mm > 0.1:
            image = sitk.RecursiveGaussian(image, sigma_mm, direction=axis)
    return _on_spacing(image, spacing_mm, sitk.sitkBSpline)


def _coarse_mask(mask: Volume, spacing_mm: float) -> Any:
    import SimpleITK as sitk

    image = mask.with_array(mask.array.astype(np.uint8)).to_simpleitk()
    return _on_spacing(image, spacing_mm, sitk.sitkNearestNeighbor)


def _on_spacing(image: Any, spacing_mm: float, interpolator: int) -> Any:
    import SimpleITK as sitk

    old = np.array(image.GetSpacing())
    size = np.maximum(np.round(old * image.GetSize() / spacing_mm), 1)
    new = old * image.GetSize() / size
    return sitk.Resample(
        image, [int(n) for n in size], sitk.Transform(), interpolator,
        _first_centre(image, new), new.tolist(), image.GetDirection(), 0.0, image.GetPixelID(),
    )


def _first_centre(image: Any, spacing: Matrix) -> list[float]:
    """Centre of the first voxel when the same box is cut into voxels of `spacing`."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    shift = direction @ (0.5 * (spacing - image.GetSpacing()))
    return [float(x) for x in np.add(image.GetOrigin(), shift)]


def _centre(brain: Volume) -> list[float]:
    """Centre of mass of the brain, LPS mm."""
    index = np.argwhere(brain.array).mean(axis=0)
    return [float(x) for x in brain.affine[:3, :3] @ index + brain.affine[:3, 3]]


def _euler(matrix: Matrix, centre: list[float]) -> Any:
    import SimpleITK as sitk

    pose = sitk.Euler3DTransform()
    pose.SetCenter(centre)
    pose.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    turned = matrix[:3, :3] @ centre + matrix[:3, 3]
    pose.SetTranslation((turned - centre).tolist())
    return pose


def _matrix(pose: Any) -> Matrix:
    rotation = np.reshape(pose.GetMatrix(), (3, 3))
    centre = np.array(pose.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = centre + pose.GetTranslation() - rotation @ centre
    return matrix
