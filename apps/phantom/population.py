"""What varies between sites and between people: scanner settings and burdens of a cohort.

All shares and ranges are our own choice, within what sites use and cohorts report.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.phantom.lesions import Burden
from apps.phantom.types import Protocol

Echoes = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Sites:
    """Settings that a cohort's scanners draw from: tesla, milliseconds, millimetres.

    `echo_times_ms` per field strength; `thickness_mm` with the share of scans that have it.
    """

    field_shares: dict[float, float]
    echo_times_ms: dict[float, Echoes]
    thickness_mm: dict[float, float]
    in_plane_mm: tuple[float, ...]
    snr: tuple[float, float]
    flip_angle_deg: tuple[float, ...]
    swi_keep: tuple[float, ...]


SEEN = Sites(
    field_shares={1.5: 0.2, 3.0: 0.65, 7.0: 0.15},
    echo_times_ms={
        1.5: ((40.0,), (13.0, 26.0, 39.0)),
        3.0: ((20.0,), (7.0, 14.0, 21.0), (5.0, 12.5, 20.0), (6.0, 12.0, 18.0, 24.0)),
        7.0: ((14.0,), (4.0, 8.0, 12.0)),
    },
    thickness_mm={0.8: 0.03, 1.0: 0.1, 1.5: 0.22, 2.0: 0.3, 2.5: 0.15, 3.0: 0.15, 4.0: 0.05},
    in_plane_mm=(0.75, 0.9, 1.0, 1.0), snr=(22.0, 55.0), flip_angle_deg=(15.0,),
    swi_keep=(0.2, 0.25, 0.35),
)
"""Scanners of training and validation subjects."""

UNSEEN = Sites(
    field_shares={1.5: 0.25, 3.0: 0.6, 7.0: 0.15},
    echo_times_ms={
        1.5: ((35.0,), (10.0, 20.0, 30.0, 40.0)),
        3.0: ((22.5,), (8.0, 16.0, 24.0), (4.9, 9.8, 14.7, 19.6, 24.5)),
        7.0: ((16.0,), (5.0, 10.0, 15.0)),
    },
    thickness_mm={0.9: 0.05, 1.2: 0.2, 1.8: 0.35, 2.2: 0.2, 2.8: 0.15, 3.5: 0.05},
    in_plane_mm=(0.8, 0.85, 0.95), snr=(20.0, 50.0), flip_angle_deg=(12.0, 20.0),
    swi_keep=(0.15, 0.3),
)
"""Scanners of test subjects: no echo train, voxel, flip angle or SWI filter of `SEEN`."""


def draw_protocol(generator: np.random.Generator, sites: Sites = SEEN) -> Protocol:
    """Scanner settings of one session.

    Half of the sessions leave out up to 30 % of the phase-encoding lines, a fifth have a head that
    moves by 0.2 to 1 mm. The other series do not move against GRE: see `series_shift_mm`.
    """
    field = float(generator.choice(list(sites.field_shares), p=list(sites.field_shares.values())))
    trains = sites.echo_times_ms[field]
    echoes = trains[generator.integers(len(trains))]
    thickness = float(generator.choice(
        list(sites.thickness_mm), p=list(sites.thickness_mm.values())))
    in_plane = float(generator.choice(sites.in_plane_mm))
    x, y, z = (float(angle) for angle in generator.normal(0, 7, 3))
    halved, moves = generator.random(2)
    return Protocol(
        field_strength_t=field, echo_times_ms=echoes,
        repetition_time_ms=max(30.0, echoes[-1] + 9),
        flip_angle_deg=float(generator.choice(sites.flip_angle_deg)),
        voxel_mm=(thickness, in_plane, in_plane), tilt_deg=(x, y, z), series_tilt_deg=0.0,
        series_shift_mm=0.0, snr=float(generator.uniform(*sites.snr)),
        phase_resolution=float(generator.uniform(0.7, 1.0)) if halved < 0.5 else 1.0,
        motion_mm=float(generator.uniform(0.2, 1.0)) if moves < 0.2 else 0.0,
        swi_keep=float(generator.choice(sites.swi_keep)), swi_power=int(generator.integers(3, 6)),
    )


def population(generator: np.random.Generator) -> Burden:
    """As people over 45 have them: most scans with few microbleeds or none (see `lesions.draw`).

    Siderosis in 5 % of scans, a cavernoma in 3 %.
    """
    return Burden(
        siderosis=int(generator.integers(1, 5)) if generator.random() < 0.05 else 0,
        cavernomas=int(generator.random() < 0.03), **_ageing(generator),
    )


def many(generator: np.random.Generator, microbleeds: tuple[int, int]) -> Burden:
    """Subjects to learn from: a lesion costs nothing to simulate, a subject does.

    `microbleeds`: fewest and most. Half of them have up to 12 iron deposits, half at most 3: a
    nucleus without one must stay common. Siderosis and cavernomas in a third of them.
    """
    return Burden(
        microbleeds=int(generator.integers(*microbleeds, endpoint=True)),
        iron_deposits=int(generator.integers(0, generator.choice((4, 13)))),
        calcifications=int(generator.integers(1, 7)),
        siderosis=int(generator.integers(1, 4)) if generator.random() < 0.33 else 0,
        cavernomas=int(generator.integers(1, 3)) if generator.random() < 0.33 else 0,
        **_ageing(generator),
    )


def _ageing(generator: np.random.Generator) -> dict[str, int]:
    return {"perivascular_spaces": int(generator.integers(0, 30)),
            "white_matter_lesions": int(generator.integers(0, 20))}
