"""The lenticulostriate complex of a subject alone: T1w, FA and CBF of the deep nuclei, in seconds.

For cohorts in which something is, or is not, to be found: how diseased the small vessels are shows
in the T1w by `shown`, in FA and CBF by `measured`. Where both are the same number there is a
relation to find; where they are drawn apart there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.phantom import contrasts
from apps.phantom.anatomy import Anatomy
from apps.phantom.distractors import add_distractors
from apps.phantom.grids import axial_grid
from apps.phantom.head import Head, draw_table, make_head
from apps.phantom.types import Protocol
from apps.phantom.warp import random_warp
from operators.labels import LNC_NAMES, Side, structure
from operators.types import Role

if TYPE_CHECKING:
    from highdicom import Volume

EXTENT_MM = (72.0, 120.0, 104.0)
"""Of the box about the nuclei (slice, row, column)."""
NUCLEI = tuple(structure(name, side).number for name in LNC_NAMES[:3] for side in Side
               if side in (Side.LEFT, Side.RIGHT))
# Our choices. Enlarged perivascular spaces are what small-vessel disease shows in these nuclei on
# T1w; a slope of R1 from front to back leaves mean and spread nearly as they are.
SPACES, SPACES_GAIN = 12.0, 0.5
R1_SLOPE = 0.05
FA_LOSS, CBF_LOSS = 0.07, 0.10


@dataclass(frozen=True, slots=True, eq=False)
class Complex:
    """One subject: images float32 on their own grids, regions on the T1w's; one head position."""

    anatomy: str
    age_years: float
    images: dict[Role, Volume]
    regions: Volume


def simulate_complex(seed: int, *, anatomy: Anatomy, shown: float, measured: float) -> Complex:
    """T1w, FA and CBF about the deep nuclei; `shown` and `measured` have mean 0 and spread 1.

    The same arguments give the same arrays; `measured` leaves the T1w as it is.
    """
    warps, tissues, spaces, scans = (
        np.random.default_rng(one) for one in np.random.SeedSequence(seed).spawn(4))
    warp = random_warp(warps)
    age = float(tissues.uniform(45, 88))
    table = draw_table(tissues, field_strength_t=3.0, age_years=age)
    grid = axial_grid((1.0, 1.0, 1.0), EXTENT_MM, _centre(anatomy, warp.affine))
    head = make_head(anatomy, warp, grid, table, tissues, with_background=False)
    count = spaces.poisson(SPACES * np.exp(SPACES_GAIN * shown))
    add_distractors(head, table, spaces, perivascular_spaces=2 * int(count),
                    white_matter_lesions=0)
    nuclei = np.isin(head.regions, NUCLEI)
    _slope(head.r1, nuclei, 1 + R1_SLOPE * shown)
    head.fa[nuclei] *= np.float32(1 - FA_LOSS * measured)
    head.cbf[nuclei] *= np.float32(1 - CBF_LOSS * measured)
    return Complex(anatomy.name, age, _images(head, scans), grid.volume(
        (head.regions * head.brain).astype(np.uint8)))


def _centre(anatomy: Anatomy, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the nuclei of the anatomy lie in the patient, LPS mm."""
    middle = anatomy.grid.point(np.argwhere(np.isin(anatomy.regions, NUCLEI)).mean(axis=0))
    return np.asarray(np.linalg.inv(affine)[:3, :3] @ (middle - affine[:3, 3]))


def _slope(r1: NDArray[np.float32], inside: NDArray[np.bool_], factor: float) -> None:
    """R1 times `factor` at the front of the nuclei, over it at their back, 1 in their middle."""
    rows = np.argwhere(inside)[:, 1]
    if rows.size:
        along = np.clip((rows.mean() - rows) / max(2 * rows.std(), 1), -1, 1)
        r1[inside] *= np.power(np.float32(factor), along).astype(np.float32)


def _images(head: Head, generator: np.random.Generator) -> dict[Role, Volume]:
    still = Protocol(series_tilt_deg=0.0, series_shift_mm=0.0, snr=40.0)
    centre = head.grid.point((np.array(head.grid.shape) - 1) / 2)
    out = (contrasts.structural(head, still, generator, centre)
           | contrasts.diffusion(head, still, generator, centre)
           | contrasts.perfusion(head, still, generator, centre))
    return {role: out[role].volumes[0] for role in (Role.T1W, Role.FA, Role.CBF)}
