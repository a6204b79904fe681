"""The nouns of the simulator: a subject is what a scanner would give, and the truth behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.types import Role, Sample, Unit

if TYPE_CHECKING:
    from highdicom import Volume


class Planted(StrEnum):
    """What the simulator puts into a brain."""

    MICROBLEED = "microbleed"
    IRON_DEPOSIT = "iron_deposit"
    CALCIFICATION = "calcification"
    VEIN = "vein"
    FLOW_VOID = "flow_void"
    SIDEROSIS = "siderosis"
    CAVERNOMA = "cavernoma"


@dataclass(frozen=True, slots=True)
class PlantedLesion:
    """One planted object.

    Attributes
    ----------
    index : its number in `Truth.lesions`.
    centre_lps_mm : centre of the source, DICOM LPS.
    diameter_mm : diameter of what a reader would outline (equivalent sphere of the label).
    susceptibility_ppm : of the source, relative to its surroundings.
    structure : number in `operators.labels.STRUCTURES`, 0 outside all.
    """

    index: int
    kind: Planted
    centre_lps_mm: tuple[float, float, float]
    diameter_mm: float
    susceptibility_ppm: float
    structure: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """Scanner settings of a simulated session; milliseconds, tesla, millimetres.

    `tilt_deg` are rotations of the GRE slab about x, y and z (oblique slices: B0 stays along
    patient z). `series_tilt_deg` and `series_shift_mm` move the T2/T1/FA/CBF series between scans.
    `voxel_mm` and `field_of_view_mm` (slice, row, column) are of the GRE; the default field of view
    holds a whole brain. `phase_resolution` is the share of the GRE's phase-encoding lines that are
    acquired (below 1: Gibbs ringing), `motion_mm` the size of the head's moves during the GRE.
    `swi_keep` and `swi_power` are the scanner's SWI filter: share of k-space that its homodyne
    filter takes for background, power of its phase mask.
    """

    field_strength_t: float = 3.0
    echo_times_ms: tuple[float, ...] = (7.0, 14.0, 21.0)
    repetition_time_ms: float = 30.0
    flip_angle_deg: float = 15.0
    voxel_mm: tuple[float, float, float] = (2.0, 1.0, 1.0)
    tilt_deg: tuple[float, float, float] = (8.0, -4.0, 3.0)
    series_tilt_deg: float = 2.0
    series_shift_mm: float = 2.0
    snr: float = 40.0
    field_of_view_mm: tuple[float, float, float] = (160.0, 224.0, 192.0)
    phase_resolution: float = 1.0
    motion_mm: float = 0.0
    swi_keep: float = 0.25
    swi_power: int = 4


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One simulated contrast: volumes (slice, row, column) float32, LPS mm, in `unit`.

    `motion` (4, 4) maps a point of the series to the point of the same tissue in the GRE, LPS mm;
    None where the head did not move between them.
    """

    role: Role
    volumes: tuple[Volume, ...]
    samples: tuple[Sample, ...]
    unit: Unit
    motion: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is really there, on the GRE grid.

    Attributes
    ----------
    lesions : uint16 label of every planted object a reader would outline (0 elsewhere).
    planted : its list.
    susceptibility_ppm : float32, what QSM should show, mean of brain 0.
    brain : bool, without skull, with ventricles.
    regions : uint8, numbers of `operators.labels.STRUCTURES`.
    """

    lesions: Volume
    planted: tuple[PlantedLesion, ...]
    susceptibility_ppm: Volume
    brain: Volume
    regions: Volume


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One simulated subject. The same seed, anatomy and protocol give the same arrays."""

    seed: int
    anatomy: str
    protocol: Protocol
    images: Mapping[Role, Image]
    truth: Truth
