"""One subject's head on the fine grid: what every sequence reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.phantom.anatomy import Anatomy
from apps.phantom.field import b0_in_grid, dipole_field, shim_residual
from apps.phantom.grids import Grid, axial_grid, resample
from apps.phantom.tissue import AIR_PPM, BRAIN_FIRST, PropertyTable, Tissue, at_field
from apps.phantom.warp import Warp
from operators.resampling import sample

Float = NDArray[np.float32]

MARGIN_MM = 12.0
_BACKGROUND_MM = 2.0
_BACKGROUND_EXTENT_MM = 256.0


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """Property maps on the fine grid (float32); lesions are planted into them in place.

    `chi_ppm` holds brain, vessels and lesions only; skull and air act through `background_ppm`.
    `tissue` and `regions` are uint8, `brain` bool.
    """

    grid: Grid
    chi_ppm: Float
    r1: Float
    r2: Float
    r2star: Float
    pd: Float
    fa: Float
    cbf: Float
    tissue: NDArray[np.uint8]
    regions: NDArray[np.uint8]
    brain: NDArray[np.bool_]
    background_ppm: Float


def draw_table(
    generator: np.random.Generator, *, field_strength_t: float, age_years: float
) -> PropertyTable:
    """Tissue properties of one person: iron varies by 15 %, the rest by 2 to 3 % (our choice)."""
    count = len(Tissue)
    iron = np.clip(generator.normal(1.0, 0.15), 0.6, 1.5) * generator.normal(1, 0.05, count)
    table = at_field(field_strength_t, age_years=age_years, iron_scale=iron)
    varied = [column * generator.normal(1, 0.025, count).astype(np.float32) for column in table]
    return PropertyTable(*varied)


def make_head(
    anatomy: Anatomy, warp: Warp, grid: Grid, table: PropertyTable,
    generator: np.random.Generator, *, with_background: bool = True,
) -> Head:
    """Sample the anatomy through the warp; linear in the properties, nearest in the labels.

    The field of the background, of which only gradient echoes know, is 0 where it is not wanted.
    """
    points = warp.coordinates(grid, anatomy.grid)
    local = _local_chi(table)
    columns = np.stack([local, table.r1, table.r2, table.r2star, table.pd, table.fa, table.cbf])
    maps = [np.ascontiguousarray(m) for m in sample(columns[:, anatomy.tissue], points)]
    tissue, regions, brain = (
        sample(array, points, nearest=True).astype(np.uint8)
        for array in (anatomy.tissue, anatomy.regions, anatomy.brain)
    )
    head = Head(
        grid, maps[0], maps[1], maps[2], maps[3], maps[4], maps[5], maps[6], tissue, regions,
        brain.astype(bool),
        background(anatomy, warp, grid, table) if with_background else np.zeros_like(maps[0]))
    _add_texture(head, generator)
    return head


def _local_chi(table: PropertyTable) -> Float:
    chi = table.chi_ppm.copy()
    for tissue in Tissue:
        if tissue < BRAIN_FIRST and tissue != Tissue.SINUS_BLOOD:
            chi[tissue] = 0.0
    return chi


def _add_texture(head: Head, generator: np.random.Generator) -> None:
    """Slow variation inside tissues: 3 % at 8 mm, 4 % at 3 mm, the same sign in all maps."""
    noise = smooth_noise(head.grid, generator, 8.0) * 0.03
    noise += smooth_noise(head.grid, generator, 3.0) * 0.04
    gains = ((head.r2star, 1.0), (head.r2, 0.6), (head.r1, 0.5), (head.pd, -0.3), (head.fa, 2.5),
             (head.cbf, -1.5))
    for array, gain in gains:
        np.multiply(array, 1.0 + np.float32(gain) * noise, out=array)
    np.add(head.chi_ppm, np.float32(0.12) * noise * head.brain, out=head.chi_ppm)


def smooth_noise(grid: Grid, generator: np.random.Generator, knot_mm: float) -> Float:
    """Noise of unit variance at its knots, `knot_mm` apart, linear between them."""
    extent = [n * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    shape = [int(e / knot_mm) + 3 for e in extent]
    knots = generator.standard_normal(shape, dtype=np.float32)
    affine = grid.affine.copy()
    affine[:3, :3] *= knot_mm / np.array(grid.spacing_mm)
    affine[:3, 3] = grid.point((-0.5, -0.5, -0.5)) - affine[:3, :3] @ (0.3, 0.3, 0.3)
    return resample(knots, Grid(tuple(shape), affine), grid, border=True)  # type: ignore[arg-type]


def background(anatomy: Anatomy, warp: Warp, grid: Grid, table: PropertyTable) -> Float:
    """Field of air, bone and marrow, ppm, shimmed to second order over the brain.

    Made on a 2 mm grid of 256 mm along the patient's axes (the neck goes on below the label map),
    relative to surrounding air, then brought to the fine grid.
    """
    coarse = axial_grid((_BACKGROUND_MM,) * 3, (_BACKGROUND_EXTENT_MM,) * 3, (0.0, 0.0, 0.0))
    points = warp.coordinates(coarse, anatomy.grid)
    chi = np.where(_is_brain(anatomy.tissue), 0.0, table.chi_ppm[anatomy.tissue] - AIR_PPM)
    chi[anatomy.tissue == Tissue.AIR] = 0.0
    chi[_is_brain(anatomy.tissue)] = -AIR_PPM
    field = dipole_field(
        sample(chi.astype(np.float32), points), spacing_mm=coarse.spacing_mm,
        b0=b0_in_grid(coarse.affine), pad=64,
    )
    inside = sample(anatomy.brain, points, nearest=True) > 0.5
    return resample(shim_residual(field, inside, coarse.spacing_mm), coarse, grid, border=True)


def _is_brain(tissue: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((tissue >= BRAIN_FIRST) | (tissue == Tissue.SINUS_BLOOD))
