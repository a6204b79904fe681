"""What is planted into a head: bleeds, iron, calcium, veins, flow voids.

Counts, sizes and strengths are our own choices within reported ranges; each is said where it is
drawn. Positions are LPS mm; weights are the share of each fine cell that the object fills.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.head import Head
from apps.phantom.shapes import ellipsoid, paint, tree
from apps.phantom.tissue import Tissue
from apps.phantom.types import Planted
from operators.labels import STRUCTURES, MarsCategory

Float = NDArray[np.float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Burden:
    """How many of each are planted; None draws from the population (see `draw`)."""

    microbleeds: int | None = None
    iron_deposits: int | None = None
    calcifications: int | None = None
    veins: int | None = None
    flow_voids: int | None = None

    @classmethod
    def none(cls) -> Burden:
        """A head with nothing planted."""
        return cls(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One object: `weight` (0 to 1) fills `box` of the fine grid."""

    kind: Planted
    centre_lps_mm: tuple[float, float, float]
    radius_mm: float
    chi_ppm: float
    structure: int
    box: Box
    weight: Float


class Effect(NamedTuple):
    """What a full cell does besides susceptibility: PD factor, 1/s added at 3 T."""

    pd: float
    r2star: float
    r2: float


# Our choices: a bleed loses some water and dephases inside; T2 shows it less than SWI. Iron's
# R2* is proportional to its susceptibility (`plant`).
EFFECTS: dict[Planted, Effect] = {
    Planted.MICROBLEED: Effect(0.70, 60.0, 7.0),
    Planted.IRON_DEPOSIT: Effect(1.0, 0.0, 0.0),
    Planted.CALCIFICATION: Effect(0.45, 40.0, 6.0),
    Planted.VEIN: Effect(1.0, 15.0, 6.0),
    Planted.FLOW_VOID: Effect(0.04, 0.0, 0.0),
}
IRON_R2STAR_PER_PPM, IRON_R2_PER_PPM = 137.0, 12.0


def draw(burden: Burden, generator: np.random.Generator) -> dict[Planted, int]:
    """Counts, drawn where the burden leaves them open.

    Microbleeds: negative binomial, mean 4, shape 0.45 (a third of scans have none, 5 % over 15).
    The others: iron 0-7, calcium 0-4, veins 20-50, flow voids 2-8. All our choice.
    """
    drawn = {
        Planted.MICROBLEED: int(min(generator.negative_binomial(0.45, 0.45 / 4.45), 60)),
        Planted.IRON_DEPOSIT: int(min(generator.negative_binomial(1.2, 1.2 / 3.2), 7)),
        Planted.CALCIFICATION: int(min(generator.poisson(1.3), 4)),
        Planted.VEIN: int(generator.integers(20, 51)),
        Planted.FLOW_VOID: int(generator.integers(2, 9)),
    }
    given = {
        Planted.MICROBLEED: burden.microbleeds, Planted.IRON_DEPOSIT: burden.iron_deposits,
        Planted.CALCIFICATION: burden.calcifications, Planted.VEIN: burden.veins,
        Planted.FLOW_VOID: burden.flow_voids,
    }
    return {kind: drawn[kind] if n is None else n for kind, n in given.items()}


def plant(
    head: Head, counts: dict[Planted, int], generator: np.random.Generator,
    *, field_strength_t: float,
) -> tuple[list[Source], Float]:
    """Place sources and write them into the head's R2, R2*, PD maps.

    Returns the sources and their own susceptibility map (ppm, fine grid), kept apart from the
    head's so that the lesion-free twin costs no second head.
    """
    makers = {
        Planted.VEIN: _vein, Planted.FLOW_VOID: _flow_void, Planted.IRON_DEPOSIT: _iron,
        Planted.CALCIFICATION: _calcification, Planted.MICROBLEED: _microbleed,
    }
    sites = Sites(head, generator)
    sources: list[Source] = []
    for kind, maker in makers.items():
        for _ in range(counts[kind]):
            source = _place(maker, head, sites, generator, sources)
            if source is not None:
                sources.append(source)
    chi = np.zeros_like(head.chi_ppm)
    for source in sources:
        _write(head, chi, source, field_strength_t / 3.0)
    return sources, chi


def _place(maker, head, sites, generator, sources) -> Source | None:  # type: ignore[no-untyped-def]
    """A source that keeps 2 mm from the compact ones already there; None after 20 tries."""
    for _ in range(20):
        source = maker(head, sites, generator)
        if source is not None and not any(_too_near(source, other) for other in sources):
            return source
    return None


def _too_near(one: Source, other: Source) -> bool:
    if Planted.VEIN in (one.kind, other.kind) or Planted.FLOW_VOID in (one.kind, other.kind):
        return False
    gap = np.linalg.norm(np.subtract(one.centre_lps_mm, other.centre_lps_mm))
    return bool(gap < one.radius_mm + other.radius_mm + 2.0)


def _write(head: Head, chi: Float, source: Source, field_ratio: float) -> None:
    effect, box, weight = EFFECTS[source.kind], source.box, source.weight
    r2star, r2 = effect.r2star, effect.r2
    if source.kind is Planted.IRON_DEPOSIT:
        r2star += IRON_R2STAR_PER_PPM * source.chi_ppm
        r2 += IRON_R2_PER_PPM * source.chi_ppm
    chi[box] += weight * np.float32(source.chi_ppm)
    head.r2star[box] += weight * np.float32(r2 + (r2star - r2) * field_ratio)
    head.r2[box] += weight * np.float32(r2)
    head.pd[box] *= 1.0 - weight * np.float32(1.0 - effect.pd)


class Sites:
    """Where things may lie: lists of fine cells per structure, drawn from at random."""

    def __init__(self, head: Head, generator: np.random.Generator) -> None:
        self._head, self._generator = head, generator
        self._stride = 2
        self._regions = np.where(head.brain, head.regions, 0)[::2, ::2, ::2]
        self._tissue = head.tissue[::2, ::2, ::2]
        self._near_brain = head.brain[::2, ::2, ::2]
        solid = self._tissue != Tissue.CSF
        self._solid = solid & (self._tissue != Tissue.CHOROID)
        self._mix = generator.dirichlet((1.1, 0.6, 0.5))
        categories = (MarsCategory.LOBAR, MarsCategory.DEEP, MarsCategory.INFRATENTORIAL)
        self._cells = {
            category: self._where(
                np.isin(self._regions, [n for n, s in STRUCTURES.items()
                                        if s.category is category]) & self._solid)
            for category in categories
        }
        self._cache: dict[tuple[str, tuple[int, ...]], NDArray[np.intp]] = {}

    def _where(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        return np.flatnonzero(mask)

    def _pick(self, cells: NDArray[np.intp]) -> NDArray[np.float64] | None:
        if not cells.size:
            return None
        flat = int(cells[self._generator.integers(cells.size)])
        index = np.array(np.unravel_index(flat, self._regions.shape)) * self._stride
        return index + self._generator.uniform(-0.49, 0.49, 3)

    def by_category(self) -> NDArray[np.float64] | None:
        """Lobar, deep or infratentorial by this subject's own mix (CAA-like to hypertensive)."""
        category = list(self._cells)[self._generator.choice(3, p=self._mix)]
        return self._pick(self._cells[category])

    def in_regions(self, numbers: Sequence[int]) -> NDArray[np.float64] | None:
        key = ("region", tuple(numbers))
        if key not in self._cache:
            self._cache[key] = self._where(np.isin(self._regions, numbers))
        return self._pick(self._cache[key])

    def in_tissue(self, tissues: Sequence[Tissue]) -> NDArray[np.float64] | None:
        """Inside the brain mask, in one of the tissues."""
        key = ("tissue", tuple(int(t) for t in tissues))
        if key not in self._cache:
            self._cache[key] = self._where(np.isin(self._tissue, tissues) & self._near_brain)
        return self._pick(self._cache[key])


def _source(
    head: Head, kind: Planted, index: NDArray[np.float64], radius: float, chi: float,
    painted: tuple[Box, Float],
) -> Source | None:
    box, weight = painted
    if weight.size == 0 or float(weight.max()) < 0.05:
        return None
    cell = tuple(np.clip(np.round(index).astype(int), 0, np.array(head.grid.shape) - 1))
    x, y, z = (float(v) for v in head.grid.point(index))
    return Source(kind, (x, y, z), radius, chi, int(head.regions[cell]), box, weight)


def _microbleed(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Radius lognormal about 0.95 mm (0.4-3.5; blooming makes 1-10 mm), 0.5-2.8 ppm."""
    index = sites.by_category()
    if index is None:
        return None
    radius = float(np.clip(generator.lognormal(np.log(0.95), 0.5), 0.4, 3.5))
    chi = float(generator.uniform(0.5, 2.8))
    shape = ellipsoid(head.grid, index, radius, generator, elongation=0.15)
    return _source(head, Planted.MICROBLEED, index, radius, chi, shape)


def _calcification(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Half in choroid plexus and pallidum (where they are common), half anywhere."""
    draw_site = generator.random()
    if draw_site < 0.25:
        index = sites.in_tissue((Tissue.CHOROID,))
    elif draw_site < 0.5:
        index = sites.in_regions((5, 6))
    else:
        index = sites.by_category()
    if index is None:
        return None
    radius = float(np.clip(generator.lognormal(np.log(1.4), 0.4), 0.6, 4.0))
    chi = float(-generator.uniform(0.4, 1.6))
    shape = ellipsoid(head.grid, index, radius, generator, elongation=0.25)
    return _source(head, Planted.CALCIFICATION, index, radius, chi, shape)


def _iron(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Soft irregular patch of pallidum (60 %) or putamen, +0.05 to +0.2 ppm over diffuse iron."""
    nucleus = (5, 6) if generator.random() < 0.6 else (3, 4)
    index = sites.in_regions(nucleus)
    if index is None:
        return None
    radius = float(generator.uniform(1.8, 4.5))
    chi = float(generator.uniform(0.05, 0.20))
    box, weight = ellipsoid(
        head.grid, index, radius, generator, elongation=0.35, softness_mm=1.2, roughness=0.35)
    cell = tuple(np.round(index).astype(int))
    inside = np.isin(head.regions[box], nucleus) & (
        head.regions[box] % 2 == head.regions[cell] % 2)
    weight = weight * _blurred(inside)
    return _source(head, Planted.IRON_DEPOSIT, index, radius, chi, (box, weight))


def _blurred(mask: NDArray[np.bool_]) -> Float:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(mask.astype(np.float32), 0.8))


def _vein(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Medullary (thin, straight, white matter) or cortical (thicker, branching, sulci)."""
    medullary = generator.random() < 0.4
    if medullary:
        index = sites.in_tissue((Tissue.WHITE, Tissue.WHITE_LESION))
        radius, length, bend = generator.uniform(0.3, 0.6), generator.uniform(10, 28), 0.03
    else:
        index = sites.in_tissue((Tissue.CSF, Tissue.GREY))
        radius, length, bend = generator.uniform(0.4, 1.1), generator.uniform(12, 40), 0.10
    if index is None:
        return None
    chi = float(generator.uniform(0.25, 0.45))
    branches = 0 if generator.random() < 0.5 else int(generator.integers(1, 4))
    points, radii = tree(head.grid, index, float(radius), float(length), bend, branches, generator)
    inside = [bool(head.brain[tuple(c)]) for c in points.round().astype(int)]
    shape = paint(head.grid, points[inside], radii[inside])
    return _source(head, Planted.VEIN, index, float(radius), chi, shape)


def _flow_void(head: Head, sites: Sites, generator: np.random.Generator) -> Source | None:
    """Fast arterial flow in cisterns and fissures: no signal, no susceptibility."""
    index = sites.in_tissue((Tissue.CSF,))
    if index is None:
        return None
    radius, length = float(generator.uniform(0.6, 1.5)), float(generator.uniform(8, 25))
    points, radii = tree(head.grid, index, radius, length, 0.12, 0, generator)
    return _source(head, Planted.FLOW_VOID, index, radius, 0.0, paint(head.grid, points, radii))
