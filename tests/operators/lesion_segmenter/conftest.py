"""A small head with planted spots, on an oblique grid, and a bundle whose network is a rule."""

from dataclasses import dataclass

import highdicom
import numpy as np
import pytest
from pydicom import Dataset

from operators.labels import LesionClass, Side, structure
from operators.lesion_segmenter import segment
from operators.lesion_segmenter.bundle import Bundle
from operators.lesion_segmenter.inference import Runner
from operators.lesion_segmenter.normalise import CHANNELS
from operators.types import (
    Acquisition,
    CoregisteredStudy,
    ModelIdentity,
    RegionMap,
    Role,
    Sample,
    Series,
    Study,
    Unit,
)

SHAPE, SPACING = (24, 70, 64), np.array((2.0, 1.0, 1.0))
PUTAMEN = structure("putamen", Side.LEFT)


def oblique_affine():
    angle = np.radians(12)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)],
                     [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]]) * SPACING
    affine[:3, 3] = (-30, -40, 15)
    return affine


@dataclass
class Head:
    """Arrays (slice, row, column) that a test plants spots into, then `study()` and `regions()`."""

    swi: np.ndarray
    qsm: np.ndarray
    t2w: np.ndarray
    labels: np.ndarray
    field_strength_t: float = 3.0
    echo_time_ms: float = 20.0

    def plant(self, centre, radius_mm, ppm, *, darkness=0.2, tube=None):
        """A dark ball, or a tube along `tube`, at index `centre`; returns its mask."""
        points = np.indices(SHAPE).transpose(1, 2, 3, 0) * SPACING - np.asarray(centre) * SPACING
        if tube is not None:
            along = np.asarray(tube) / np.linalg.norm(tube)
            points = points - (points @ along)[..., None] * along
        mask = np.linalg.norm(points, axis=-1) <= radius_mm
        self.swi[mask] *= darkness
        self.qsm[mask] += ppm
        return mask

    def volume(self, array):
        return highdicom.Volume(array, oblique_affine(), "PATIENT",
                                frame_of_reference_uid="1.2.826.0.1")

    def study(self, roles=(Role.SWI, Role.QSM, Role.T2W), *, derived=()):
        arrays = {Role.SWI: self.swi, Role.MAGNITUDE: self.swi, Role.QSM: self.qsm,
                  Role.T2W: self.t2w}
        volumes = {role: self.volume(arrays[role]) for role in roles}
        acquisition = Acquisition(field_strength_t=self.field_strength_t)
        series = {
            role: Series(role, (image,), (Sample(echo_time_ms=self.echo_time_ms),),
                         Unit.ARBITRARY, (), f"1.2.{n}", "", "planted", acquisition,
                         (Role.MAGNITUDE,) if role in derived else ())
            for n, (role, image) in enumerate(volumes.items())
        }
        reference = Role.MAGNITUDE if Role.MAGNITUDE in roles else Role.SWI
        return CoregisteredStudy(Study("1.2.840.1", Dataset(), series, ()), reference, volumes, {},
                                 self.volume(self.brain()), {})

    def brain(self):
        brain = np.zeros(SHAPE, bool)
        brain[2:-2, 5:-5, 5:-5] = True
        return brain

    def regions(self):
        return RegionMap(self.volume(self.labels), self.volume(self.brain()), Role.T1W, "drawn", 1)


@pytest.fixture
def head():
    generator = np.random.default_rng(0)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:, :, :32] = PUTAMEN.number
    return Head(
        swi=generator.normal(100, 2, SHAPE).astype(np.float32),
        qsm=generator.normal(0, 0.01, SHAPE).astype(np.float32),
        t2w=generator.normal(100, 2, SHAPE).astype(np.float32), labels=labels,
    )


@pytest.fixture
def rule_bundle(monkeypatch, tmp_path):
    """A bundle whose network calls everything dark on SWI a microbleed at 0.9."""

    def runner(batch):
        dark = batch[:, 3 * CHANNELS.index(Role.SWI) + 1] < -0.4
        maps = np.zeros((len(batch), 5, *batch.shape[2:]), np.float32)
        maps[:, LesionClass.MICROBLEED] = np.where(dark, 0.9, 0.01)
        maps[:, 0] = 1 - maps[:, LesionClass.MICROBLEED]
        return maps

    class RuleBundle(Bundle):
        def network(self):
            return None

    identity = ModelIdentity("rule", "0", "0" * 64, "none")
    points = {kind: 0.5 for kind in segment.LESION_CLASSES}
    bundle = RuleBundle(tmp_path, identity, points, {}, {})
    monkeypatch.setattr(segment, "load_bundle", lambda _: bundle)
    monkeypatch.setattr(segment, "make_runner", lambda *_: Runner("rule", runner))
    return tmp_path
