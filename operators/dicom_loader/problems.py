"""What is wrong with objects before their frames are laid out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from operators.dicom_loader.elements import DAMAGED, number_of, text_values
from operators.dicom_loader.index import Instance

if TYPE_CHECKING:
    from pydicom import Dataset

Key = tuple[object, ...]

_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


def drop_damaged(header: Dataset) -> None:
    """Elements that cannot be read count as absent in the header that speaks for a group."""
    for tag in list(header.keys()):
        try:
            _ = header[tag]
        except DAMAGED:
            del header[tag]


def image_type(instance: Instance) -> tuple[str, ...]:
    """Image Type, upper case; empty where absent or damaged."""
    try:
        return text_values(instance.header, "ImageType")
    except DAMAGED:
        return ()


def torn(instances: Sequence[Instance]) -> dict[Key, str]:
    """Kinds of objects of which one is a multi-frame image cut into several, not all there."""
    parts: dict[str, list[Instance]] = {}
    for one in instances:
        if "ConcatenationUID" in one.header:
            parts.setdefault(str(one.header.ConcatenationUID), []).append(one)
    problems: dict[Key, str] = {}
    for held in parts.values():
        first = held[0]
        wanted = int(number_of(first.header, "InConcatenationTotalNumber") or 0)
        if len(held) < wanted:
            key = (series_key(first.header), first.sop_class, image_type(first))
            problems[key] = (
                f"{first.name} is one of {wanted} objects of a concatenation, of which {len(held)} "
                "are there. Send the series again, complete."
            )
    return problems


def unplaced(instance: Instance, placed: int) -> str:
    """What is wrong with an MR image of which not every frame has a place in the patient."""
    wanted = 1
    if instance.is_multiframe:
        wanted = int(number_of(instance.header, "NumberOfFrames") or 0)
    elif instance.sop_class != _MR_IMAGE:
        return ""
    if placed >= wanted or (instance.is_multiframe and not placed):
        return ""
    return (
        f"{instance.name} does not say where {wanted - placed} of its {wanted} frame(s) lie (Image "
        "Position, Image Orientation and Pixel Spacing wanted). Send the series again."
    )


def series_key(header: Dataset) -> tuple[str, ...]:
    """What the objects of one series share (see `group_frames`)."""
    try:
        number, name = (str(header.get(k) or "") for k in ("SeriesNumber", "SeriesDescription"))
        if number and name and "MFSPLIT" in (header.get("ImageType") or ()):
            return (number, name)
    except DAMAGED:
        number = ""
    return (str(header.SeriesInstanceUID), number)
