"""Lesions counted: by class, by MARS location, and the imaging pattern of the microbleeds."""

from __future__ import annotations

from collections.abc import Sequence

from operators.labels import LESIONS, LesionClass, MarsCategory, Pattern, Side
from operators.types import Lesion

UNCLASSIFIED = "unclassified"
_BRAIN_STEM = "brain stem"


def counts_by_class(lesions: Sequence[Lesion]) -> dict[str, int]:
    """Number of lesions by class abbreviation; every class has an entry."""
    return {
        label.abbreviation: sum(lesion.kind is kind for lesion in lesions)
        for kind, label in LESIONS.items()
    }


def counts_by_location(lesions: Sequence[Lesion]) -> dict[str, dict[str, dict[str, int]]]:
    """MARS location -> side -> class -> number; only locations with a lesion have an entry.

    A lesion without a location is under "unclassified", side "midline".
    """
    places = sorted({_place(lesion) for lesion in lesions})
    table: dict[str, dict[str, dict[str, int]]] = {}
    for mars, side in places:
        here = [lesion for lesion in lesions if _place(lesion) == (mars, side)]
        table.setdefault(mars, {})[side] = counts_by_class(here)
    return table


def imaging_pattern(lesions: Sequence[Lesion]) -> Pattern:
    """The pattern of the microbleeds among `lesions`; see `labels.Pattern` for its rules."""
    bleeds = [lesion for lesion in lesions if lesion.kind is LesionClass.MICROBLEED]
    if not bleeds:
        return Pattern.NONE
    sites = [lesion.location for lesion in bleeds if lesion.location is not None]
    categories = {site.category for site in sites}
    lobar, deep = MarsCategory.LOBAR in categories, MarsCategory.DEEP in categories
    brain_stem = any(site.mars == _BRAIN_STEM for site in sites)
    if lobar:
        return Pattern.MIXED if deep or brain_stem else Pattern.LOBAR
    if deep:
        return Pattern.DEEP
    infratentorial = MarsCategory.INFRATENTORIAL in categories
    return Pattern.INFRATENTORIAL if infratentorial else Pattern.UNCLASSIFIED


def _place(lesion: Lesion) -> tuple[str, str]:
    site = lesion.location
    if site is None or site.mars is None:
        return UNCLASSIFIED, Side.MIDLINE.value
    return site.mars, site.side.value
