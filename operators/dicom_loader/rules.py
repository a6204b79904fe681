"""What a group's header says, and which rule of app.yaml decides on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_loader.elements import number_of, text_values
from operators.dicom_loader.enhanced import group_of_first_frame
from operators.dicom_loader.grouping import Group
from operators.dicom_loader.settings import Match, Range, Rule

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a rule can ask. Times in ms, lengths in mm, b in s/mm2; None: not stated."""

    is_image: bool
    is_colour: bool
    modality: str
    sop_class: str
    manufacturer: str
    image_type: tuple[str, ...]
    descriptions: tuple[str, ...]
    sequence: str
    scanning: frozenset[str]
    contrast: str
    component: str
    acquisition: str
    has_asl_context: bool
    longest_echo_ms: float | None
    field_t: float | None
    repetition_time_ms: float | None
    inversion_time_ms: float | None
    pixel_mm: float | None
    slices: int
    volumes: int
    directions: int
    largest_b: float | None

    @property
    def echo_field_ms_t(self) -> float | None:
        """Longest echo time times field strength."""
        if self.longest_echo_ms is None or self.field_t is None:
            return None
        return self.longest_echo_ms * self.field_t

    def reason(self, template: str) -> str:
        """Fill a rule's reason."""
        return template.format(
            echo_ms=_shown(self.longest_echo_ms),
            field_t=_shown(self.field_t),
            pixel_mm=_shown(self.pixel_mm),
            component=self.component,
            directions=self.directions,
            b_value=_shown(self.largest_b),
            modality=self.modality,
            sop_class=self.sop_class,
        )


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def facts_of(group: Group) -> Facts:
    """Collect what the rules ask about, from headers alone."""
    from pydicom.uid import UID

    header, frames = group.header, group.frames
    timing = group_of_first_frame(header, "MRTimingAndRelatedParametersSequence")
    modifier = group_of_first_frame(header, "MRModifierSequence")
    samples = [frame.sample for frame in frames]
    slices = len({_position_key(frame.plane.position_mm) for frame in frames})
    return Facts(
        is_image=bool(frames),
        is_colour=_is_colour(header),
        modality=str(header.get("Modality", "")) or "unknown",
        sop_class=UID(group.instances[0].sop_class).name,
        manufacturer=str(header.get("Manufacturer", "")),
        image_type=frames[0].tokens if frames else text_values(header, "ImageType"),
        descriptions=_texts(header, "SeriesDescription", "ProtocolName"),
        sequence=" ".join(_texts(header, "SequenceName", "PulseSequenceName")),
        scanning=_scanning(header, modifier),
        contrast=str(header.get("AcquisitionContrast", "")),
        component=str(group.component),
        acquisition=str(header.get("MRAcquisitionType", "")),
        has_asl_context=any(sample.asl is not None for sample in samples),
        longest_echo_ms=_largest(sample.echo_time_ms for sample in samples),
        field_t=number_of(header, "MagneticFieldStrength"),
        repetition_time_ms=_first(number_of(header, "RepetitionTime"), timing, "RepetitionTime"),
        inversion_time_ms=_first(number_of(header, "InversionTime"), modifier, "InversionTimes"),
        pixel_mm=max(frames[0].plane.spacing_mm) if frames else None,
        slices=slices,
        volumes=len(frames) // slices if slices else 0,
        directions=len({sample.b_vector_lps for sample in samples} - {None}),
        largest_b=_largest(sample.b_value_s_mm2 for sample in samples),
    )


def _largest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _texts(header: Dataset, *keywords: str) -> tuple[str, ...]:
    return tuple(str(header.get(keyword, "")) for keyword in keywords)


def first_match(rules: tuple[Rule, ...], facts: Facts) -> tuple[int, Rule] | None:
    """The first rule of which a match holds, with its place in the list."""
    for place, rule in enumerate(rules):
        if any(holds(match, facts) for match in rule.any_of):
            return place, rule
    return None


def holds(match: Match, facts: Facts) -> bool:
    """Whether every condition that the match gives is met."""
    return all(check(match, facts) for check in _CHECKS)


def _flags(match: Match, facts: Facts) -> bool:
    asked = (
        (match.image, facts.is_image),
        (match.colour, facts.is_colour),
        (match.asl_context, facts.has_asl_context),
    )
    return all(wanted is None or wanted == found for wanted, found in asked)


def _words(match: Match, facts: Facts) -> bool:
    asked = (
        (match.modality, facts.modality),
        (match.contrast, facts.contrast),
        (match.component, facts.component),
        ((match.acquisition,) if match.acquisition else (), facts.acquisition),
    )
    if facts.modality in match.modality_not:
        return False
    return all(not wanted or found in wanted for wanted, found in asked)


def _tokens(match: Match, facts: Facts) -> bool:
    tokens = frozenset(facts.image_type)
    return (
        (not match.image_type or not tokens.isdisjoint(match.image_type))
        and tokens.issuperset(match.image_type_all)
        and tokens.isdisjoint(match.image_type_not)
        and (not match.scanning or not facts.scanning.isdisjoint(match.scanning))
        and facts.scanning.isdisjoint(match.scanning_not)
    )


def _patterns(match: Match, facts: Facts) -> bool:
    asked = (
        (match.sop_class, (facts.sop_class,)),
        (match.manufacturer, (facts.manufacturer,)),
        (match.description, facts.descriptions),
        (match.sequence, (facts.sequence,)),
    )
    if match.description_not and _found(match.description_not, facts.descriptions):
        return False
    return all(pattern is None or _found(pattern, texts) for pattern, texts in asked)


def _found(pattern: str, texts: tuple[str, ...]) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for text in texts)


def _ranges(match: Match, facts: Facts) -> bool:
    asked: tuple[tuple[Range | None, float | None], ...] = (
        (match.echo_time_ms, facts.longest_echo_ms),
        (match.echo_field_ms_t, facts.echo_field_ms_t),
        (match.repetition_time_ms, facts.repetition_time_ms),
        (match.inversion_time_ms, facts.inversion_time_ms),
        (match.pixel_mm, facts.pixel_mm),
        (match.slices, facts.slices),
        (match.volumes, facts.volumes),
        (match.directions, facts.directions),
        (match.b_value, facts.largest_b),
    )
    return all(wanted is None or wanted.holds(found) for wanted, found in asked)


_CHECKS: tuple[Callable[[Match, Facts], bool], ...] = (_flags, _words, _tokens, _patterns, _ranges)


def _position_key(position: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(np.round(position, 2).tolist())


def _first(classic: float | None, item: Dataset, keyword: str) -> float | None:
    return classic if classic is not None else number_of(item, keyword)


def _is_colour(header: Dataset) -> bool:
    photometric = str(header.get("PhotometricInterpretation", ""))
    samples = number_of(header, "SamplesPerPixel") or 1
    return samples > 1 or "PALETTE" in photometric or "RGB" in photometric


def _scanning(header: Dataset, modifier: Dataset) -> frozenset[str]:
    """Scanning Sequence; for enhanced objects the attributes that replaced it."""
    stated = text_values(header, "ScanningSequence")
    if stated:
        return frozenset(stated)
    words = {"GRADIENT": {"GR"}, "SPIN": {"SE"}, "BOTH": {"GR", "SE"}}
    found = set(words.get(str(header.get("EchoPulseSequence", "")), set()))
    if str(header.get("EchoPlanarPulseSequence", "")) == "YES":
        found.add("EP")
    if str(modifier.get("InversionRecovery", "")) == "YES":
        found.add("IR")
    return frozenset(found)
