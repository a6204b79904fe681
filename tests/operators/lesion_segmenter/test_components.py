import numpy as np
import pytest

from operators.labels import LesionClass
from operators.lesion_segmenter.components import components, diameter_mm

SPACING = (2.0, 1.0, 1.0)


def class_maps(shape=(10, 32, 32)):
    maps = np.zeros((5, *shape), np.float32)
    maps[0] = 1
    return maps


def put(maps, where, kind, value=0.9):
    maps[(0, *where)] = 1 - value
    maps[(kind, *where)] = value


def split(maps, *, least=0.0, brain=None):
    brain = np.ones(maps.shape[1:], bool) if brain is None else brain
    return components(maps, brain, SPACING, voxel_probability=0.5, min_volume_mm3=least)


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    maps = class_maps()
    put(maps, (4, 10, 10), LesionClass.MICROBLEED)
    put(maps, (5, 11, 11), LesionClass.MICROBLEED)
    put(maps, (5, 13, 13), LesionClass.MICROBLEED)
    found = split(maps)
    assert [len(one.voxels) for one in found] == [2, 1]
    assert [one.volume_mm3 for one in found] == [4.0, 2.0]


def test_a_lesion_of_exactly_the_least_volume_is_kept():
    maps = class_maps()
    put(maps, (4, 10, slice(10, 13)), LesionClass.MICROBLEED)
    assert len(split(maps, least=6.0)) == 1
    assert len(split(maps, least=6.1)) == 0


def test_nothing_outside_the_brain_is_a_lesion():
    maps = class_maps()
    put(maps, (4, 10, slice(10, 14)), LesionClass.MICROBLEED)
    brain = np.ones(maps.shape[1:], bool)
    brain[..., 12:] = False
    assert split(maps, brain=brain)[0].volume_mm3 == 4.0


def test_a_part_of_another_class_is_a_lesion_of_its_own_when_it_is_large_enough():
    maps = class_maps()
    put(maps, (4, slice(10, 20), slice(10, 20)), LesionClass.IRON_DEPOSIT)
    maps[LesionClass.IRON_DEPOSIT, 4, 12:14, 12:16] = 0.05
    put(maps, (4, slice(12, 14), slice(12, 15)), LesionClass.CALCIFICATION)
    put(maps, (4, slice(12, 14), slice(15, 16)), LesionClass.IRON_DEPOSIT)
    (one,) = split(maps)
    assert (one.kind, one.volume_mm3) == (LesionClass.IRON_DEPOSIT, 200.0)
    maps[LesionClass.IRON_DEPOSIT, 4, 12:14, 15] = 0.05
    put(maps, (4, slice(12, 14), slice(12, 16)), LesionClass.CALCIFICATION)
    iron, calcium = split(maps)
    assert (iron.kind, iron.volume_mm3) == (LesionClass.IRON_DEPOSIT, 184.0)
    assert (calcium.kind, calcium.volume_mm3) == (LesionClass.CALCIFICATION, 16.0)


def test_the_class_with_most_probability_names_the_whole_lesion():
    maps = class_maps()
    put(maps, (4, 10, slice(10, 13)), LesionClass.CALCIFICATION, 0.8)
    (alone,) = split(maps)
    assert alone.probability == pytest.approx(0.8)
    put(maps, (4, 10, 13), LesionClass.MICROBLEED, 0.99)
    (one,) = split(maps)
    assert one.kind is LesionClass.CALCIFICATION
    assert one.probability < 0.8


def test_lesion_classes_share_the_voxel_threshold_but_the_vessel_class_does_not():
    maps = class_maps()
    maps[:, 4, 10, 10] = [0.3, 0.4, 0.3, 0.0, 0.0]
    maps[:, 7, 10, 10] = [0.1, 0.3, 0.0, 0.0, 0.6]
    found = split(maps)
    assert [one.centroid for one in found] == [(4.0, 10.0, 10.0)]


def test_a_faint_spot_is_a_candidate_only_where_asked_for_and_ends_at_half_its_peak():
    maps = class_maps()
    put(maps, (4, 10, slice(8, 13)), LesionClass.MICROBLEED, np.array([0.06, 0.15, 0.4, 0.2, 0.1]))
    put(maps, (7, 10, slice(10, 14)), LesionClass.MICROBLEED, np.array([0.9, 0.6, 0.4, 0.1]))
    put(maps, (1, 10, 10), LesionClass.MICROBLEED, 0.04)
    (strong,) = split(maps)
    both = components(maps, np.ones(maps.shape[1:], bool), SPACING, voxel_probability=0.5,
                      min_volume_mm3=0.0, faint_probability=0.05)
    assert strong.voxels.tolist() == [[7, 10, 10], [7, 10, 11]]
    assert [one.voxels.tolist() for one in both] == [
        [[4, 10, 10], [4, 10, 11]], strong.voxels.tolist()]


def test_order_is_by_class_then_size_then_place_whatever_the_array_order():
    maps = class_maps()
    put(maps, (1, 3, 3), LesionClass.IRON_DEPOSIT)
    put(maps, (8, 20, 20), LesionClass.MICROBLEED)
    put(maps, (8, 25, slice(20, 22)), LesionClass.MICROBLEED)
    put(maps, (3, 20, 20), LesionClass.MICROBLEED)
    order = [(one.kind.name, one.voxels[0].tolist()) for one in split(maps)]
    assert order == [
        ("MICROBLEED", [8, 25, 20]), ("MICROBLEED", [3, 20, 20]),
        ("MICROBLEED", [8, 20, 20]), ("IRON_DEPOSIT", [1, 3, 3]),
    ]


@pytest.mark.parametrize(
    ("voxels", "expected_mm"),
    [
        ([(0, 5, 5)], 1.0),
        ([(0, 5, 5), (0, 5, 6), (0, 5, 7)], 3.0),
        ([(0, 5, 5), (1, 5, 6), (2, 5, 7)], 1.0),
    ],
)
def test_diameter_runs_between_outer_faces_within_a_slice(voxels, expected_mm):
    assert diameter_mm(np.array(voxels), SPACING) == pytest.approx(expected_mm)


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
def test_a_ball_of_eight_millimetres_measures_eight_millimetres(pixel_mm):
    grid = np.indices((9, 40, 40)).transpose(1, 2, 3, 0) * (2.0, pixel_mm, pixel_mm)
    ball = np.linalg.norm(grid - (8, 20 * pixel_mm, 20 * pixel_mm), axis=-1) <= 4.0
    measured = diameter_mm(np.argwhere(ball), (2.0, pixel_mm, pixel_mm))
    assert measured == pytest.approx(8.0, abs=1.01 * pixel_mm)
