"""Counts and the imaging pattern follow MARS and the Boston criteria's bookkeeping."""

from __future__ import annotations

import pytest

from operators.dicom_writer.burden import counts_by_class, counts_by_location, imaging_pattern
from operators.labels import LesionClass, Pattern, Side, structure
from operators.types import Lesion

FRONTAL = ("frontal lobe", Side.LEFT)
PUTAMEN = ("putamen", Side.RIGHT)
CEREBELLUM = ("cerebellum", Side.LEFT)
BRAIN_STEM = ("brain stem", Side.MIDLINE)


def _lesion(
    site: tuple[str, Side] | None, kind: LesionClass = LesionClass.MICROBLEED, index: int = 1
) -> Lesion:
    return Lesion(
        index=index, kind=kind, location=structure(*site) if site else None, volume_mm3=10.0,
        diameter_mm=3.0, centroid_lps_mm=(0, 0, 0), mean_ppm=None, peak_ppm=None, probability=0.9,
        vesselness=0.0, reason="", uid="1.2",
    )


@pytest.mark.parametrize(
    ("sites", "pattern"),
    [
        ([], Pattern.NONE),
        ([FRONTAL, FRONTAL], Pattern.LOBAR),
        ([PUTAMEN], Pattern.DEEP),
        ([FRONTAL, PUTAMEN], Pattern.MIXED),
        ([FRONTAL, CEREBELLUM], Pattern.LOBAR),
        ([PUTAMEN, CEREBELLUM], Pattern.DEEP),
        ([FRONTAL, BRAIN_STEM], Pattern.MIXED),
        ([BRAIN_STEM, CEREBELLUM], Pattern.INFRATENTORIAL),
        ([None], Pattern.UNCLASSIFIED),
    ],
)
def test_cerebellum_counts_neither_as_lobar_nor_as_deep_and_brain_stem_as_deep(
    sites: list[tuple[str, Side] | None], pattern: Pattern
) -> None:
    assert imaging_pattern([_lesion(site) for site in sites]) is pattern


def test_only_microbleeds_make_the_pattern() -> None:
    iron = _lesion(PUTAMEN, LesionClass.IRON_DEPOSIT)
    assert imaging_pattern([_lesion(FRONTAL), iron]) is Pattern.LOBAR
    assert imaging_pattern([iron]) is Pattern.NONE


def test_every_class_is_counted_and_none_is_zero() -> None:
    lesions = [_lesion(FRONTAL), _lesion(PUTAMEN), _lesion(None, LesionClass.VESSEL)]
    assert counts_by_class(lesions) == {"CMB": 2, "NHID": 0, "CALC": 0, "VESSEL": 1}


def test_locations_are_mars_s_with_side_and_add_up_to_the_total() -> None:
    lesions = [
        _lesion(FRONTAL), _lesion(PUTAMEN), _lesion(("pallidum", Side.RIGHT)),
        _lesion(("ventricles", Side.MIDLINE)), _lesion(None),
    ]
    table = counts_by_location(lesions)
    assert table["frontal"]["left"]["CMB"] == 1
    assert table["basal ganglia"]["right"]["CMB"] == 2
    assert table["unclassified"]["midline"]["CMB"] == 2
    assert sum(c["CMB"] for sides in table.values() for c in sides.values()) == len(lesions)
