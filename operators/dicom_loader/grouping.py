"""Frames gathered into groups that could each be one contrast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operators.dicom_loader.diffusion import PHILIPS_DIFFUSION, classic_diffusion
from operators.dicom_loader.enhanced import enhanced_frames
from operators.dicom_loader.frames import (
    Component,
    Frame,
    PrivateTag,
    classic_frame,
    is_made_by,
    number_of,
)
from operators.dicom_loader.index import Instance, read_tags
from operators.dicom_loader.mosaic import is_mosaic, mosaic_frames
from operators.dicom_loader.perfusion import PHILIPS_LABEL, asl_kind
from operators.errors import BrokenSeries
from operators.types import Sample

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Frames of one series with one image type, component and slice geometry.

    `frames` is empty for an object that is no image in the patient. `imaginary` is filled where
    the component was formed from a real and an imaginary group; `frames` is then the real part.
    `problem` says why the frames could not be laid out at all.
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
    """
    groups: dict[tuple[object, ...], list[Frame]] = {}
    others: dict[tuple[object, ...], list[Instance]] = {}
    problems: dict[tuple[object, ...], str] = {}
    for instance in instances:
        key: tuple[object, ...] = (_series_key(instance.header), instance.sop_class)
        try:
            frames = list(_frames(instance))
        except BrokenSeries as error:
            problems.setdefault(key, str(error))
            frames = []
        if not frames:
            others.setdefault(key, []).append(instance)
        for frame in frames:
            groups.setdefault((*key, *_frame_key(frame)), []).append(frame)
    found = [_group(tuple(frames)) for frames in groups.values()]
    found += [Group(tuple(held), (), problem=problems.get(k, "")) for k, held in others.items()]
    return sorted(_with_complex(found), key=_series_number)


def _group(frames: tuple[Frame, ...]) -> Group:
    instances = {id(frame.instance): frame.instance for frame in frames}
    return Group(tuple(instances.values()), frames, frames[0].component)


def _series_number(group: Group) -> float:
    return number_of(group.header, "SeriesNumber") or 0.0


def _series_key(header: Dataset) -> tuple[str, ...]:
    if "MFSPLIT" in (header.get("ImageType") or ()):
        return (str(header.get("SeriesNumber", "")), str(header.get("SeriesDescription", "")))
    return (str(header.SeriesInstanceUID),)


def _frame_key(frame: Frame) -> tuple[object, ...]:
    plane = frame.plane
    return (
        frame.component,
        frame.tokens,
        tuple(round(axis, 3) + 0.0 for axis in plane.orientation),
        tuple(round(spacing, 3) for spacing in plane.spacing_mm),
        plane.rows,
        plane.columns,
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
    """Join real and imaginary groups of a series into phase, and magnitude where it has none."""
    result = [g for g in groups if g.component not in {Component.REAL, Component.IMAGINARY}]
    imaginary = {_complex_key(g): g for g in groups if g.component == Component.IMAGINARY}
    magnitudes = {_complex_key(g) for g in groups if g.component == Component.MAGNITUDE}
    for group in groups:
        if group.component != Component.REAL:
            continue
        partner = imaginary.pop(_complex_key(group), None)
        if partner is None:
            result.append(group)
            continue
        instances = dict.fromkeys(group.instances + partner.instances)
        joined = replace(group, instances=tuple(instances), imaginary=partner.frames)
        result.append(replace(joined, component=Component.PHASE))
        if _complex_key(group) not in magnitudes:
            result.append(replace(joined, component=Component.MAGNITUDE))
    return result + list(imaginary.values())


def _complex_key(group: Group) -> tuple[object, ...]:
    if not group.frames:
        return (id(group),)
    plane = group.frames[0].plane
    uid = str(group.header.SeriesInstanceUID)
    return (uid, group.instances[0].sop_class, len(group.frames), plane.rows, plane.columns)
