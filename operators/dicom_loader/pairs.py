"""Which magnitude and which phase belong together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_loader.candidate import PAIR_TOLERANCE_MM, Candidate, echoes_of
from operators.dicom_loader.elements import DAMAGED, number_of
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.volumes import same_grid
from operators.types import Role

if TYPE_CHECKING:
    from pydicom import Dataset

# Own choice: a repeat begins later than this after the scan it repeats; one scan has one time.
_ONE_SCAN_S = 30.0


def has_pair(candidate: Candidate, rivals: list[Candidate], phases: list[Candidate]) -> bool:
    """Whether it is a magnitude to which one of the phases belongs."""
    return candidate.role == Role.MAGNITUDE and any(
        belongs(phase, candidate, rivals) for phase in phases
    )


def belongs(phase: Candidate, magnitude: Candidate, magnitudes: list[Candidate]) -> bool:
    """Whether they are a pair; where no time tells repeats apart, the nearest in number are."""

    def distance(other: Candidate) -> tuple[float, bool]:
        numbers = [number_of(c.group.header, "SeriesNumber") or 0.0 for c in (phase, other)]
        return abs(numbers[0] - numbers[1]), numbers[1] > numbers[0]

    if not _is_pair(magnitude, phase):
        return False
    if None not in (_begin_s(phase.group), _begin_s(magnitude.group)):
        return True
    return magnitude is min((m for m in magnitudes if _is_pair(m, phase)), key=distance)


def _is_pair(magnitude: Candidate, phase: Candidate) -> bool:
    """Same grid, echo times, frame of reference and time of acquisition."""
    one, other = magnitude.layout, phase.layout
    if one is None or other is None:
        return False
    return (
        echoes_of(one) == echoes_of(other)
        and same_grid(one, other, tolerance_mm=PAIR_TOLERANCE_MM)
        and _is_one_scan(magnitude.group, phase.group)
    )


def _is_one_scan(one: Group, other: Group) -> bool:
    """Not a repeat: the head may have moved between. What is not stated does not part them."""
    frames = {str(group.header.get("FrameOfReferenceUID") or "") for group in (one, other)} - {""}
    one_s, other_s = (_begin_s(group) for group in (one, other))
    apart = 0.0 if one_s is None or other_s is None else abs(one_s - other_s)
    return len(frames) < 2 and min(apart, 86400 - apart) <= _ONE_SCAN_S


def _begin_s(group: Group) -> float | None:
    """Acquisition Time of the first slice acquired, seconds of the day."""
    times = (_seconds(instance.header) for instance in group.instances)
    return min((time for time in times if time is not None), default=None)


def _seconds(header: Dataset) -> float | None:
    try:
        stated = str(header.get("AcquisitionDateTime") or "")[8:]
        digits = str(header.get("AcquisitionTime") or stated).partition(".")[0]
    except DAMAGED:
        return None
    if not (len(digits) >= 6 and digits[:6].isdigit()):
        return None
    return int(digits[:2]) * 3600.0 + int(digits[2:4]) * 60.0 + int(digits[4:6])


def is_cut(magnitude: Candidate, phase: Candidate) -> bool:
    """Whether the two are of one scan and differ in the number of slices alone."""
    one, other = magnitude.layout, phase.layout
    if one is None or other is None or one.shape[1:] != other.shape[1:]:
        return False
    axes = np.abs(one.affine_lps_mm[:3, :3] - other.affine_lps_mm[:3, :3]).max()
    return bool(
        echoes_of(one) == echoes_of(other)
        and one.shape[0] != other.shape[0]
        and axes <= PAIR_TOLERANCE_MM
        and _is_one_scan(magnitude.group, phase.group)
    )


def cut_message(magnitude: Candidate, phase: Candidate) -> str:
    """What is broken about the magnitude where `is_cut` holds."""
    counts = [c.layout.shape[0] if c.layout else 0 for c in (magnitude, phase)]
    return (
        f"{counts[0]} slices found, {phase.name}, its phase, has {counts[1]}. "
        "Send both again, complete."
    )
