"""Rigid registration of one image to another: SimpleITK, behind a few functions.

Mutual information of Mattes et al., IEEE Trans Med Imaging 2003;22:120, on a pyramid from 8 to
2 mm, regular-step gradient descent. Points of the fixed image in its brain are compared; where
they lie is fixed. SimpleITK sums in any order, so that the same input gives the same matrix but for
the last digits, and far within the last step of 0.01 mm.
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
_THREADS = 1


class Resolution(NamedTuple):
    """One level of the pyramid; `share` of the fixed voxels is compared."""

    spacing_mm: float
    first_step_mm: float
    last_step_mm: float
    share: float


_FINE_TO_COARSE = (
    Resolution(2.0, 0.25, 0.01, 0.25),
    Resolution(4.0, 1.0, 0.05, 0.5),
    Resolution(8.0, 4.0, 0.2, 1.0),
)

Pyramid = tuple[Any, ...]
"""One image at 2, 4 and 8 mm, as SimpleITK images in LPS mm."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What images are registered to: its pyramid, the brain at each level, the brain's centre."""

    images: Pyramid
    brains: Pyramid
    centre_lps_mm: Matrix


def target(fixed: Volume, brain: Volume) -> Target:
    """Prepare `fixed`, any contrast; `brain` is bool on its grid and not empty.

    One voxel more than the brain is compared at each level: its border is its clearest feature.
    """
    sitk = _sitk()
    mask = brain.with_array(brain.array.astype(np.uint8)).to_simpleitk()
    brains = tuple(
        sitk.BinaryDilate(_cut(mask, r.spacing_mm, sitk.sitkNearestNeighbor), [1, 1, 1])
        for r in _FINE_TO_COARSE
    )
    return Target(pyramid(fixed), brains, centre_of_mass(brain))


def pyramid(volume: Volume) -> Pyramid:
    """`volume` at 2, 4 and 8 mm; what is not finite counts as zero."""
    sitk = _sitk()
    array = np.nan_to_num(volume.array.astype(np.float32), posinf=0.0, neginf=0.0)
    image = volume.with_array(array).to_simpleitk()
    levels = []
    for resolution in _FINE_TO_COARSE:
        image = _cut(_blurred(image, resolution.spacing_mm), resolution.spacing_mm,
                     sitk.sitkBSpline)
        levels.append(image)
    return tuple(levels)


def align(fixed: Target, moving: Pyramid, *, starts: Sequence[Matrix]) -> Matrix:
    """The rigid matrix (4, 4) that maps fixed points to moving points, LPS mm.

    Each of `starts` (4, 4) goes on from where 8 mm leads it, and from itself, since 8 mm can
    mistake the scalp for the brain; of all these the best fit at 4 mm is refined at 2 mm. Raises
    RuntimeError (SimpleITK's) where a start puts no brain point into the moving image.
    """
    headers = [_euler(start, fixed.centre_lps_mm) for start in starts]
    coarse = [_optimised(fixed, moving, 2, pose)[1] for pose in headers]
    finer = [_optimised(fixed, moving, 1, pose) for pose in (*coarse, *headers)]
    _, best = min(finer, key=lambda pair: pair[0])
    return _matrix(_optimised(fixed, moving, 0, best)[1])


def refined(fixed: Target, moving: Pyramid, start: Matrix) -> Matrix:
    """`align` from 4 mm on, for a `start` that is nearly right."""
    pose = _euler(start, fixed.centre_lps_mm)
    for level in (1, 0):
        _, pose = _optimised(fixed, moving, level, pose)
    return _matrix(pose)


def mirrored(moving: Pyramid, plane_point: Matrix, plane_normal: Matrix) -> Pyramid:
    """The images reflected in a plane (point and unit normal, LPS mm); voxels stay as they are."""
    sitk = _sitk()
    turn = np.eye(3) - 2.0 * np.outer(plane_normal, plane_normal)
    images = []
    for level in moving:
        image = sitk.Image(level)
        image.SetOrigin((plane_point + turn @ (level.GetOrigin() - plane_point)).tolist())
        image.SetDirection((turn @ np.reshape(level.GetDirection(), (3, 3))).ravel().tolist())
        images.append(image)
    return tuple(images)


def centre_of_mass(mask: Volume) -> Matrix:
    """Centre of a mask, (3,), LPS mm."""
    index = np.argwhere(mask.array).mean(axis=0)
    return np.asarray(mask.affine[:3, :3] @ index + mask.affine[:3, 3], np.float64)


def mutual_information(fixed: Target, moving: Pyramid, matrix: Matrix) -> float:
    """Mutual information, nats, of the brain's points at 2 mm under `matrix`; 0 if none is met."""
    method = _method(fixed, 0)
    method.SetInitialTransform(_euler(matrix, fixed.centre_lps_mm))
    try:
        return -float(method.MetricEvaluate(fixed.images[0], moving[0]))
    except RuntimeError:
        return 0.0


def _optimised(fixed: Target, moving: Pyramid, level: int, pose: Any) -> tuple[float, Any]:
    """Metric (lower is better) and pose after one level of the pyramid."""
    sitk = _sitk()
    pose = sitk.Euler3DTransform(pose)
    method = _method(fixed, level)
    resolution = _FINE_TO_COARSE[level]
    method.SetOptimizerAsRegularStepGradientDescent(
        resolution.first_step_mm, resolution.last_step_mm, _ITERATIONS,
        relaxationFactor=_RELAXATION, gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(pose, inPlace=True)
    method.Execute(fixed.images[level], moving[level])
    return float(method.GetMetricValue()), pose


def _method(fixed: Target, level: int) -> Any:
    sitk = _sitk()
    method: Any = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(_THREADS)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(fixed.brains[level])
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(_FINE_TO_COARSE[level].share, _SEED)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _sitk() -> Any:
    """SimpleITK, which is heavy and has no types."""
    import SimpleITK

    return SimpleITK


def _blurred(image: Any, spacing_mm: float) -> Any:
    """Blurred along the axes whose voxels are finer than `spacing_mm`."""
    sitk = _sitk()
    for axis, step_mm in enumerate(image.GetSpacing()):
        sigma_mm = 0.5 * max(spacing_mm**2 - step_mm**2, 0.0) ** 0.5
        if sigma_mm > 0.1 and image.GetSize()[axis] > 3:
            image = sitk.RecursiveGaussian(image, sigma_mm, direction=axis)
    return image


def _cut(image: Any, spacing_mm: float, interpolator: int) -> Any:
    """The same box in voxels of about `spacing_mm`."""
    sitk = _sitk()
    old = np.array(image.GetSpacing())
    box_mm = old * image.GetSize()
    size = np.maximum(np.round(box_mm / spacing_mm), 1)
    new = box_mm / size
    direction = np.reshape(image.GetDirection(), (3, 3))
    origin = np.add(image.GetOrigin(), direction @ (0.5 * (new - old)))
    return sitk.Resample(
        image, [int(n) for n in size], sitk.Transform(), interpolator, origin.tolist(),
        new.tolist(), image.GetDirection(), 0.0, image.GetPixelID(),
    )


def _euler(matrix: Matrix, centre_lps_mm: Matrix) -> Any:
    sitk = _sitk()
    pose: Any = sitk.Euler3DTransform()
    pose.SetCenter(centre_lps_mm.tolist())
    pose.SetMatrix(matrix[:3, :3].ravel().tolist(), 1e-6)
    turned = matrix[:3, :3] @ centre_lps_mm + matrix[:3, 3]
    pose.SetTranslation((turned - centre_lps_mm).tolist())
    return pose


def _matrix(pose: Any) -> Matrix:
    rotation = np.reshape(pose.GetMatrix(), (3, 3))
    centre = np.array(pose.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = centre + pose.GetTranslation() - rotation @ centre
    return matrix
