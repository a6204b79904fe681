"""One group per role: candidates by rule, the best of them by rank, a reason for each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from operators.dicom_loader.frames import number_of
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.rules import Facts, facts_of, first_match
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.volumes import Layout, arrange, same_grid
from operators.errors import BrokenSeries
from operators.types import Decision, Role

# Positions of a magnitude and its phase are written by the same scan and agree to the digit.
_PAIR_TOLERANCE_MM = 0.01


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
        number = self.group.header.get("SeriesNumber")
        return f"series {number}" if number is not None else "a series without number"

    def rank(self) -> tuple[float, ...]:
        """Higher is better, compared from the left.

        Whole before broken, an earlier rule before a later one, original before derived, 3D before
        2D, more directions, more echoes, finer voxels, more slices, prescan-normalised, then the
        later series (a repeat is taken because the first was not good), and the classic copy.
        """
        facts, voxel = self.facts, self._voxel_mm3()
        echoes = {frame.sample.echo_time_ms for frame in self.group.frames}
        return (
            not self.broken,
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
    """The chosen candidates and the fate of every group, in series order."""

    chosen: dict[Role, Candidate]
    decisions: tuple[Decision, ...]


def choose(groups: Iterable[Group], settings: LoaderSettings) -> Choice:
    """Give each role to the best candidate; magnitude and phase are chosen as a pair."""
    fates: list[tuple[Group, Facts, Candidate | None, str]] = []
    for group in groups:
        facts = facts_of(group)
        candidate, reason = _candidate(group, facts, settings)
        fates.append((group, facts, candidate, reason))
    candidates = [candidate for _, _, candidate, _ in fates if candidate is not None]
    chosen, lost = _winners(candidates)
    decisions = []
    for group, facts, candidate, reason in fates:
        won = candidate is not None and chosen.get(candidate.role) is candidate
        why = lost.get(id(candidate), reason) if candidate is not None else reason
        decisions.append(_decision(group, facts, candidate, why, won=won))
    return Choice(chosen, tuple(decisions))


def _candidate(
    group: Group, facts: Facts, settings: LoaderSettings
) -> tuple[Candidate | None, str]:
    matched = first_match(settings.rules, facts)
    if matched is None:
        return None, "no rule of app.yaml matches"
    place, rule = matched
    reason = facts.reason(rule.because)
    if rule.role is None:
        return None, group.problem or reason
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
    return Candidate(group, facts, rule.role, place, reason, layout, imaginary, broken), reason


def _winners(
    candidates: list[Candidate],
) -> tuple[dict[Role, Candidate], dict[int, str]]:
    """The best candidate per role, and for each other the reason that names the winner."""
    chosen: dict[Role, Candidate] = {}
    lost: dict[int, str] = {}
    for role in dict.fromkeys(candidate.role for candidate in candidates):
        rivals = [candidate for candidate in candidates if candidate.role == role]
        if role == Role.PHASE:
            continue
        phases = [c for c in candidates if c.role == Role.PHASE]
        best = max(rivals, key=lambda c: (_has_pair(c, phases), c.rank()))
        chosen[role] = best
        lost |= {id(c): _lost_to(c, best) for c in rivals if c is not best}
    _choose_phase([c for c in candidates if c.role == Role.PHASE], chosen, lost)
    return chosen, lost


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
    phases: list[Candidate], chosen: dict[Role, Candidate], lost: dict[int, str]
) -> None:
    """The best phase that belongs to the chosen magnitude; any phase where there is none."""
    magnitude = chosen.get(Role.MAGNITUDE)
    pairs = [p for p in phases if magnitude is None or _is_pair(magnitude, p)]
    if phases and not pairs and all(p.broken for p in phases):
        pairs = phases
    best = max(pairs, key=Candidate.rank) if pairs else None
    if best is not None:
        chosen[Role.PHASE] = best
    for phase in phases:
        if phase is best:
            continue
        if phase in pairs and best is not None:
            lost[id(phase)] = _lost_to(phase, best)
        else:
            name = magnitude.name if magnitude is not None else "a magnitude"
            lost[id(phase)] = (
                phase.broken or f"phase whose grid or echo times differ from magnitude {name}"
            )


def _lost_to(candidate: Candidate, winner: Candidate) -> str:
    if candidate.broken:
        return f"{candidate.broken} {winner.name} was taken as {winner.role.value}."
    same = candidate.group.header.SeriesInstanceUID == winner.group.header.SeriesInstanceUID
    if same and candidate.group.instances[0].sop_class != winner.group.instances[0].sop_class:
        return f"another copy of {winner.name}, which was taken as {winner.role.value}"
    return f"{candidate.reason}; {winner.name} was taken as {winner.role.value} instead"


def _decision(
    group: Group, facts: Facts, candidate: Candidate | None, reason: str, *, won: bool
) -> Decision:
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
        role=candidate.role if candidate is not None and won else None,
        reason=reason,
    )

