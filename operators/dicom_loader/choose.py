"""One group per role: candidates by rule, the best of them by rank, a reason for each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from operators.dicom_loader.frames import number_of
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.rules import Facts, facts_of, first_match
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.volumes import Layout, arrange, same_grid
from operators.errors import BrokenSeries
from operators.types import AslKind, Decision, Role

# Positions of a magnitude and its phase are written by the same scan and agree to the digit.
_PAIR_TOLERANCE_MM = 0.01

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
        best = max(rivals, key=lambda c: (_has_pair(c, phases), c.rank()))
        _settle(best, rivals, chosen, fates)
    _choose_phase(phases, chosen, fates)
    _join_calibration(candidates, chosen, fates)
    _drop_idle_carriers(chosen, fates)
    decisions = []
    for one in tried:
        fate = (None, one.reason) if one.candidate is None else fates[id(one.candidate)]
        decisions.append(_decision(one.group, one.facts, *fate))
    told = dict.fromkeys(f"{_name(one.group).capitalize()} was not used: {one.reason}."
                         for one in tried if one.tell)
    return Choice(chosen, tuple(decisions), tuple(told))


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
        layout = arrange(group.frames, **tolerances)
        imaginary = arrange(group.imaginary, **tolerances) if group.is_complex else None
    except BrokenSeries as error:
        broken = str(error)
    candidate = Candidate(group, facts, rule.role, place, reason, layout, imaginary, broken)
    return _Tried(group, facts, candidate, reason)


def _has_pair(candidate: Candidate, phases: list[Candidate]) -> bool:
    return candidate.role == Role.MAGNITUDE and any(_is_pair(candidate, p) for p in phases)


def _is_pair(magnitude: Candidate, phase: Candidate) -> bool:
    """Same grid and the same echo times."""
    one, other = magnitude.layout, phase.layout
    if one is None or other is None:
        return False
    echoes = [[s.echo_time_ms for s in layout.samples] for layout in (one, other)]
    return echoes[0] == echoes[1] and same_grid(one, other, tolerance_mm=_PAIR_TOLERANCE_MM)


def _choose_phase(
    phases: list[Candidate], chosen: dict[Role, Candidate], fates: _Fates
) -> None:
    """The best phase that belongs to the chosen magnitude; any phase where there is none.

    A broken phase is still chosen where there is no other, so that its error is told.
    """
    magnitude = chosen.get(Role.MAGNITUDE)
    pairs = [p for p in phases if magnitude is None or _is_pair(magnitude, p)]
    if not pairs and all(p.broken for p in phases):
        pairs = phases
    for phase in phases:
        if phase not in pairs and magnitude is not None:
            differs = f"phase whose grid or echo times differ from magnitude {magnitude.name}"
            fates[id(phase)] = (None, phase.broken or differs)
    if pairs:
        _settle(max(pairs, key=Candidate.rank), pairs, chosen, fates)


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

