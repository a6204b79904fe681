"""The only place where pixels are read: stored values, then rescaled volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.frames import Frame, by_instance
from operators.dicom_loader.index import Instance
from operators.dicom_loader.volumes import Layout
from operators.errors import BrokenSeries, UnsupportedObject

if TYPE_CHECKING:
    from highdicom import Volume


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
    from pydicom.pixels import iter_pixels

    header = instance.header
    try:
        if not instance.is_multiframe:
            return list(iter_pixels(instance.path, raw=True))[:1]
        return list(iter_pixels(instance.path, indices=numbers, raw=True))
    except (ValueError, EOFError, AttributeError, KeyError, IndexError, OSError) as error:
        found, wanted = _bytes(instance)
        raise BrokenSeries(
            f"{instance.name}: pixels truncated or damaged ({found} bytes found, {wanted} wanted; "
            f"{error}). Send the series again."
        ) from error
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedObject(
            f"{instance.name} is stored as {header.file_meta.TransferSyntaxUID.name}, which could "
            f"not be decoded ({error}). Send it as Explicit VR Little Endian."
        ) from error


def _bytes(instance: Instance) -> tuple[int, str]:
    """(bytes of pixel data in the file, bytes wanted); compressed data wants an unknown number."""
    import pydicom

    dataset = pydicom.dcmread(instance.path, force=True, specific_tags=["PixelData"])
    found = len(dataset.get("PixelData") or b"")
    header = instance.header
    if header.file_meta.TransferSyntaxUID.is_compressed:
        return found, "a complete compressed image of"
    count = int(header.get("NumberOfFrames") or 1) * int(header.get("SamplesPerPixel") or 1)
    count *= int(header.get("Rows", 0)) * int(header.get("Columns", 0))
    return found, str(count * int(header.get("BitsAllocated") or 16) // 8)


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
