"""A ball of a head, small enough to simulate in a few seconds."""

from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.anatomy import Anatomy
from apps.phantom.grids import Grid
from apps.phantom.subject import Burden, simulate
from apps.phantom.tissue import Tissue
from apps.phantom.types import Protocol, Subject

SIZE = 96


@pytest.fixture(scope="session")
def ball() -> Anatomy:
    """White ball of 30 mm radius under cortex (34), CSF (36), bone (40), skin (44).

    Ventricle in the middle; a pallidum (numbers 5, 6) on each side; the left half is patient +x.
    """
    affine = np.eye(4)
    affine[:3, :3] = [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    affine[:3, 3] = -(SIZE - 1) / 2
    z, y, x = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    r = np.sqrt(x**2 + y**2 + z**2)
    tissue = np.zeros(r.shape, np.uint8)
    shells = ((44, Tissue.SKIN), (40, Tissue.BONE), (36, Tissue.CSF), (34, Tissue.GREY),
              (30, Tissue.WHITE), (6, Tissue.CSF))
    for radius, kind in shells:
        tissue[r <= radius] = kind
    regions = np.where(r <= 34, np.where(x > 0, 15, 16), 0).astype(np.uint8)
    regions[r <= 6] = 29
    for side, number in ((1, 5), (-1, 6)):
        pallidum = (x - side * 16) ** 2 + y**2 + z**2 <= 49
        tissue[pallidum], regions[pallidum] = Tissue.PALLIDUM, number
    return Anatomy("ball", tissue, regions, r <= 34, Grid(r.shape, affine))


@pytest.fixture(scope="session")
def protocol() -> Protocol:
    """A slab that just holds the ball, tilted, three echoes at 3 T."""
    return Protocol(field_of_view_mm=(80.0, 96.0, 96.0), snr=80.0)


@pytest.fixture(scope="session")
def loaded(ball: Anatomy, protocol: Protocol) -> Subject:
    """The ball with bleeds, iron and calcium."""
    burden = Burden(microbleeds=4, iron_deposits=2, calcifications=2, veins=0, flow_voids=0)
    return simulate(3, anatomy=ball, protocol=protocol, burden=burden)


@pytest.fixture(scope="session")
def empty(ball: Anatomy, protocol: Protocol) -> Subject:
    """The same head, coil and noise with nothing planted, and the scanner's own SWI."""
    return simulate(
        3, anatomy=ball, protocol=protocol, burden=Burden.none(), scanner_swi=True)
