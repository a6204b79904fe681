"""The only place where pixels are read: stored values, then rescaled volumes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import SEEK_END
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.elements import DAMAGED, number_of
from operators.dicom_loader.frames import Frame, by_instance
from operators.dicom_loader.index import Instance
from operators.dicom_loader.volumes import Layout
from operators.errors import BrokenSeries, UnsupportedObject

if TYPE_CHECKING:
    from pathlib import Path

    from highdicom import Volume
    from pydicom import Dataset


def read_arrays(layout: Layout) -> list[NDArray[np.float32]]:
    """Rescaled values of every volume of a layout, float32 (slice, row, column).

    Each object is opened once. Raises BrokenSeries for truncated or absent pixels and
    UnsupportedObject for a compression that nothing here decodes.
    """
    arrays = [np.empty(layout.shape, dtype=np.float32) for _ in layout.volumes]
    places = {
        id(frame): (number, slice_number)
        for number, volume in enumerate(layout.volumes)
        for slice_number, frame in enumerate(volume)
    }
    frames = tuple(frame for volume in layout.volumes for frame in volume)
    for instance, held in by_instance(frames):
        for frame, stored in zip(held, stored_values(instance, held), strict=True):
            number, slice_number = places[id(frame)]
            values = stored.astype(np.float64) * frame.scaling.slope + frame.scaling.intercept
            arrays[number][slice_number] = values
    return arrays


def stored_values(instance: Instance, frames: Sequence[Frame]) -> Iterator[NDArray[np.generic]]:
    """Stored values of frames of one object, (row, column) each, in the order of `frames`."""
    wanted = sorted({frame.number for frame in frames})
    decoded = dict(zip(wanted, _decode(instance, wanted), strict=True))
    for frame in frames:
        whole = decoded[frame.number]
        plane = frame.plane
        if frame.tile is not None:
            row, column = frame.tile
            whole = whole[row : row + plane.rows, column : column + plane.columns]
        if whole.shape != (plane.rows, plane.columns):
            raise BrokenSeries(
                f"{instance.name} holds an image of {whole.shape} pixels, "
                f"{(plane.rows, plane.columns)} wanted. Send the series again."
            )
        yield whole


def _decode(instance: Instance, numbers: Sequence[int]) -> list[NDArray[np.generic]]:
    from pydicom import dcmread
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import iter_pixels

    syntax = instance.transfer_syntax
    try:
        with _without_tracebacks():
            source: Dataset | Path | None = _plain_pixels(instance)
            if source is None:
                # pydicom 3.0.2 finds no pixels when it is given the path of a deflated file.
                source = dcmread(instance.path) if syntax.is_deflated else instance.path
            return list(iter_pixels(source, indices=numbers, raw=True))
    except (RuntimeError, *DAMAGED) as error:
        why = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
        try:
            known = get_decoder(syntax).is_available
        except NotImplementedError:
            known = False
        if not known:
            raise UnsupportedObject(
                f"{instance.name} is stored as {syntax.name}, which nothing here decodes. "
                "Send it as Explicit VR Little Endian."
            ) from error
        found, wanted = _bytes(instance)
        raise BrokenSeries(
            f"{instance.name}: pixels truncated or damaged ({found} bytes found, {wanted} wanted; "
            f"{why}). Send the series again."
        ) from error


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """pydicom logs a traceback per plugin that fails; the error raised says what matters."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_MODULE = (
    "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames",
)  # fmt: skip


def _plain_pixels(instance: Instance) -> Dataset | None:
    """The pixel module of an uncompressed object whose pixels end the file, pixels included.

    Reading the header a second time costs far more than the pixels, and nearly every scanner writes
    Pixel Data last: the element's own header, found at the place that its length predicts, proves
    it. None where that does not hold; the caller then parses the file.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

    header = instance.header
    prefixes = {
        ExplicitVRLittleEndian: b"\xe0\x7f\x10\x00OW\x00\x00",
        ImplicitVRLittleEndian: b"\xe0\x7f\x10\x00",
    }
    prefix = prefixes.get(instance.transfer_syntax)
    length = _native_length(header)
    if prefix is None or length % 2:
        return None
    if not 0 < length < _UNDEFINED_LENGTH:
        return None
    expected = prefix + length.to_bytes(4, "little")
    if instance.path.stat().st_size < length + len(expected):
        return None
    with instance.path.open("rb") as file:
        file.seek(-length - len(expected), SEEK_END)
        if file.read(len(expected)) != expected:
            return None
        plain = Dataset()
        plain.file_meta = FileMetaDataset()
        plain.file_meta.TransferSyntaxUID = instance.transfer_syntax
        for keyword in _PIXEL_MODULE:
            if keyword in header:
                plain[keyword] = header[keyword]
        plain.PixelData = file.read(length)
    return plain


def _native_length(header: Dataset) -> int:
    """Bytes of uncompressed pixel data that the header announces."""
    values = number_of(header, "NumberOfFrames") or 1.0
    values *= number_of(header, "SamplesPerPixel") or 1.0
    values *= (number_of(header, "Rows") or 0.0) * (number_of(header, "Columns") or 0.0)
    return int(values * (number_of(header, "BitsAllocated") or 16.0)) // 8


def _bytes(instance: Instance) -> tuple[int, str]:
    """Bytes of pixel data in the file, and those wanted (unknown for compressed data)."""
    import pydicom

    dataset = pydicom.dcmread(instance.path, force=True, specific_tags=["PixelData"])
    found = len(dataset.get("PixelData") or b"")
    if instance.transfer_syntax.is_compressed:
        return found, "a complete compressed image"
    return found, str(_native_length(instance.header))


def to_volumes(
    arrays: Sequence[NDArray[np.float32]], layout: Layout, frame_of_reference_uid: str | None
) -> tuple[Volume, ...]:
    """Arrays as volumes in LPS patient coordinates."""
    from highdicom import Volume

    return tuple(
        Volume(
            array=array,
            affine=layout.affine_lps_mm,
            coordinate_system="PATIENT",
            frame_of_reference_uid=frame_of_reference_uid,
        )
        for array in arrays
    )
