"""Makers of planted objects: one at a random place, or None where the head has no such place.

Sizes and strengths are our own choices within reported ranges; each maker says its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.phantom.head import Head
from apps.phantom.shapes import Box, ellipsoid, paint, tree
from apps.phantom.sites import Index, Sites
from apps.phantom.tissue import Tissue
from apps.phantom.types import Planted

Float = NDArray[np.float32]
PALLIDUM, PUTAMEN = (5, 6), (3, 4)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One object: `weight` (0 to 1, share of the cell it fills) in `box` of the fine grid."""

    kind: Planted
    centre_lps_mm: tuple[float, float, float]
    radius_mm: float
    chi_ppm: float
    structure: int
    box: Box
    weight: Float


Maker = Callable[[Head, Sites, np.random.Generator], "Source | None"]


def _source(
    head: Head, kind: Planted, index: Index, radius: float, chi: float, painted: tuple[Box, Float]
) -> Source | None:
    box, weight = painted
    if weight.size == 0 or float(weight.max()) < 0.05:
        return None
    cell = tuple(np.clip(np.round(index).astype(int), 0, np.array(head.grid.shape) - 1))
    x, y, z = (float(v) for v in head.grid.point(index))
    return Source(kind, (x, y, z), radius, chi, int(head.regions[cell]), box, weight)


def microbleed(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Radius lognormal about 0.95 mm (0.4-3.5; blooming makes 1-10 mm), 0.5-2.8 ppm."""
    index = sites.by_category()
    if index is None:
        return None
    radius = float(np.clip(generator.lognormal(np.log(0.95), 0.5), 0.4, 3.5))
    chi = float(generator.uniform(0.5, 2.8))
    shape = ellipsoid(head.grid, index, radius, generator, elongation=0.15)
    return _source(head, Planted.MICROBLEED, index, radius, chi, shape)


def calcification(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Half in choroid plexus and pallidum (where calcium is common), half anywhere.

    Radius lognormal about 1.4 mm (0.6-4), -0.4 to -1.6 ppm.
    """
    where = generator.random()
    if where < 0.25:
        index = sites.in_tissue(Tissue.CHOROID)
    else:
        index = sites.in_regions(PALLIDUM) if where < 0.5 else sites.by_category()
    if index is None:
        return None
    radius = float(np.clip(generator.lognormal(np.log(1.4), 0.4), 0.6, 4.0))
    chi = float(-generator.uniform(0.4, 1.6))
    shape = ellipsoid(head.grid, index, radius, generator, elongation=0.25)
    return _source(head, Planted.CALCIFICATION, index, radius, chi, shape)


def iron_deposit(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Soft irregular patch of pallidum (60 %) or putamen, 0.05 to 0.2 ppm (mean 0.11) over diffuse
    iron. Radius 1.8 to 4.5 mm before the nucleus cuts it, edge 1.2 mm wide.
    """
    nucleus = PALLIDUM if generator.random() < 0.6 else PUTAMEN
    index = sites.in_regions(nucleus)
    if index is None:
        return None
    radius = float(generator.uniform(1.8, 4.5))
    chi = float(0.05 + 0.15 * generator.beta(1.2, 2.0))
    box, weight = ellipsoid(
        head.grid, index, radius, generator, elongation=0.35, softness_mm=1.2, roughness=0.35)
    own = head.regions[tuple(np.round(index).astype(int))]
    weight = weight * _blurred(head.regions[box] == own)
    return _source(head, Planted.IRON_DEPOSIT, index, radius, chi, (box, weight))


def _blurred(mask: NDArray[np.bool_]) -> Float:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(mask.astype(np.float32), 0.8))


def vein(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """0.25 to 0.45 ppm. Medullary (40 %): thin, straight, away from the ventricle through white
    matter. Else cortical: thicker, bending, seeking the sulci; half of them branch."""
    medullary = generator.random() < 0.4
    tissues = (Tissue.WHITE, Tissue.WHITE_LESION) if medullary else (Tissue.CSF, Tissue.GREY)
    index = sites.in_tissue(*tissues)
    if index is None:
        return None
    if medullary:
        radius, length, bend = generator.uniform(0.3, 0.6), generator.uniform(10, 28), 0.03
        heading = sites.from_ventricle(index) + generator.normal(0, 0.2, 3)
    else:
        radius, length, bend = generator.uniform(0.4, 1.1), generator.uniform(12, 40), 0.10
        heading = generator.normal(size=3)
    fluid = None if medullary else head.tissue == Tissue.CSF
    branches = 0 if generator.random() < 0.5 else int(generator.integers(1, 4))
    points, radii = tree(head.grid, index, heading, float(radius), float(length), bend, branches,
                         generator, prefer=fluid)
    inside = head.brain[tuple(points.round().astype(int).T)]
    shape = paint(head.grid, points[inside], radii[inside])
    chi = float(generator.uniform(0.25, 0.45))
    return _source(head, Planted.VEIN, index, float(radius), chi, shape)


def flow_void(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Fast arterial flow in cisterns and sulci: no signal, no susceptibility."""
    index = sites.in_tissue(Tissue.CSF)
    if index is None:
        return None
    radius, length = float(generator.uniform(0.6, 1.5)), float(generator.uniform(8, 25))
    points, radii = tree(head.grid, index, generator.normal(size=3), radius, length, 0.12, 0,
                         generator, prefer=head.tissue == Tissue.CSF)
    return _source(head, Planted.FLOW_VOID, index, radius, 0.0, paint(head.grid, points, radii))


def siderosis(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Blood along the surface of the cortex: a patch of 4 to 14 mm radius, a film 1 mm deep.

    0.3 to 1.0 ppm, where grey matter meets the fluid of the sulci.
    """
    from scipy.ndimage import distance_transform_edt

    index = sites.in_tissue(Tissue.GREY)
    if index is None:
        return None
    radius = float(generator.uniform(4, 14))
    box, patch = ellipsoid(head.grid, index, radius, generator, elongation=0.3, softness_mm=2.0)
    fluid = head.tissue[box] == Tissue.CSF
    if not fluid.any():
        return None
    depth = distance_transform_edt(~fluid, sampling=head.grid.spacing_mm)
    film = np.exp(-((depth / 1.0) ** 2)) * (head.tissue[box] == Tissue.GREY) * head.brain[box]
    chi = float(generator.uniform(0.3, 1.0))
    weight = (patch * film).astype(np.float32)
    return _source(head, Planted.SIDEROSIS, index, radius, chi, (box, weight))


def cavernoma(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """A mulberry of 5 to 12 caverns of 0.8 to 2.2 mm within 4 mm, 0.4 to 1.5 ppm at the most.

    Each cavern holds a share of the most, so that the cluster is mottled.
    """
    index = sites.by_category()
    if index is None:
        return None
    spacing = np.array(head.grid.spacing_mm)
    reach = 8.0 / spacing
    low = np.clip(np.floor(index - reach).astype(int), 0, None)
    high = np.minimum(np.ceil(index + reach).astype(int) + 1, head.grid.shape)
    weight = np.zeros(high - low, np.float32)
    for _ in range(int(generator.integers(5, 13))):
        centre = index + generator.normal(0, 1.8, 3).clip(-4, 4) / spacing
        box, cavern = ellipsoid(head.grid, centre, float(generator.uniform(0.8, 2.2)), generator)
        place = tuple(slice(s.start - o, s.stop - o) for s, o in zip(box, low, strict=True))
        share = np.float32(generator.uniform(0.3, 1.0))
        part = weight[place]
        np.maximum(part, share * cavern[tuple(slice(n) for n in part.shape)], out=part)
    own = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    weight *= head.brain[own]
    chi = float(generator.uniform(0.4, 1.5))
    return _source(head, Planted.CAVERNOMA, index, 5.0, chi, (own, weight))


MAKERS: dict[Planted, Maker] = {
    Planted.VEIN: vein, Planted.FLOW_VOID: flow_void, Planted.IRON_DEPOSIT: iron_deposit,
    Planted.CALCIFICATION: calcification, Planted.MICROBLEED: microbleed,
    Planted.SIDEROSIS: siderosis, Planted.CAVERNOMA: cavernoma,
}
"""In the order of planting."""
