"""A group that a rule gave a role: laid out, or with what is broken about it."""

from __future__ import annotations

from dataclasses import dataclass

from operators.dicom_loader.elements import is_made_by, number_of
from operators.dicom_loader.frames import states_component
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.rules import Facts, first_match
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.volumes import Layout, arrange, same_grid
from operators.errors import BrokenSeries
from operators.types import AslKind, Role

# Positions of a magnitude and its phase are written by the same scan and agree to the digit.
PAIR_TOLERANCE_MM = 0.01
# A symmetric tensor has six unknowns.
TENSOR_DIRECTIONS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A group that a rule gave a role, with its layout or what is broken about it."""

    group: Group
    facts: Facts
    role: Role
    place: int
    reason: str
    layout: Layout | None
    imaginary: Layout | None
    broken: str

    @property
    def name(self) -> str:
        """How messages call the series."""
        return name_of(self.group)

    def rank(self) -> tuple[float, ...]:
        """Higher is better, compared from the left.

        Whole before broken, labelled before calibration only, an earlier rule before a later one,
        original before derived, 3D before 2D, more directions, more echoes, finer voxels, more
        slices, prescan-normalised, then the later series (a repeat is taken because the first was
        not good), and the classic copy.
        """
        facts, voxel = self.facts, self._voxel_mm3()
        echoes = {frame.sample.echo_time_ms for frame in self.group.frames}
        return (
            not self.broken,
            not self.is_calibration,
            -self.place,
            "ORIGINAL" in facts.image_type,
            facts.acquisition == "3D",
            facts.directions,
            len(echoes),
            -round(voxel, 3),
            facts.slices,
            "NORM" in facts.image_type,
            number_of(self.group.header, "SeriesNumber") or 0.0,
            not self.group.instances[0].is_multiframe,
        )

    @property
    def is_calibration(self) -> bool:
        """M0 volumes and nothing else."""
        return all(frame.sample.asl is AslKind.M0 for frame in self.group.frames)

    @property
    def is_carrier_only(self) -> bool:
        """No map can be computed from it: it can only carry the scanner's map in registration."""
        if self.role == Role.DWI:
            return self.facts.directions < TENSOR_DIRECTIONS
        return self.role == Role.ASL and self.is_calibration

    def _voxel_mm3(self) -> float:
        plane = self.group.frames[0].plane
        thickness = (
            abs(self.layout.affine_lps_mm[:3, 0]).max()
            if self.layout is not None
            else number_of(self.group.header, "SliceThickness") or 1.0
        )
        return float(plane.spacing_mm[0] * plane.spacing_mm[1] * thickness)


def name_of(group: Group) -> str:
    """How messages call the series."""
    number = group.header.get("SeriesNumber")
    return f"series {number}" if number is not None else "a series without number"


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A group after the rules: a candidate for a role, or rejected, and why."""

    group: Group
    facts: Facts
    candidate: Candidate | None
    reason: str
    tell: bool = False


def try_group(group: Group, facts: Facts, settings: LoaderSettings) -> Tried:
    """Ask the rules for a role, and lay the frames out where there is one."""
    matched = first_match(settings.rules, facts)
    if matched is None:
        return Tried(group, facts, None, "no rule of app.yaml matches")
    place, rule = matched
    reason = facts.reason(rule.because)
    if rule.role is None:
        return Tried(group, facts, None, group.problem or reason, rule.tell)
    layout = imaginary = None
    broken = ""
    tolerances = {
        "spacing_mm": settings.slice_spacing_tolerance_mm,
        "shift_mm": settings.slice_shift_tolerance_mm,
    }
    try:
        _must_be_whole(group, rule.role)
        layout = arrange(group.frames, **tolerances)
        if group.is_complex:
            imaginary = arrange(group.imaginary, **tolerances)
            _must_match(layout, imaginary)
    except BrokenSeries as error:
        layout, broken = None, str(error)
    candidate = Candidate(group, facts, rule.role, place, reason, layout, imaginary, broken)
    return Tried(group, facts, candidate, reason)


def _must_be_whole(group: Group, role: Role) -> None:
    """Raise BrokenSeries for what arranging the frames would not show."""
    if group.problem:
        raise BrokenSeries(group.problem)
    for frame in group.frames + group.imaginary:
        if not frame.scaling.is_usable:
            raise BrokenSeries(
                f"{frame.instance.name} has a rescale slope of {frame.scaling.slope:g} and an "
                f"intercept of {frame.scaling.intercept:g}, numbers (the slope not 0) are wanted. "
                "Export the series again."
            )
    positions = [frame.plane.position_mm for frame in group.frames]
    echoes = {frame.sample.echo_time_ms for frame in group.frames}
    several = len(set(positions)) * len(echoes) < len(positions)
    unclear = is_made_by("GE", group.header) and not states_component(group.header)
    if role == Role.MAGNITUDE and several and unclear:
        raise BrokenSeries(
            "several images lie at one position, and the private GE element (0043,102F) that tells "
            "magnitude from phase is absent. Export the series with private elements."
        )


def _must_match(real: Layout, imaginary: Layout) -> None:
    if echoes_of(real) != echoes_of(imaginary) or not same_grid(
        real, imaginary, tolerance_mm=PAIR_TOLERANCE_MM
    ):
        raise BrokenSeries(
            "real and imaginary part differ in slices or echo times, the same are wanted. Send the "
            "series again, complete."
        )


def echoes_of(layout: Layout) -> list[float | None]:
    """Echo times of the first repetition, to 0.01 ms."""
    times = (s.echo_time_ms for s in layout.samples if s.repetition == 0)
    return [None if time is None else round(time, 2) for time in times]
