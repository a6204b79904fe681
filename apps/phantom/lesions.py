"""How much is planted into a head, and what each object does to its tissue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.head import Head
from apps.phantom.sites import Sites
from apps.phantom.sources import MAKERS, Maker, Source
from apps.phantom.tissue import R2STAR_PER_PPM_3T
from apps.phantom.types import Planted

Float = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Burden:
    """How many of each are planted; None draws from the population (see `draw`).

    Siderosis and cavernomas are planted as told, none by default: their rarity is the population's
    (see `population`). Perivascular spaces and white-matter lesions are never labelled (see
    `distractors`).
    """

    microbleeds: int | None = None
    iron_deposits: int | None = None
    calcifications: int | None = None
    veins: int | None = None
    flow_voids: int | None = None
    siderosis: int = 0
    cavernomas: int = 0
    perivascular_spaces: int = 0
    white_matter_lesions: int = 0

    @classmethod
    def none(cls) -> Burden:
        """A head with nothing planted."""
        return cls(0, 0, 0, 0, 0)


class Effect(NamedTuple):
    """What a full cell does besides susceptibility: PD factor, 1/s added at 3 T."""

    pd: float
    r2star: float
    r2: float


# Our choices: a bleed loses some water and dephases inside; T2 shows it less than SWI. Iron acts
# in proportion to its susceptibility: R2* as diffuse iron does, R2 weakly (per ppm).
_EFFECTS: dict[Planted, Effect] = {
    Planted.MICROBLEED: Effect(0.70, 60.0, 10.0),
    Planted.IRON_DEPOSIT: Effect(1.0, R2STAR_PER_PPM_3T, 12.0),
    Planted.CALCIFICATION: Effect(0.45, 40.0, 6.0),
    Planted.VEIN: Effect(1.0, 15.0, 6.0),
    Planted.FLOW_VOID: Effect(0.04, 0.0, 0.0),
    Planted.SIDEROSIS: Effect(0.90, 40.0, 8.0),
    Planted.CAVERNOMA: Effect(0.80, 50.0, 6.0),
}


def draw(burden: Burden, generator: np.random.Generator) -> dict[Planted, int]:
    """Counts, drawn where the burden leaves them open.

    Microbleeds: negative binomial, mean 4, shape 0.45 (a third of scans have none, one in twelve
    over 15; at most 60).
    Iron 0-7 (mean 2), calcium 0-4 (1.3), veins 20-50, flow voids 2-8. All our choice.
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
        Planted.FLOW_VOID: burden.flow_voids, Planted.SIDEROSIS: burden.siderosis,
        Planted.CAVERNOMA: burden.cavernomas,
    }
    return {kind: drawn[kind] if n is None else n for kind, n in given.items()}


def plant(
    head: Head, counts: Mapping[Planted, int], generator: np.random.Generator,
    *, field_strength_t: float,
) -> tuple[list[Source], Float]:
    """Place sources and write them into the head's R2, R2*, PD maps.

    Returns the sources and their own susceptibility map (ppm, fine grid), kept apart from the
    head's so that the lesion-free twin costs no second head.
    """
    sites = Sites(head, generator)
    sources: list[Source] = []
    for kind, maker in MAKERS.items():
        for _ in range(counts[kind]):
            source = _place(maker, head, sites, generator, sources)
            if source is not None:
                sources.append(source)
    chi = np.zeros_like(head.chi_ppm)
    for source in sources:
        _write(head, chi, source, field_strength_t / 3.0)
    return sources, chi


def _place(
    maker: Maker, head: Head, sites: Sites, generator: np.random.Generator,
    sources: Sequence[Source],
) -> Source | None:
    """A source that keeps 2 mm from the compact ones already there; None after 20 tries."""
    for _ in range(20):
        source = maker(head, sites, generator)
        if source is not None and not any(_too_near(source, other) for other in sources):
            return source
    return None


def _too_near(one: Source, other: Source) -> bool:
    if {one.kind, other.kind} & {Planted.VEIN, Planted.FLOW_VOID, Planted.SIDEROSIS}:
        return False
    gap = np.linalg.norm(np.subtract(one.centre_lps_mm, other.centre_lps_mm))
    return bool(gap < one.radius_mm + other.radius_mm + 2.0)


def _write(head: Head, chi: Float, source: Source, field_ratio: float) -> None:
    pd, r2star, r2 = _EFFECTS[source.kind]
    box, weight = source.box, source.weight
    if source.kind is Planted.IRON_DEPOSIT:
        r2star, r2 = r2star * source.chi_ppm, r2 * source.chi_ppm
    chi[box] += weight * np.float32(source.chi_ppm)
    head.r2star[box] += weight * np.float32(r2 + (r2star - r2) * field_ratio)
    head.r2[box] += weight * np.float32(r2)
    head.pd[box] *= 1.0 - weight * np.float32(1.0 - pd)
