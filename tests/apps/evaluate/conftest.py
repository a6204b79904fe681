"""A subject so small that every voxel of it can be reasoned about."""

import numpy as np
import pytest

from apps.train.subjects import Examined
from operators.labels import LesionClass, Side, structure
from operators.types import Role

SHAPE = (8, 60, 56)


@pytest.fixture
def examined():
    """A bleed in the left putamen and a vessel, on slices of 2 mm."""
    generator = np.random.default_rng(0)
    truth = np.zeros(SHAPE, np.uint16)
    truth[4, 30:33, 20:23], truth[3, 30:33, 40:43] = 1, 2
    swi = generator.normal(100, 2, SHAPE).astype(np.float32)
    swi[truth > 0] = 20
    qsm = np.where(truth == 1, 0.4, 0).astype(np.float32)
    brain = np.zeros(SHAPE, bool)
    brain[1:-1, 5:-5, 5:-5] = True
    regions = np.zeros(SHAPE, np.uint8)
    regions[:, :, :28] = structure("putamen", Side.LEFT).number
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) * (2.0, 1.0, 1.0)
    return Examined(
        "sub-1", "head", 3.0, {Role.SWI: swi, Role.QSM: qsm, Role.T2W: swi}, brain, regions, truth,
        {1: LesionClass.MICROBLEED, 2: LesionClass.VESSEL}, {1: 2.5, 2: 3.0}, affine, "1.2.3",
    )
