"""Siemens mosaics: one object holds all slices of a volume as tiles of one large image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.csa import csa_values
from operators.dicom_loader.elements import PrivateTag, number_of, private
from operators.dicom_loader.frames import Frame, Plane, classic_frame
from operators.dicom_loader.index import Instance
from operators.errors import BrokenSeries
from operators.types import Sample

if TYPE_CHECKING:
    from pydicom import Dataset

_TILE_COUNT = PrivateTag(0x0019, "SIEMENS MR HEADER", 0x0A)


def is_mosaic(header: Dataset) -> bool:
    """Image Type names it: MOSAIC, exactly."""
    return "MOSAIC" in (header.get("ImageType") or ())


def mosaic_frames(instance: Instance, sample: Sample) -> Iterator[Frame]:
    """The tiles of a mosaic as frames, in slice order.

    Tiles fill a square grid of ceil(sqrt(n)) per side, row by row. Image Position of a mosaic is
    the corner of an image of the mosaic's size about the true centre (Siemens' convention, as
    documented with nibabel's DICOM mosaic notes), so it moves in by half the difference.
    The slice direction is CSA SliceNormalVector; the step is Spacing Between Slices.
    Raises BrokenSeries where the header does not say how many tiles there are.
    """
    whole = classic_frame(instance, sample)
    if whole is None:
        return
    header = instance.header
    count = _count(header)
    per_side = math.ceil(math.sqrt(count)) if count else 0
    rows, columns = whole.plane.rows, whole.plane.columns
    if not count or rows % per_side or columns % per_side:
        raise BrokenSeries(
            f"{instance.name} is a mosaic of {rows} x {columns} pixels with {count} tiles stated; "
            "a square grid of tiles is wanted. Export the series as enhanced MR or single slices."
        )
    tile_rows, tile_columns = rows // per_side, columns // per_side
    row_axis = np.array(whole.plane.orientation[:3])
    column_axis = np.array(whole.plane.orientation[3:])
    between_rows, between_columns = whole.plane.spacing_mm
    corner = (
        np.array(whole.plane.position_mm)
        + row_axis * between_columns * (columns - tile_columns) / 2
        + column_axis * between_rows * (rows - tile_rows) / 2
    )
    step = _normal(header, np.cross(row_axis, column_axis)) * _slice_step(header)
    for number in range(count):
        x, y, z = (corner + number * step).tolist()
        plane = Plane(
            (x, y, z), whole.plane.orientation, whole.plane.spacing_mm, tile_rows, tile_columns
        )
        tile = (number // per_side * tile_rows, number % per_side * tile_columns)
        yield replace(whole, tile=tile, plane=plane)


def _count(header: Dataset) -> int:
    stated = private(header, _TILE_COUNT)
    if stated is None:
        items = csa_values(header, "NumberOfImagesInMosaic")
        return int(items[0]) if items else 0
    return int.from_bytes(stated, "little") if isinstance(stated, bytes) else int(str(stated))


def _normal(header: Dataset, cross: NDArray[np.float64]) -> NDArray[np.float64]:
    """Direction of increasing tile number: the CSA vector, which may oppose row x column."""
    items = csa_values(header, "SliceNormalVector")
    if len(items) != 3:
        return cross
    return cross if float(np.dot(cross, items)) >= 0 else -cross


def _slice_step(header: Dataset) -> float:
    return number_of(header, "SpacingBetweenSlices") or number_of(header, "SliceThickness") or 1.0
