"""One group per role: candidates by rule, the best of them by rank, a reason for each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_loader.frames import is_made_by, number_of, states_component
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.index import DAMAGED
from operators.dicom_loader.rules import Facts, facts_of, first_match
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.volumes import Layout, arrange, same_grid
from operators.errors import BrokenSeries
from operators.types import AslKind, Decision, Role

if TYPE_CHECKING:
    from pydicom import Dataset

# Positions of a magnitude and its phase are written by the same scan and agree to the digit.
_PAIR_TOLERANCE_MM = 0.01
# Own choice: a repeat begins later than this after the scan it repeats; one scan has one time.
_ONE_SCAN_S = 30.0

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
        return _name(self.group)

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


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The chosen candidates and the fate of every group, in series order.

    `told` are sentences on rejections that the report repeats.
    """

    chosen: dict[Role, Candidate]
    decisions: tuple[Decision, ...]
    told: tuple[str, ...] = ()


# What became of a candidate, by its identity: the role it got, or None, and why.
_Fates = dict[int, tuple[Role | None, str]]


def choose(groups: Iterable[Group], settings: LoaderSettings) -> Choice:
    """Give each role to the best candidate.

    Magnitude and phase are chosen as a pair on one grid with the same echoes; an M0 series on the
    grid of the chosen ASL series joins it.
    """
    tried = [_try(group, facts_of(group), settings) for group in groups]
    candidates = [one.candidate for one in tried if one.candidate is not None]
    chosen: dict[Role, Candidate] = {}
    fates: _Fates = {}
    phases = [c for c in candidates if c.role == Role.PHASE]
    for role in dict.fromkeys(c.role for c in candidates if c.role != Role.PHASE):
        rivals = [candidate for candidate in candidates if candidate.role == role]
        best = max(rivals, key=lambda c: (_has_pair(c, rivals, phases), c.rank()))
        _settle(best, rivals, chosen, fates)
    _choose_phase(phases, [c for c in candidates if c.role == Role.MAGNITUDE], chosen, fates)
    _join_calibration(candidates, chosen, fates)
    _drop_idle_carriers(chosen, fates)
    decisions = []
    for one in tried:
        fate = (None, one.reason) if one.candidate is None else fates[id(one.candidate)]
        decisions.append(_decision(one.group, one.facts, *fate))
    unused = [(one.group, one.reason) for one in tried if one.tell]
    if Role.PHASE not in chosen:
        unused += [(phase.group, fates[id(phase)][1]) for phase in phases]
    told = [f"{_name(group).capitalize()} was not used: {why}." for group, why in unused]
    told += filter(None, (_lacking(candidate, tried) for candidate in chosen.values()))
    return Choice(chosen, tuple(decisions), tuple(dict.fromkeys(told)))


def _settle(
    best: Candidate, rivals: list[Candidate], chosen: dict[Role, Candidate], fates: _Fates
) -> None:
    chosen[best.role] = best
    for rival in rivals:
        won = rival is best
        fates[id(rival)] = (best.role, best.reason) if won else (None, _lost_to(rival, best))


def _name(group: Group) -> str:
    number = group.header.get("SeriesNumber")
    return f"series {number}" if number is not None else "a series without number"


@dataclass(frozen=True, slots=True, eq=False)
class _Tried:
    """A group after the rules: a candidate for a role, or rejected, and why."""

    group: Group
    facts: Facts
    candidate: Candidate | None
    reason: str
    tell: bool = False


def _try(group: Group, facts: Facts, settings: LoaderSettings) -> _Tried:
    matched = first_match(settings.rules, facts)
    if matched is None:
        return _Tried(group, facts, None, "no rule of app.yaml matches")
    place, rule = matched
    reason = facts.reason(rule.because)
    if rule.role is None:
        return _Tried(group, facts, None, group.problem or reason, rule.tell)
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
    return _Tried(group, facts, candidate, reason)


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
    if _echoes(real) != _echoes(imaginary) or not same_grid(
        real, imaginary, tolerance_mm=_PAIR_TOLERANCE_MM
    ):
        raise BrokenSeries(
            "real and imaginary part differ in slices or echo times, the same are wanted. Send the "
            "series again, complete."
        )


def _echoes(layout: Layout) -> list[float | None]:
    """Echo times of the first repetition, to 0.01 ms."""
    times = (s.echo_time_ms for s in layout.samples if s.repetition == 0)
    return [None if time is None else round(time, 2) for time in times]


def _lacking(candidate: Candidate, tried: list[_Tried]) -> str:
    """A sentence where the instance numbers of a chosen series show that objects are absent.

    A gap inside a volume is an error before this; at its edge there is no other sign. Numbers that
    are not consecutive say nothing: Philips leaves out numbers in whole series.
    """
    uid = candidate.group.header.SeriesInstanceUID
    numbers = {
        frame.order[1]
        for one in tried
        if one.group.header.SeriesInstanceUID == uid
        for frame in one.group.frames + one.group.imaginary
    }
    first, last = min(numbers), max(numbers)
    if first < 2 or last - first + 1 != len(numbers):
        return ""
    return (
        f"The instance numbers of {candidate.name} ({candidate.role.value}) begin at {first}: "
        "slices at its edge may be missing."
    )


def _has_pair(candidate: Candidate, rivals: list[Candidate], phases: list[Candidate]) -> bool:
    return candidate.role == Role.MAGNITUDE and any(
        _belongs(phase, candidate, rivals) for phase in phases
    )


def _belongs(phase: Candidate, magnitude: Candidate, magnitudes: list[Candidate]) -> bool:
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
        _echoes(one) == _echoes(other)
        and same_grid(one, other, tolerance_mm=_PAIR_TOLERANCE_MM)
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


def _is_cut(magnitude: Candidate, phase: Candidate) -> bool:
    """Whether the two are of one scan and differ in the number of slices alone."""
    one, other = magnitude.layout, phase.layout
    if one is None or other is None or one.shape[1:] != other.shape[1:]:
        return False
    axes = np.abs(one.affine_lps_mm[:3, :3] - other.affine_lps_mm[:3, :3]).max()
    return bool(
        _echoes(one) == _echoes(other)
        and one.shape[0] != other.shape[0]
        and axes <= _PAIR_TOLERANCE_MM
        and _is_one_scan(magnitude.group, phase.group)
    )


def _choose_phase(
    phases: list[Candidate],
    magnitudes: list[Candidate],
    chosen: dict[Role, Candidate],
    fates: _Fates,
) -> None:
    """The best phase that belongs to the chosen magnitude; any phase where there is none.

    A broken phase is still chosen where there is no other, so that its error is told.
    """
    magnitude = chosen.get(Role.MAGNITUDE)
    pairs = [p for p in phases if magnitude is None or _belongs(p, magnitude, magnitudes)]
    if magnitude is not None and not pairs:
        pairs = [p for p in phases if _is_cut(magnitude, p)][:1]
        if pairs:
            broken = _cut(magnitude, pairs[0])
            chosen[Role.MAGNITUDE] = replace(magnitude, layout=None, broken=broken)
    if not pairs and all(p.broken for p in phases):
        pairs = phases
    for phase in phases:
        if phase not in pairs and magnitude is not None:
            differs = (
                f"phase whose grid, echo times, frame of reference or acquisition time differ from "
                f"magnitude {magnitude.name}"
            )
            fates[id(phase)] = (None, phase.broken or differs)
    if pairs:
        _settle(max(pairs, key=Candidate.rank), pairs, chosen, fates)


def _cut(magnitude: Candidate, phase: Candidate) -> str:
    counts = [c.layout.shape[0] if c.layout else 0 for c in (magnitude, phase)]
    return (
        f"{counts[0]} slices found, {phase.name}, its phase, has {counts[1]}. "
        "Send both again, complete."
    )


def _join_calibration(
    candidates: list[Candidate], chosen: dict[Role, Candidate], fates: _Fates
) -> None:
    """Put the M0 volumes of a series of its own before those of the ASL series chosen."""
    labelled = chosen.get(Role.ASL)
    if labelled is None or labelled.layout is None:
        return
    if labelled.is_calibration or any(s.asl is AslKind.M0 for s in labelled.layout.samples):
        return
    for other in candidates:
        layout = other.layout
        if other.role != Role.ASL or not other.is_calibration or layout is None:
            continue
        if same_grid(layout, labelled.layout, tolerance_mm=_PAIR_TOLERANCE_MM):
            chosen[Role.ASL] = replace(labelled, layout=layout.followed_by(labelled.layout))
            fates[id(other)] = (Role.ASL, f"M0 of {labelled.name}, joined to it")
            return


def _drop_idle_carriers(chosen: dict[Role, Candidate], fates: _Fates) -> None:
    """Refuse a b = 0 without tensor, or an M0 without labels, that carries no map."""
    for role, carried, wanted in (
        (Role.DWI, Role.FA, f"a tensor needs at least {TENSOR_DIRECTIONS} directions"),
        (Role.ASL, Role.CBF, "CBF needs label and control images"),
    ):
        candidate = chosen.get(role)
        if candidate is None or carried in chosen or not candidate.is_carrier_only:
            continue
        del chosen[role]
        found = f"{candidate.facts.directions} found" if role == Role.DWI else "M0 alone found"
        fates[id(candidate)] = (None, f"{wanted} ({found}), and there is no {carried.value} map")


def _lost_to(candidate: Candidate, winner: Candidate) -> str:
    if candidate.broken:
        return f"{candidate.broken} {winner.name} was taken as {winner.role.value}."
    same = candidate.group.header.SeriesInstanceUID == winner.group.header.SeriesInstanceUID
    if same and candidate.group.instances[0].sop_class != winner.group.instances[0].sop_class:
        return f"another copy of {winner.name}, which was taken as {winner.role.value}"
    return f"{candidate.reason}; {winner.name} was taken as {winner.role.value} instead"


def _decision(group: Group, facts: Facts, role: Role | None, reason: str) -> Decision:
    header = group.header
    number = number_of(header, "SeriesNumber")
    plane = group.frames[0].plane if group.frames else None
    return Decision(
        series_uid=str(header.SeriesInstanceUID),
        series_number=None if number is None else int(number),
        description=str(header.get("SeriesDescription", "")),
        modality=facts.modality,
        image_type=facts.image_type,
        volume_count=facts.volumes,
        shape=None if plane is None else (facts.slices, plane.rows, plane.columns),
        role=role,
        reason=reason,
    )

