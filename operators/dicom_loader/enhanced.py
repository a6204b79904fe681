"""Frames of a multi-frame object, from its shared and per-frame functional groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from operators.dicom_loader.diffusion import enhanced_diffusion
from operators.dicom_loader.elements import PrivateTag, is_made_by, number_of, private, text_values
from operators.dicom_loader.frames import Frame, component_of, order_of, plane_of, scaling_of
from operators.dicom_loader.index import Instance
from operators.dicom_loader.perfusion import asl_kind
from operators.errors import BrokenSeries
from operators.types import Sample

if TYPE_CHECKING:
    from pydicom import Dataset

_PHILIPS_FRAME = PrivateTag(0x2005, "Philips MR Imaging DD 005", 0x0F, 0x14)
_SIEMENS_FRAME = PrivateTag(0x0021, "SIEMENS MR SDI 02", 0xFE, 0x11)
_SIEMENS_IMAGE_TYPE = PrivateTag(0x0021, "SIEMENS MR SDI 02", 0x75, 0x11)
_SIEMENS_SHARED = PrivateTag(0x0021, "SIEMENS MR SDS 01", 0xFE)
_SIEMENS_PROTOCOL = PrivateTag(0x0021, "SIEMENS MR SDS 01", 0x19)
_CSA_SERIES = PrivateTag(0x0029, "SIEMENS CSA HEADER", 0x20)


def enhanced_frames(instance: Instance) -> Iterator[Frame]:
    """One frame per item of the per-frame functional groups that has a place in the patient.

    Raises BrokenSeries where there are not as many items as frames.
    """
    header = instance.header
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    items = header.get("PerFrameFunctionalGroupsSequence") or []
    wanted = int(number_of(header, "NumberOfFrames") or 0)
    if len(items) != wanted:
        raise BrokenSeries(
            f"{instance.name}: {len(items)} per-frame functional groups found, {wanted} wanted "
            "(one per frame). Send the series again."
        )
    for number, own in enumerate(items):
        frame = _frame(instance, number, own, shared)
        if frame is not None:
            yield frame


def first_item(holder: Dataset | None, keyword: str | PrivateTag) -> Dataset | None:
    """First item of a sequence, None where there is none."""
    if holder is None:
        return None
    value = private(holder, keyword) if isinstance(keyword, PrivateTag) else holder.get(keyword)
    return value[0] if value else None  # type: ignore[index,no-any-return]


def functional_group(own: Dataset, shared: Dataset | None, keyword: str) -> Dataset:
    """A functional group's item: the frame's own, else the shared one, else empty."""
    from pydicom import Dataset

    item = first_item(own, keyword)
    if item is None:
        item = first_item(shared, keyword)
    return Dataset() if item is None else item


def group_of_first_frame(header: Dataset, keyword: str) -> Dataset:
    """A functional group of the object's first frame; empty for a single-frame object."""
    from pydicom import Dataset

    own = first_item(header, "PerFrameFunctionalGroupsSequence")
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    return functional_group(own if own is not None else Dataset(), shared, keyword)


def siemens_protocol(header: Dataset) -> str:
    """The protocol text of a Siemens object (XA: shared groups; before: CSA series header)."""
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    holder = first_item(shared, _SIEMENS_SHARED)
    stated = private(header, _CSA_SERIES)
    if holder is not None:
        stated = private(holder, _SIEMENS_PROTOCOL)
    return stated.decode("latin-1") if isinstance(stated, bytes) else ""


def _frame(instance: Instance, number: int, own: Dataset, shared: Dataset | None) -> Frame | None:
    def group(keyword: str) -> Dataset:
        return functional_group(own, shared, keyword)

    header = instance.header
    plane = plane_of(
        group("PlanePositionSequence"),
        group("PlaneOrientationSequence"),
        group("PixelMeasuresSequence"),
        header,
    )
    if plane is None:
        return None
    frame_type = group("MRImageFrameTypeSequence")
    stated = frame_type.get("ComplexImageComponent") or header.get("ComplexImageComponent") or ""
    tokens = _tokens(header, frame_type, own)
    mapping = own if "RealWorldValueMappingSequence" in own else shared
    return Frame(
        instance=instance,
        number=number,
        tile=None,
        plane=plane,
        tokens=tokens,
        component=component_of(tokens, "" if stated == "MIXED" else str(stated), header),
        scaling=scaling_of(group("PixelValueTransformationSequence"), mapping),
        sample=_sample(header, own, shared),
        order=order_of(header),
    )


def _tokens(header: Dataset, frame_type: Dataset, own: Dataset) -> tuple[str, ...]:
    """Frame type (image type without one), then the vendor's own image type, each token once."""
    tokens = text_values(frame_type, "FrameType") or text_values(header, "ImageType")
    if is_made_by("PHILIPS", header):
        philips = first_item(own, _PHILIPS_FRAME)
        tokens += () if philips is None else text_values(philips, "ImageType")
    elif is_made_by("SIEMENS", header):
        siemens = first_item(own, _SIEMENS_FRAME)
        stated = None if siemens is None else private(siemens, _SIEMENS_IMAGE_TYPE)
        if stated is not None and not isinstance(stated, bytes):
            values = [stated] if isinstance(stated, str) else list(stated)  # type: ignore[call-overload]
            tokens += tuple(str(token).upper() for token in values)
    return tuple(dict.fromkeys(tokens))


def _sample(header: Dataset, own: Dataset, shared: Dataset | None) -> Sample:
    def item(keyword: str) -> Dataset | None:
        found = first_item(own, keyword)
        return first_item(shared, keyword) if found is None else found

    b_value, b_vector = enhanced_diffusion(item("MRDiffusionSequence"))
    echo, content = item("MREchoSequence"), item("FrameContentSequence")
    philips = first_item(own, _PHILIPS_FRAME) if is_made_by("PHILIPS", header) else None
    return Sample(
        echo_time_ms=number_of(echo, "EffectiveEchoTime") if echo is not None else None,
        b_value_s_mm2=b_value,
        b_vector_lps=b_vector,
        asl=asl_kind(
            item("MRArterialSpinLabelingSequence"),
            philips,
            str(header.get("SeriesDescription", "")),
        ),
        repetition=int(number_of(content, "TemporalPositionIndex") or 0) if content else 0,
    )
