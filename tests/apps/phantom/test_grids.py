from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.grids import Grid, axial_grid, resample, rotation
from apps.phantom.warp import random_warp


def _ramp(grid: Grid, direction: tuple[float, float, float]) -> np.ndarray:
    index = np.stack(np.indices(grid.shape), axis=-1)
    points = index @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return (points @ np.array(direction)).astype(np.float32)


def test_slices_go_up_rows_back_and_columns_left() -> None:
    grid = axial_grid((2, 1, 1.5), (40, 30, 30), (5, 6, 7))
    middle = (np.array(grid.shape) - 1) / 2
    assert grid.point(middle) == pytest.approx([5, 6, 7])
    steps = [grid.point(middle + unit) - grid.point(middle) for unit in np.eye(3)]
    assert np.array(steps) == pytest.approx(np.array([[0, 0, 2], [0, 1, 0], [1.5, 0, 0]]))
    assert grid.index(grid.point((3, 4, 5))) == pytest.approx([3, 4, 5])


def test_dividing_keeps_the_block_of_space() -> None:
    grid = axial_grid((3, 1, 1), (30, 20, 20), (1, 2, 3), rotation((8, -4, 3)))
    fine = grid.divided((3, 1, 1))
    assert fine.shape == (30, 20, 20)
    assert fine.point((-0.5, -0.5, -0.5)) == pytest.approx(grid.point((-0.5, -0.5, -0.5)))
    assert fine.point((1, 0, 0)) == pytest.approx(grid.point((0, 0, 0)))


def test_resampling_onto_an_oblique_grid_keeps_positions_in_space() -> None:
    source = axial_grid((1, 1, 1), (60, 60, 60), (0, 0, 0))
    target = axial_grid((2, 1, 1.5), (24, 20, 24), (3, -2, 1), rotation((20, 10, -15)))
    direction = (0.3, -0.5, 0.8)
    moved = resample(_ramp(source, direction), source, target)
    assert np.abs(moved - _ramp(target, direction)).max() < 1e-3


def test_motion_maps_a_series_point_to_the_source_point() -> None:
    source = axial_grid((1, 1, 1), (60, 60, 60), (0, 0, 0))
    target = axial_grid((2, 2, 2), (20, 20, 20), (0, 0, 0))
    shift = np.eye(4)
    shift[:3, 3] = [4, 0, 0]
    moved = resample(_ramp(source, (1, 0, 0)), source, target, motion=shift)
    assert moved == pytest.approx(_ramp(target, (1, 0, 0)) + 4, abs=1e-3)


def test_outside_the_source_there_is_nothing() -> None:
    source = axial_grid((1, 1, 1), (20, 20, 20), (0, 0, 0))
    target = axial_grid((2, 2, 2), (60, 60, 60), (0, 0, 0))
    values = resample(np.ones(source.shape, np.float32), source, target)
    assert values[0, 0, 0] == 0
    assert values[15, 15, 15] == pytest.approx(1)


def test_warps_differ_by_millimetres_and_do_not_fold() -> None:
    grid = axial_grid((4, 4, 4), (160, 160, 160), (0, 0, 0))
    source = axial_grid((1, 1, 1), (200, 200, 200), (0, 0, 0))
    places = [
        random_warp(np.random.default_rng(seed)).coordinates(grid, source)[0].numpy() * 99.5
        for seed in (0, 1)
    ]
    assert 2 < np.abs(places[0] - places[1]).mean() < 25
    for place in places:
        steps = [np.gradient(place[..., c], 4, axis=a) for c, a in ((2, 0), (1, 1), (0, 2))]
        assert min(s.min() for s in steps) > 0.2
