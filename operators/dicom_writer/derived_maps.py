"""Computed maps (QSM, SWI, FA, CBF) as MR Image Storage series, on the grid they were computed on.

One object per slice, 16-bit signed. A stored value is a multiple of a small step of the unit
(0.001 ppm, FA x 1000), so that a viewer without Real World Value Mapping still shows a number
people know, and its window is wider than 1, below which PS3.3 C.11.2.1.2.1 has no linear window.
Rescale slope is no attribute of this object. Values keep their sign; NaN becomes padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.dicom_writer.coding import QUANTITY, UNIT, concept
from operators.dicom_writer.imprint import SOFTWARE, Imprint
from operators.types import Role, Series, Study, Unit

if TYPE_CHECKING:
    from highdicom import SOPClass, Volume
    from pydicom import Dataset

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
PADDING = -32768
_LIMIT = 32767

# Our own choice, the steps scanners' own maps use: far below the noise of each map, and wide
# enough for 16 bits (QSM to 32 ppm, CBF to 3200 ml/100 g/min). A map beyond gets a coarser step.
_STEPS = {
    Unit.PPM: 1e-3, Unit.RATIO: 1e-3, Unit.MM2_PER_S: 1e-6, Unit.ABSOLUTE_CBF: 0.1,
    Unit.RELATIVE_CBF: 1e-3,
}
_GREY_LEVELS = 4095  # 12 bits, as a scanner's own images, where values have no unit
# Centre and width of the window a viewer opens with, in the unit; others get their percentiles.
_WINDOWS = {
    Unit.PPM: (0.0, 0.4), Unit.RATIO: (0.5, 1.0), Unit.MM2_PER_S: (1.5e-3, 3e-3),
    Unit.ABSOLUTE_CBF: (50.0, 100.0),
}
_POSITION_TOLERANCE_MM = 0.01
_COPIED = (
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime",
    "EchoTime", "EchoTrainLength", "MagneticFieldStrength", "FlipAngle", "ImagingFrequency",
    "PatientPosition", "PositionReferenceIndicator",
)


def derived_series(study: Study) -> list[Series]:
    """The computed series of a study, in the order of roles."""
    found = (study.series[role] for role in Role if role in study.series)
    return [series for series in found if series.is_derived]


def map_objects(
    series: Series, study: Study, imprint: Imprint, *, offset: int
) -> Iterator[Dataset]:
    """One object per slice of each volume of a computed series, in slice order.

    `offset` is added to the first series number.
    """
    from pydicom.uid import UID

    headers = _source_headers(series, study)
    step = value_step(series)
    template = _template(series, imprint.source(headers[0]), imprint, step=step, offset=offset)
    number = 0
    for acquisition, volume in enumerate(series.volumes, 1):
        stored = stored_values(volume.array, step)
        for index in range(volume.spatial_shape[0]):
            number += 1
            dataset = deepcopy(template)
            _place(dataset, volume, index, headers)
            dataset.AcquisitionNumber = acquisition
            dataset.InstanceNumber = number
            uid = UID(imprint.uid(series.role.value, "instance", str(number)))
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.PixelData = stored[index].tobytes()
            yield dataset


def value_step(series: Series) -> float:
    """What a stored value of 1 means, in `series.unit`."""
    finite = (volume.array[np.isfinite(volume.array)] for volume in series.volumes)
    largest = max(float(np.abs(values).max(initial=0.0)) for values in finite)
    if series.unit not in _STEPS:
        return largest / _GREY_LEVELS or 1.0
    return max(_STEPS[series.unit], largest / _LIMIT)


def stored_values(values: NDArray[np.float32], step: float) -> NDArray[np.int16]:
    """`values` / `step` rounded to int16, NaN and infinity as PADDING; any shape."""
    scaled = np.rint(np.asarray(values, dtype=np.float64) / step)
    return np.where(np.isfinite(scaled), scaled.clip(-_LIMIT, _LIMIT), PADDING).astype("<i2")


def _source_headers(series: Series, study: Study) -> list[Dataset]:
    """The headers a map rests on: its own, and those of the series it was computed from."""
    headers = list(series.headers)
    for role in series.derived_from:
        if role in study.series:
            headers += study.series[role].headers
    return list({header.SOPInstanceUID: header for header in headers}.values())


def _template(
    series: Series, source: Dataset, imprint: Imprint, *, step: float, offset: int
) -> SOPClass:
    """What all slices of a map share."""
    name = series.role.value
    scale = f"; 1 = {step:.4g} {series.unit.value}" if series.unit in _STEPS else ""
    title = f"{SOFTWARE} {name.upper()} (computed{scale})"
    template = imprint.blank(
        source, MR_IMAGE_STORAGE, "MR", imprint.keywords(name, offset, title)
    )
    template.ImageType = ["DERIVED", "SECONDARY", "OTHER", name.upper()[:16]]
    template.FrameOfReferenceUID = source.FrameOfReferenceUID
    template.DerivationDescription = series.reason[:1024]
    _acquisition(template, series, source)
    _pixels(template, series.volumes[0])
    _values(template, series, step)
    return template


def _acquisition(template: SOPClass, series: Series, source: Dataset) -> None:
    """MR Image module (PS3.3 C.8.3.1): from the source header where it is classic, else known."""
    acquired, spacing_mm = series.acquisition, series.volumes[0].spacing
    template.ScanningSequence, template.SequenceVariant = "RM", "NONE"
    template.ScanOptions = template.MRAcquisitionType = template.EchoTrainLength = None
    template.PatientPosition = template.PositionReferenceIndicator = None
    template.RepetitionTime = acquired.repetition_time_ms
    template.EchoTime = series.samples[0].echo_time_ms
    template.MagneticFieldStrength = acquired.field_strength_t
    template.FlipAngle = acquired.flip_angle_deg
    for keyword in _COPIED:
        if source.get(keyword) not in (None, ""):
            template[keyword] = source[keyword]
    template.SliceThickness = f"{acquired.slice_thickness_mm or spacing_mm[0]:.6g}"
    template.SpacingBetweenSlices = f"{spacing_mm[0]:.6g}"


def _pixels(template: SOPClass, volume: Volume) -> None:
    """Image Pixel and the shared part of Image Plane."""
    _, template.Rows, template.Columns = volume.spatial_shape
    template.SamplesPerPixel, template.PhotometricInterpretation = 1, "MONOCHROME2"
    template.BitsAllocated = template.BitsStored = 16
    template.HighBit, template.PixelRepresentation = 15, 1
    template.PixelPaddingValue = PADDING
    template.PixelSpacing = volume.get_pixel_measures()[0].PixelSpacing
    template.ImageOrientationPatient = volume.get_plane_orientation()[0].ImageOrientationPatient


def _values(template: SOPClass, series: Series, step: float) -> None:
    """The window, in stored values, and what they mean."""
    from highdicom.pm import RealWorldValueMapping

    unit, quantity = series.unit, QUANTITY.get(series.unit)
    centre, width = _WINDOWS.get(unit) or _percentile_window(series)
    template.WindowCenter = f"{centre / step:.6g}"
    template.WindowWidth = f"{max(width / step, 1.0):.6g}"
    template.RealWorldValueMappingSequence = [
        RealWorldValueMapping(
            lut_label=series.role.value.upper()[:16],
            lut_explanation=f"{series.role.value.upper()} in {unit.value}",
            unit=concept(UNIT[unit]), value_range=(-_LIMIT, _LIMIT), slope=step, intercept=0.0,
            quantity_definition=None if quantity is None else concept(quantity),
        )
    ]


def _percentile_window(series: Series) -> tuple[float, float]:
    """Centre and width, in the unit."""
    values = series.volumes[0].array
    low, high = np.percentile(values[np.isfinite(values)], (0.5, 99.5))
    return float(low + high) / 2, float(high - low)


def _place(dataset: Dataset, volume: Volume, index: int, headers: list[Dataset]) -> None:
    """Slice position, and the source objects at that position (multi-frame ones: all)."""
    from pydicom import Dataset

    position = volume.get_plane_position(index)[0].ImagePositionPatient
    dataset.ImagePositionPatient = position
    references = []
    for header in headers:
        if _holds(header, position):
            item = Dataset()
            item.ReferencedSOPClassUID = header.SOPClassUID
            item.ReferencedSOPInstanceUID = header.SOPInstanceUID
            references.append(item)
    if references:
        dataset.SourceImageSequence = references


def _holds(header: Dataset, position_lps_mm: Sequence[float]) -> bool:
    own = header.get("ImagePositionPatient")
    if own is None or "NumberOfFrames" in header:
        return True
    apart = np.subtract([float(c) for c in own], [float(c) for c in position_lps_mm])
    return float(np.abs(apart).max()) < _POSITION_TOLERANCE_MM
