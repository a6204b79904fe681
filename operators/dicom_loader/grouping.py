"""Frames gathered into groups that could each be one contrast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operators.dicom_loader.diffusion import PHILIPS_DIFFUSION, classic_diffusion
from operators.dicom_loader.elements import DAMAGED, PrivateTag, is_made_by, number_of
from operators.dicom_loader.enhanced import enhanced_frames
from operators.dicom_loader.frames import COMPONENT_WORDS, Component, Frame, classic_frame
from operators.dicom_loader.index import Instance, read_tags
from operators.dicom_loader.mosaic import is_mosaic, mosaic_frames
from operators.dicom_loader.perfusion import PHILIPS_LABEL, asl_kind
from operators.dicom_loader.problems import (
    Key,
    drop_damaged,
    image_type,
    series_key,
    torn,
    unplaced,
)
from operators.errors import BrokenSeries
from operators.types import Sample

if TYPE_CHECKING:
    from pydicom import Dataset

# Directions and spacings of one scan agree better than this, written with however few digits.
_GEOMETRY_TOLERANCE = 2e-3


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Frames of one series with one image type, component and slice geometry.

    `frames` is empty for an object that is no image in the patient. `imaginary` is filled where
    the component was formed from a real and an imaginary group; `frames` is then the real part.
    `problem` says what is wrong with an object of the group or of its kind in the series.
    """

    instances: tuple[Instance, ...]
    frames: tuple[Frame, ...]
    component: Component = Component.MAGNITUDE
    imaginary: tuple[Frame, ...] = ()
    problem: str = ""

    @property
    def header(self) -> Dataset:
        return self.instances[0].header

    @property
    def is_complex(self) -> bool:
        return bool(self.imaginary)


def group_frames(instances: Iterable[Instance]) -> list[Group]:
    """Split objects into groups, sorted by series number, then by order of appearance.

    The key is series, SOP class, component, image type, orientation, matrix and pixel spacing:
    Philips keeps magnitude and phase in one series, localisers hold three orientations. Siemens XA
    writes each echo of a classic export under its own series UID and marks it MFSPLIT; those are
    joined by series number and description.

    An object that cannot be placed is a problem of every group of its series with its SOP class and
    image type: it may be a slice of one of them.
    """
    groups: dict[Key, list[Frame]] = {}
    others: dict[Key, list[Instance]] = {}
    instances = tuple(instances)
    problems = torn(instances)
    for instance in instances:
        series: Key = (series_key(instance.header), instance.sop_class)
        try:
            frames = list(_frames(instance))
            problem = unplaced(instance, len(frames))
        except BrokenSeries as error:
            told = str(error)
            frames, problem = [], told if instance.name in told else f"{instance.name}: {told}"
        except DAMAGED as error:
            frames, problem = [], (
                f"{instance.name} has a damaged header ({type(error).__name__} at a value that is "
                "needed). Send the series again."
            )
        if problem:
            problems.setdefault((*series, image_type(instance)), problem)
        if not frames:
            others.setdefault(series, []).append(instance)
        for frame in frames:
            groups.setdefault((*series, *_frame_key(frame)), []).append(frame)
    found = [_group(series, tuple(frames), problems) for series, frames in _merged(groups)]
    for series, held in others.items():
        drop_damaged(held[0].header)
        found.append(Group(tuple(held), (), problem=_problem(series, held, problems)))
    return sorted(_with_complex(found), key=_series_number)


def _group(series: Key, frames: tuple[Frame, ...], problems: dict[Key, str]) -> Group:
    instances = tuple({id(frame.instance): frame.instance for frame in frames}.values())
    problem = _problem(series, instances, problems)
    drop_damaged(instances[0].header)
    return Group(instances, frames, frames[0].component, problem=problem)


def _problem(series: Key, held: Sequence[Instance], problems: dict[Key, str]) -> str:
    """A SOP Instance UID used twice, or an object of this kind that could not be placed."""
    for one in held:
        if one.conflict:
            return (
                f"{one.name} and {one.conflict} are different images with one SOP Instance UID. "
                "Give each object a UID of its own."
            )
    return problems.get((*series, image_type(held[0])), "") if problems else ""


def _merged(groups: dict[Key, list[Frame]]) -> list[tuple[Key, tuple[Frame, ...]]]:
    """Groups whose geometry differs by rounding alone, joined; each with its series.

    Rounding in the key parts what lies on both sides of a step, so that half of the slices of a
    series would make a series of their own.
    """
    merged: list[tuple[Key, list[Frame]]] = []
    for key, frames in groups.items():
        for other, held in merged:
            if _but_geometry(key) == _but_geometry(other) and _agree(frames[0], held[0]):
                held.extend(frames)
                break
        else:
            merged.append((key, list(frames)))
    return [(key[:2], tuple(frames)) for key, frames in merged]


def _but_geometry(key: Key) -> Key:
    return key[:-2]


def _agree(one: Frame, other: Frame) -> bool:
    pairs = zip(
        one.plane.orientation + one.plane.spacing_mm,
        other.plane.orientation + other.plane.spacing_mm,
        strict=True,
    )
    return all(abs(a - b) < _GEOMETRY_TOLERANCE for a, b in pairs)


def _series_number(group: Group) -> float:
    return number_of(group.header, "SeriesNumber") or 0.0


def _frame_key(frame: Frame) -> tuple[object, ...]:
    plane = frame.plane
    return (
        frame.component,
        frame.tokens,
        plane.rows,
        plane.columns,
        tuple(round(axis, 3) + 0.0 for axis in plane.orientation),
        tuple(round(spacing, 3) for spacing in plane.spacing_mm),
    )


def _frames(instance: Instance) -> Iterator[Frame]:
    if instance.is_multiframe:
        yield from enhanced_frames(instance)
    elif "ImagePositionPatient" not in instance.header:
        return
    elif is_mosaic(instance.header):
        yield from mosaic_frames(instance, _classic_sample(instance))
    else:
        frame = classic_frame(instance, _classic_sample(instance))
        if frame is not None:
            yield frame


def _classic_sample(instance: Instance) -> Sample:
    header = _with_philips(instance)
    b_value, b_vector = classic_diffusion(header)
    labelling = header.get("MRArterialSpinLabelingSequence") or [None]
    philips = header if is_made_by("PHILIPS", header) else None
    return Sample(
        echo_time_ms=number_of(header, "EchoTime"),
        b_value_s_mm2=b_value,
        b_vector_lps=b_vector,
        asl=asl_kind(labelling[0], philips, str(header.get("SeriesDescription", ""))),
        repetition=int(number_of(header, "TemporalPositionIdentifier") or 0),
    )


def _with_philips(instance: Instance) -> Dataset:
    """The header, with the late private Philips elements where only they tell volumes apart."""
    header = instance.header
    if not is_made_by("PHILIPS", header):
        return header
    wanted: tuple[PrivateTag, ...] = ()
    if (number_of(header, "NumberOfTemporalPositions") or 1) > 1:
        wanted += (PHILIPS_LABEL,)
    if "DiffusionBValue" not in header and "SE" in str(header.get("ScanningSequence", "")):
        wanted += PHILIPS_DIFFUSION
    if not wanted:
        return header
    extended = read_tags(instance, {tag for element in wanted for tag in element.possible})
    extended.update(header)
    return extended


def _with_complex(groups: list[Group]) -> list[Group]:
    """Join real and imaginary groups into phase, and magnitude where there is none.

    Both parts may be series of their own; of several the partner is the one of the same series,
    else of the nearest number.
    """
    result = [g for g in groups if g.component not in {Component.REAL, Component.IMAGINARY}]
    waiting = [g for g in groups if g.component == Component.IMAGINARY]
    magnitudes = {_complex_key(g) for g in groups if g.component == Component.MAGNITUDE}
    for group in groups:
        if group.component != Component.REAL:
            continue
        partners = [g for g in waiting if _complex_key(g) == _complex_key(group)]
        if not partners:
            result.append(group)
            continue
        partner = min(partners, key=lambda other: _distance(group, other))
        waiting.remove(partner)
        instances = dict.fromkeys(group.instances + partner.instances)
        joined = replace(group, instances=tuple(instances), imaginary=partner.frames)
        result.append(replace(joined, component=Component.PHASE))
        if _complex_key(group) not in magnitudes:
            result.append(replace(joined, component=Component.MAGNITUDE))
    return result + waiting


def _complex_key(group: Group) -> Key:
    """What real, imaginary and magnitude groups of one scan have in common."""
    if not group.frames:
        return (id(group),)
    plane = group.frames[0].plane
    words = [word for word in group.frames[0].tokens if word not in COMPONENT_WORDS]
    echoes = frozenset(frame.sample.echo_time_ms for frame in group.frames)
    kind = (group.instances[0].sop_class, tuple(words), echoes)
    return (*kind, len(group.frames), plane.rows, plane.columns)


def _distance(one: Group, other: Group) -> tuple[bool, float]:
    apart = one.header.SeriesInstanceUID != other.header.SeriesInstanceUID
    return apart, abs(_series_number(one) - _series_number(other))

