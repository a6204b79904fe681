"""A head in code: skull, folded cortex, ventricles, nuclei; another seed is another brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset
from scipy import ndimage
from scipy.spatial.transform import Rotation

from operators.types import AslKind, Role, Sample, Series, Study, Unit

FRAME = "1.2.826.0.1.1"
STEP_MM = 2.0
SIZE_MM = (176, 216, 184)

# Signal of scalp, bone, fluid, grey, white, nuclei: typical order of brightness, own choice.
SIGNAL = {
    Role.MAGNITUDE: (0.70, 0.08, 0.95, 0.90, 0.78, 0.62),
    Role.SWI: (0.70, 0.08, 0.95, 0.88, 0.76, 0.50),
    Role.T1W: (0.90, 0.12, 0.20, 0.65, 1.00, 0.80),
    Role.T2W: (0.60, 0.06, 1.30, 0.65, 0.45, 0.48),
    Role.DWI: (0.12, 0.04, 1.50, 0.65, 0.50, 0.45),
    Role.ASL: (0.25, 0.05, 1.00, 0.80, 0.66, 0.72),
    Role.FA: (0.05, 0.05, 0.08, 0.15, 0.55, 0.25),
    Role.CBF: (2.0, 2.0, 2.0, 60.0, 22.0, 50.0),
    Role.QSM: (0.0, 0.0, 0.0, 0.02, -0.03, 0.12),
    Role.PHASE: (0.1, 0.1, 0.2, 0.3, 0.1, 0.5),
}
VOXEL_MM = {Role.T1W: (1.5, 1.5, 1.5), Role.T2W: (3.0, 1.5, 1.5), Role.DWI: (2.5, 2.5, 2.5),
            Role.ASL: (5.0, 3.5, 3.5)}
CARRIED = {Role.FA: Role.DWI, Role.CBF: Role.ASL}


@dataclass(frozen=True)
class Head:
    """Tissue classes (slice, row, column) at 2 mm, 0 air to 6 nuclei, and their affine (LPS)."""

    tissue: np.ndarray
    brain: np.ndarray
    affine: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        return self.affine[:3, :3] @ np.argwhere(self.brain).mean(0) + self.affine[:3, 3]

    def points(self) -> np.ndarray:
        """Brain points (n, 3), LPS mm."""
        return np.argwhere(self.brain)[::29] @ self.affine[:3, :3].T + self.affine[:3, 3]


def make_head(seed: int) -> Head:
    count = [round(mm / STEP_MM) for mm in SIZE_MM[::-1]]
    z, y, x = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * STEP_MM for n in count], indexing="ij"
    )
    rng = np.random.default_rng(seed)
    a, b, c = np.array([66.0, 82.0, 62.0]) * rng.uniform(0.96, 1.04, 3)
    radius = np.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    noise = rng.normal(size=x.shape)
    folds = ndimage.gaussian_filter(noise, 2.0) - ndimage.gaussian_filter(noise, 4.0)
    folds += folds[..., ::-1]  # half of each fold has its mirror image on the other side
    lonely = rng.normal(size=x.shape)
    folds += ndimage.gaussian_filter(lonely, 2.0) - ndimage.gaussian_filter(lonely, 4.0)
    folds /= folds.std()
    depth_mm = (1 - radius) * 65
    tissue = np.zeros(x.shape, np.uint8)
    tissue[depth_mm > -14] = 1
    tissue[depth_mm > -8] = 2
    tissue[depth_mm > 0] = 3
    tissue[depth_mm > 3 + np.clip(folds, -2, 2) * 4] = 4
    tissue[depth_mm > 10 + np.clip(folds, -2, 2) * 9] = 5
    for side in (-1, 1):
        shift = rng.uniform(-2, 2, 3)
        near = lambda cx, cy, cz, rx, ry, rz: (  # noqa: E731
            ((x - side * cx - shift[0]) / rx) ** 2 + ((y - cy - shift[1]) / ry) ** 2  # noqa: B023
            + ((z - cz - shift[2]) / rz) ** 2 < 1  # noqa: B023
        )
        tissue[near(26, 0, 0, 8, 18, 10)] = 6
        tissue[near(12, -12, 12, 6, 10, 8)] = 6
        tissue[near(12, 18, 6, 9, 13, 9)] = 6
        tissue[near(8, 2, 20, 6, 30, 8)] = 3
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (STEP_MM, STEP_MM, STEP_MM, 1.0)
    affine[:3, 3] = [x.min(), y.min(), z.min()]
    return Head(tissue, depth_mm > 0, affine)


def acquire(
    head: Head, role: Role, *, pose: np.ndarray | None = None, seed: int = 0,
    slab_mm: tuple[float, float] = (-90.0, 90.0), frame: str = FRAME,
) -> Volume:
    """`role`'s image of the head, moved by `pose` (head point -> patient point), with noise.

    The grid turns with the head (its affine is `pose` times the untilted one), so that the truth
    is exact. Receive bias of 20 %, Rician-like noise of 3 %.
    """
    rng = np.random.default_rng(seed)
    fine = np.array((0.0, *SIGNAL[role]), np.float32)[head.tissue]
    voxel = np.array(VOXEL_MM.get(CARRIED.get(role, role), (2.0, 1.5, 1.5)))
    box = np.array((slab_mm[1] - slab_mm[0], SIZE_MM[1] + 8, SIZE_MM[0] + 8))
    shape = (box // voxel).astype(int)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (*voxel, 1.0)
    affine[:3, 3] = [-box[2] / 2 + 1.3, -box[1] / 2 - 0.7, slab_mm[0] + 0.4]
    fine = ndimage.gaussian_filter(fine, 0.35 * np.maximum(voxel / STEP_MM, 1))
    to_fine = np.linalg.inv(head.affine) @ affine
    image = ndimage.affine_transform(
        fine, to_fine[:3, :3], to_fine[:3, 3], output_shape=tuple(shape), order=1
    )
    ramp = np.linspace(-0.1, 0.1, shape[1], dtype=np.float32)[:, None]
    image = image * (1 + ramp) + rng.normal(size=shape) * 0.03 * abs(fine).max()
    if role is not Role.QSM:
        image = np.abs(image)
    pose = np.eye(4) if pose is None else pose
    return Volume(
        (image * 300).astype(np.float32), pose @ affine, "PATIENT", frame_of_reference_uid=frame
    )


def rigid_pose(seed: int, centre: np.ndarray, *, degrees: float = 10, mm: float = 10
               ) -> np.ndarray:
    """A turn of `degrees` about a random axis through `centre`, then a shift of `mm`."""
    rng = np.random.default_rng(seed)
    axis, shift = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(np.deg2rad(degrees) * axis).as_matrix()
    pose[:3, 3] = centre - pose[:3, :3] @ centre + mm * shift
    return pose


def error_mm(found: np.ndarray, truth: np.ndarray, points: np.ndarray) -> float:
    """Mean distance over points between where two matrices put them."""
    difference = (found - truth)[:3]
    return float(np.linalg.norm(points @ difference[:, :3].T + difference[:, 3], axis=1).mean())


def series(role: Role, *volumes: Volume, samples: tuple[Sample, ...] = (), **kind: object
           ) -> Series:
    units = {Role.QSM: Unit.PPM, Role.FA: Unit.RATIO, Role.CBF: Unit.ABSOLUTE_CBF}
    samples = samples or (Sample(**kind),) * len(volumes)
    return Series(
        role, volumes, samples, units.get(role, Unit.ARBITRARY), (), f"1.2.{role}", role, "chosen"
    )


def carried(head: Head, role: Role, pose: np.ndarray, seed: int) -> dict[Role, Series]:
    """FA with its b0, or CBF with its M0, in one pose."""
    raw = CARRIED[role]
    kind = {"b_value_s_mm2": 0.0} if raw is Role.DWI else {"asl": AslKind.M0}
    return {
        role: series(role, acquire(head, role, pose=pose, seed=seed)),
        raw: series(raw, acquire(head, raw, pose=pose, seed=seed + 1), **kind),
    }


def study(*parts: Series) -> Study:
    return Study("1.2.3", Dataset(), {part.role: part for part in parts}, ())


@pytest.fixture(scope="session")
def head() -> Head:
    return make_head(1)


@pytest.fixture(scope="session")
def other_head() -> Head:
    return make_head(2)
