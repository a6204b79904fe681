import numpy as np
import pytest

from operators.labels import LesionClass, Side, structure
from operators.lesion_segmenter.components import Component
from operators.lesion_segmenter.mimics import (
    REACH_MM,
    Evidence,
    depth_mm,
    name_lesion,
    susceptibility_contrast,
    vesselness,
)
from operators.lesion_segmenter.settings import LesionSettings

SETTINGS = LesionSettings()
GRIDS = [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0), (3.0, 0.75, 0.75)]


def field_of(spacing, shape_mm=(44, 44, 44)):
    size = [round(mm / step) for mm, step in zip(shape_mm, spacing, strict=True)]
    grid = np.indices(size).transpose(1, 2, 3, 0) * np.asarray(spacing)
    return grid - np.asarray(size) // 2 * np.asarray(spacing)


def partial_volume(distance, radius):
    return np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)


def lesion_at_centre(image, spacing):
    middle = np.asarray(image.shape) // 2
    near = np.linalg.norm((np.indices(image.shape).transpose(1, 2, 3, 0) - middle) * spacing,
                          axis=-1) <= 2.5
    voxels = np.argwhere((image > 0.5) & near)
    return Component(
        voxels, LesionClass.MICROBLEED, 0.9, len(voxels) * float(np.prod(spacing)), 4.0,
        tuple(voxels.mean(axis=0)),
    )


@pytest.mark.parametrize("spacing", GRIDS)
def test_depth_is_the_way_from_the_centre_to_the_brains_surface(spacing):
    points = field_of(spacing)
    lesion = lesion_at_centre(partial_volume(np.linalg.norm(points, axis=-1), 1.5), spacing)
    for wall_mm in (3.0, 6.0):
        assert depth_mm(lesion, points[..., 2] < wall_mm, spacing) == pytest.approx(
            wall_mm, abs=spacing[2])
    assert depth_mm(lesion, np.ones(points.shape[:3], bool), spacing) == REACH_MM


@pytest.mark.parametrize("spacing", GRIDS)
def test_a_ball_is_round(spacing):
    darkness = partial_volume(np.linalg.norm(field_of(spacing), axis=-1), 2.0)
    assert vesselness(lesion_at_centre(darkness, spacing), darkness, spacing) < 0.5


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("direction", [(1, 0, 0), (0, 1, 0), (1, 1, 0), (1, 2, 2)])
def test_a_tube_is_a_tube_in_every_direction(spacing, direction):
    along = np.asarray(direction) / np.linalg.norm(direction)
    points = field_of(spacing)
    across = points - (points @ along)[..., None] * along
    darkness = partial_volume(np.linalg.norm(across, axis=-1), 1.5)
    assert vesselness(lesion_at_centre(darkness, spacing), darkness, spacing) > 0.7


def test_susceptibility_is_measured_against_the_surroundings():
    spacing = (2.0, 1.0, 1.0)
    ball = np.linalg.norm(field_of(spacing), axis=-1) <= 2.0
    qsm = np.where(ball, 0.05, 0.15).astype(np.float32)
    part = lesion_at_centre(ball.astype(np.float32), spacing)
    assert susceptibility_contrast(part, qsm, spacing) == pytest.approx(-0.10, abs=1e-6)
    qsm[ball] = np.nan
    assert susceptibility_contrast(part, qsm, spacing) is None


def evidence(**changes):
    base = {
        "kind": LesionClass.MICROBLEED, "runner_up": LesionClass.MICROBLEED, "contrast_ppm": 0.3,
        "vesselness": 0.2, "diameter_mm": 4.0, "location": None,
    }
    return Evidence(**(base | changes))


def test_a_diamagnetic_lesion_is_calcium_whatever_the_network_says():
    for kind in (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT):
        named, why = name_lesion(evidence(kind=kind, contrast_ppm=-0.12), SETTINGS)
        assert named is LesionClass.CALCIFICATION
        assert "diamagnetic (-0.12 ppm)" in why


def test_a_paramagnetic_lesion_is_not_calcium():
    seen = evidence(kind=LesionClass.CALCIFICATION, runner_up=LesionClass.IRON_DEPOSIT,
                    contrast_ppm=0.2)
    assert name_lesion(seen, SETTINGS)[0] is LesionClass.IRON_DEPOSIT


def test_without_qsm_the_reason_says_that_the_sign_is_unknown():
    named, why = name_lesion(evidence(contrast_ppm=None), SETTINGS)
    assert named is LesionClass.MICROBLEED
    assert "sign of susceptibility unknown (no QSM here)" in why


def test_where_the_qsm_mask_ends_the_sign_is_unknown():
    spacing = (2.0, 1.0, 1.0)
    ball = np.linalg.norm(field_of(spacing), axis=-1) <= 2.0
    part = lesion_at_centre(ball.astype(np.float32), spacing)
    assert susceptibility_contrast(part, np.zeros(ball.shape, np.float32), spacing) is None


def test_iron_outside_the_basal_ganglia_is_not_an_iron_deposit():
    for name, side, expected in (
        ("pallidum", Side.RIGHT, LesionClass.IRON_DEPOSIT), ("brain stem", Side.MIDLINE, None),
        ("cerebellum", Side.LEFT, None),
    ):
        iron = evidence(kind=LesionClass.IRON_DEPOSIT, location=structure(name, side))
        assert name_lesion(iron, SETTINGS)[0] is expected
    unknown = evidence(kind=LesionClass.IRON_DEPOSIT, location=None)
    assert name_lesion(unknown, SETTINGS)[0] is LesionClass.IRON_DEPOSIT


def test_a_tube_is_a_vessel_but_only_a_microbleed_can_turn_into_one():
    strict = SETTINGS.model_copy(update={"max_vesselness": 0.93})
    assert name_lesion(evidence(vesselness=0.97), strict)[0] is LesionClass.VESSEL
    assert name_lesion(evidence(vesselness=1.0), SETTINGS)[0] is LesionClass.MICROBLEED
    iron = evidence(kind=LesionClass.IRON_DEPOSIT, vesselness=0.97,
                    location=structure("pallidum", Side.LEFT))
    assert name_lesion(iron, SETTINGS)[0] is LesionClass.IRON_DEPOSIT


def test_what_is_wider_than_ten_millimetres_is_no_microbleed():
    assert name_lesion(evidence(diameter_mm=10.0), SETTINGS)[0] is LesionClass.MICROBLEED
    named, why = name_lesion(evidence(diameter_mm=10.4), SETTINGS)
    assert named is None
    assert "10.4 mm wide" in why
    putamen = structure("putamen", Side.LEFT)
    wide = evidence(diameter_mm=12.0, location=putamen)
    assert name_lesion(wide, SETTINGS)[0] is LesionClass.IRON_DEPOSIT
