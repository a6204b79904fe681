"""What ageing brains hold besides lesions: bright on T2, no susceptibility, never labelled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.phantom.head import Head
from apps.phantom.shapes import Box, ellipsoid, paint, tree
from apps.phantom.sites import Sites
from apps.phantom.tissue import PropertyTable, Tissue


def add_distractors(
    head: Head, table: PropertyTable, generator: np.random.Generator, *,
    perivascular_spaces: int, white_matter_lesions: int,
) -> None:
    """Turn tissue of the head into fluid tubes and soft white-matter lesions, in place.

    Perivascular spaces: radius 0.4 to 1.2 mm, length 3 to 12 mm, straight; half in the putamen,
    half in white matter. White-matter lesions: radius 1 to 5 mm, soft rim. Our choice.
    """
    sites = Sites(head, generator)
    for number in range(perivascular_spaces):
        place = sites.in_regions((3, 4)) if number % 2 else sites.in_tissue(Tissue.WHITE)
        if place is not None:
            points, radii = tree(
                head.grid, place, generator.normal(size=3), float(generator.uniform(0.4, 1.2)),
                float(generator.uniform(3, 12)), 0.03, 0, generator)
            _turn_into(head, table, Tissue.CSF, paint(head.grid, points, radii))
    for _ in range(white_matter_lesions):
        place = sites.in_tissue(Tissue.WHITE)
        if place is not None:
            radius = float(generator.uniform(1, 5))
            box, weight = ellipsoid(head.grid, place, radius, generator, elongation=0.3,
                                    softness_mm=1.5, roughness=0.25)
            white = np.isin(head.tissue[box], (Tissue.WHITE, Tissue.CALLOSUM, Tissue.CAPSULE))
            _turn_into(head, table, Tissue.WHITE_LESION, (box, weight * white))


def _turn_into(
    head: Head, table: PropertyTable, tissue: Tissue, shape: tuple[Box, NDArray[np.float32]]
) -> None:
    """Mix the tissue's properties into the head by weight, inside the brain."""
    box, weight = shape
    share = weight * head.brain[box]
    columns = (
        (head.chi_ppm, table.chi_ppm), (head.r1, table.r1), (head.r2, table.r2),
        (head.r2star, table.r2star), (head.pd, table.pd), (head.fa, table.fa),
        (head.cbf, table.cbf),
    )
    for array, column in columns:
        array[box] += share * (column[tissue] - array[box])
