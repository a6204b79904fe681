from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.grids import axial_grid
from apps.phantom.shapes import ellipsoid, paint, tree

GRID = axial_grid((1, 1, 1), (60, 60, 60), (0, 0, 0))
CENTRE = np.array([30.2, 29.7, 30.1])


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.5, 4.0])
def test_a_ball_keeps_its_volume_however_small(radius: float) -> None:
    _, weight = ellipsoid(GRID, CENTRE, radius, np.random.default_rng(0), elongation=0.15)
    assert weight.sum() == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.06)
    assert weight.max() <= 1


def test_a_ball_lies_about_its_centre() -> None:
    box, weight = ellipsoid(GRID, CENTRE, 3.0, np.random.default_rng(0))
    index = np.indices(weight.shape).reshape(3, -1) + np.array([[s.start] for s in box])
    centre = (index * weight.ravel()).sum(axis=1) / weight.sum()
    assert centre == pytest.approx(CENTRE, abs=0.05)


@pytest.mark.parametrize("radius", [0.3, 0.5, 1.2])
def test_tubes_have_the_cross_section_of_their_radius_on_average(radius: float) -> None:
    areas = []
    for y, x in np.random.default_rng(0).uniform(29.5, 30.5, (30, 2)):
        points = np.column_stack([np.linspace(10, 50, 161), np.full(161, y), np.full(161, x)])
        box, weight = paint(GRID, points, np.full(161, radius))
        areas.append(weight[30 - box[0].start].sum())
    assert np.mean(areas) == pytest.approx(np.pi * radius**2, rel=0.1)


def test_a_tube_has_the_length_asked_for_and_branches_add_points() -> None:
    draws = [
        tree(GRID, CENTRE, np.array([1.0, 0, 0]), 1.0, 20.0, 0.0, branches,
             np.random.default_rng(1))[0]
        for branches in (0, 2)
    ]
    assert np.linalg.norm(draws[0][-1] - draws[0][0]) == pytest.approx(19.5, abs=0.6)
    assert len(draws[1]) > len(draws[0]) + 20


def test_a_tube_stays_where_it_is_wanted() -> None:
    slab = np.zeros(GRID.shape, bool)
    slab[:, 28:34, :] = True
    points, _ = tree(GRID, CENTRE, np.array([0.0, 1.0, 0.3]), 1.0, 24.0, 0.12, 0,
                     np.random.default_rng(2), prefer=slab)
    free, _ = tree(GRID, CENTRE, np.array([0.0, 1.0, 0.3]), 1.0, 24.0, 0.12, 0,
                   np.random.default_rng(2))
    def share(path: np.ndarray) -> float:
        return float(slab[tuple(path.round().astype(int).T)].mean())
    assert share(points) > share(free) + 0.2
