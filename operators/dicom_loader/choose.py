"""One group per role: candidates by rule, the best of them by rank, a reason for each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from operators.dicom_loader.candidate import (
    PAIR_TOLERANCE_MM,
    TENSOR_DIRECTIONS,
    Candidate,
    Tried,
    name_of,
    try_group,
)
from operators.dicom_loader.elements import number_of
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.pairs import belongs, cut_message, has_pair, is_cut
from operators.dicom_loader.rules import Facts, facts_of
from operators.dicom_loader.settings import LoaderSettings
from operators.dicom_loader.volumes import same_grid
from operators.types import AslKind, Decision, Role


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
    tried = [try_group(group, facts_of(group), settings) for group in groups]
    candidates = [one.candidate for one in tried if one.candidate is not None]
    chosen: dict[Role, Candidate] = {}
    fates: _Fates = {}
    phases = [c for c in candidates if c.role == Role.PHASE]
    for role in dict.fromkeys(c.role for c in candidates if c.role != Role.PHASE):
        rivals = [candidate for candidate in candidates if candidate.role == role]
        best = max(rivals, key=lambda c: (has_pair(c, rivals, phases), c.rank()))
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
    told = [f"{name_of(group).capitalize()} was not used: {why}." for group, why in unused]
    told += filter(None, (_lacking(candidate, tried) for candidate in chosen.values()))
    return Choice(chosen, tuple(decisions), tuple(dict.fromkeys(told)))


def _settle(
    best: Candidate, rivals: list[Candidate], chosen: dict[Role, Candidate], fates: _Fates
) -> None:
    chosen[best.role] = best
    for rival in rivals:
        won = rival is best
        fates[id(rival)] = (best.role, best.reason) if won else (None, _lost_to(rival, best))


def _lacking(candidate: Candidate, tried: list[Tried]) -> str:
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
    pairs = [p for p in phases if magnitude is None or belongs(p, magnitude, magnitudes)]
    if magnitude is not None and not pairs:
        pairs = [p for p in phases if is_cut(magnitude, p)][:1]
        if pairs:
            broken = cut_message(magnitude, pairs[0])
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
        if same_grid(layout, labelled.layout, tolerance_mm=PAIR_TOLERANCE_MM):
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

