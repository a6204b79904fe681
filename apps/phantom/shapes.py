"""Soft-edged shapes on a grid: the share of each cell that an object fills."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid, rotation

Float = NDArray[np.float32]
Box = tuple[slice, slice, slice]


def ellipsoid(
    grid: Grid, index: NDArray[np.float64], radius_mm: float, generator: np.random.Generator,
    *, elongation: float = 0.0, softness_mm: float = 0.0, roughness: float = 0.0,
) -> tuple[Box, Float]:
    """A turned ellipsoid about a fractional index: (box, weight).

    `radius_mm` is of the sphere of equal volume, `elongation` the log-SD of the axes,
    `softness_mm` the width of the edge beyond the cell's own, `roughness` the SD of the rim's
    distance in radii (blurred noise). Hard shapes keep their exact volume.
    """
    spacing = np.array(grid.spacing_mm)
    axes = np.exp(generator.normal(0, elongation, 3)) if elongation else np.ones(3)
    axes = radius_mm * axes / np.prod(axes) ** (1 / 3)
    turn = rotation(generator.uniform(-180, 180, 3)) if elongation else np.eye(3)
    reach = (axes.max() * (1 + 2 * roughness) + softness_mm) / spacing + 1.5
    box = _box(grid, index - reach, index + reach)
    offsets = np.meshgrid(
        *(np.arange(s.start, s.stop) - c for s, c in zip(box, index, strict=True)), indexing="ij")
    points = np.stack(offsets, axis=-1) * spacing @ turn
    distance = np.linalg.norm(points / axes, axis=-1)
    if roughness:
        distance = distance + roughness * _rough(distance.shape, radius_mm, spacing, generator)
    edge = float(spacing.mean()) + softness_mm
    weight = np.clip((1 - distance) * radius_mm / edge + 0.5, 0, 1)
    if softness_mm == 0 and roughness == 0 and weight.sum() > 0:
        exact = 4 / 3 * np.pi * radius_mm**3 / float(np.prod(spacing))
        weight = np.minimum(weight * exact / weight.sum(), 1.0)
    return box, weight.astype(np.float32)


def _rough(
    shape: tuple[int, ...], radius_mm: float, spacing: NDArray, generator: np.random.Generator
) -> NDArray[np.float64]:
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(generator.standard_normal(shape), 0.4 * radius_mm / spacing)
    return np.asarray(noise / max(noise.std(), 1e-6))


def _box(grid: Grid, low: NDArray, high: NDArray) -> Box:
    start = np.clip(np.floor(low).astype(int), 0, np.array(grid.shape) - 1)
    stop = np.clip(np.ceil(high).astype(int) + 1, 1, np.array(grid.shape))
    return slice(start[0], stop[0]), slice(start[1], stop[1]), slice(start[2], stop[2])


def tree(
    grid: Grid, start: NDArray[np.float64], heading: NDArray[np.float64], radius_mm: float,
    length_mm: float, bend: float, branches: int, generator: np.random.Generator,
    *, prefer: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points (n, 3) in fractional index and radii (n,) mm of a bending tube with branches.

    `heading` is the first direction (any length, mm axes); `bend` the turn in radians (SD) per
    half millimetre. The tube seeks cells of `prefer`. A branch leaves at 30 to 60 degrees with 0.7
    of the radius and half the length.
    """
    spacing = np.array(grid.spacing_mm)
    seek = _Seek(prefer, spacing)
    path, headings = _walk(start * spacing, _unit(heading), length_mm, bend, generator, seek)
    points, radii = [path], [np.linspace(1.0, 0.75, len(path)) * radius_mm]
    for _ in range(branches):
        at = int(generator.integers(len(path) // 4, max(len(path) * 3 // 4, len(path) // 4 + 1)))
        side = _unit(np.cross(headings[at], generator.normal(size=3)))
        angle = generator.uniform(np.pi / 6, np.pi / 3)
        away = np.cos(angle) * headings[at] + np.sin(angle) * side
        branch, _ = _walk(path[at], away, length_mm / 2, bend, generator, seek)
        points.append(branch)
        radii.append(np.full(len(branch), 0.7 * radius_mm))
    every = np.concatenate(points) / spacing
    inside = ((every >= 1) & (every < np.array(grid.shape) - 2)).all(axis=1)
    return every[inside], np.concatenate(radii)[inside]


class _Seek(NamedTuple):
    """Cells a tube would rather run in; None: anywhere."""

    wanted: NDArray[np.bool_] | None
    spacing: NDArray[np.float64]

    def best(self, place: NDArray, headings: NDArray) -> NDArray[np.float64]:
        """The heading whose way 1.5 mm ahead lies in wanted cells; the first where none does."""
        assert self.wanted is not None
        ahead = np.round((place + 1.5 * headings) / self.spacing).astype(int)
        ahead = np.clip(ahead, 0, np.array(self.wanted.shape) - 1)
        return np.asarray(headings[int(self.wanted[tuple(ahead.T)].argmax())])


def _walk(
    start: NDArray, direction: NDArray, length_mm: float, bend: float,
    generator: np.random.Generator, seek: _Seek,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    steps = max(2, int(length_mm / 0.5))
    turns = generator.normal(0, bend, (steps, 6, 3)) * np.array([1, 1, 2, 4, 8, 16])[:, None]
    headings = np.empty((steps, 3))
    place = np.array(start, dtype=float)
    for step in range(steps):
        options = direction + turns[step]
        options /= np.maximum(np.linalg.norm(options, axis=1, keepdims=True), 1e-9)
        direction = seek.best(place, options) if seek.wanted is not None else options[0]
        headings[step] = direction
        place = place + 0.5 * direction
    return start + 0.5 * np.cumsum(headings, axis=0), headings


def _unit(vector: NDArray) -> NDArray[np.float64]:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9))


def paint(grid: Grid, points: NDArray[np.float64], radii_mm: NDArray[np.float64]
          ) -> tuple[Box, Float]:
    """Balls along a path: (box, weight). Tubes thinner than a cell fill it in part."""
    if not len(points):
        return (slice(0, 0),) * 3, np.zeros((0, 0, 0), np.float32)
    spacing = np.array(grid.spacing_mm)
    cell = float(spacing.mean())
    reach = (radii_mm.max() + cell) / spacing + 1
    box = _box(grid, points.min(axis=0) - reach, points.max(axis=0) + reach)
    origin = np.array([s.start for s in box])
    weight = np.zeros([s.stop - s.start for s in box], np.float32)
    for point, radius in zip(points - origin, radii_mm, strict=True):
        low = np.maximum(np.floor(point - reach).astype(int), 0)
        high = np.minimum(np.ceil(point + reach).astype(int) + 1, weight.shape)
        axes = [((np.arange(low[a], high[a]) - point[a]) * spacing[a]) ** 2 for a in range(3)]
        distance = np.sqrt(axes[0][:, None, None] + axes[1][:, None] + axes[2])
        share = _thin_share(radius / cell)
        part = weight[low[0]:high[0], low[1]:high[1], low[2]:high[2]]
        np.maximum(part, share * np.clip((radius - distance) / cell + 0.5, 0, 1), out=part,
                   casting="unsafe")
    return box, weight


def _thin_share(ratio: float) -> float:
    """Factor that keeps a soft tube's cross-section at pi r^2; `ratio` is radius over cell."""
    if ratio >= 0.5:
        return float(ratio**2 / (ratio**2 + 1 / 12))
    return float(3 * ratio**2 / (ratio + 0.5) ** 3)
