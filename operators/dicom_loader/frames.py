"""A frame: one slice as stored, with everything that decides which volume it belongs to."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from operators.dicom_loader.elements import PrivateTag, is_made_by, number_of, private, text_values
from operators.dicom_loader.index import Instance
from operators.errors import BrokenSeries
from operators.types import Sample

if TYPE_CHECKING:
    from pydicom import Dataset


class Component(StrEnum):
    """What a stored value is of the complex signal."""

    MAGNITUDE = "magnitude"
    PHASE = "phase"
    REAL = "real"
    IMAGINARY = "imaginary"


# Exact tokens of Image Type / Frame Type. Siemens M P R I; Philips M_FFE ... and the GraSE, SE,
# FFE and SWI (SW_P) forms.
_TOKENS = {
    Component.PHASE: frozenset({"P", "PHASE", "PHASE MAP", "PHASE_MAP", "P_FFE", "P_SE", "SW_P"}),
    Component.REAL: frozenset({"R", "REAL", "R_FFE", "R_SE"}),
    Component.IMAGINARY: frozenset({"I", "IMAGINARY", "I_FFE", "I_SE"}),
}
COMPONENT_WORDS = frozenset({"M", "M_FFE", "M_SE"}).union(*_TOKENS.values())
"""Tokens of an image type that tell the component, and what real and imaginary differ in."""
# Directions are often written with four digits.
_AXES_TOLERANCE = 0.01
_GE_PHASE = re.compile(r"FILT_PHA|(?<![a-z])pha(se)?(?![a-z])", re.IGNORECASE)
_GE_CODES = (Component.MAGNITUDE, Component.PHASE, Component.REAL, Component.IMAGINARY)


@dataclass(frozen=True, slots=True)
class Scaling:
    """Stored value * slope + intercept, in `unit` (lower case, "" where not stated)."""

    slope: float = 1.0
    intercept: float = 0.0
    unit: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it keeps the image: a slope of 0 would not, nor what is no number."""
        return math.isfinite(self.slope) and self.slope != 0.0 and math.isfinite(self.intercept)


@dataclass(frozen=True, slots=True)
class Plane:
    """Geometry of a slice: LPS mm. `spacing_mm` is (between rows, between columns)."""

    position_mm: tuple[float, float, float]
    orientation: tuple[float, float, float, float, float, float]
    spacing_mm: tuple[float, float]
    rows: int
    columns: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One slice.

    Attributes
    ----------
    number : frame of a multi-frame object, from 0.
    tile : (first row, first column) inside a mosaic; None elsewhere.
    tokens : values of Image Type and Frame Type, vendor additions included, upper case.
    sample : echo, b-value, labelling; `repetition` is the temporal position, 0 where not stated.
    order : (acquisition number, instance number), which sort repeated slices.
    """

    instance: Instance
    number: int
    tile: tuple[int, int] | None
    plane: Plane
    tokens: tuple[str, ...]
    component: Component
    scaling: Scaling
    sample: Sample
    order: tuple[int, int]


_GE_COMPONENT = PrivateTag(0x0043, "GEMS_PARM_01", 0x2F)


def component_of(tokens: tuple[str, ...], stated: str, header: Dataset) -> Component:
    """Magnitude, phase, real or imaginary.

    GE states it in (0043,102F) only (0 magnitude, 1 phase, 2 real, 3 imaginary), and where that is
    lost names the series of phase; others in Complex Image Component (`stated`) or the image type.
    """
    if is_made_by("GE", header):
        code = _ge_code(header)
        if code is not None:
            return _GE_CODES[code]
        if _GE_PHASE.search(str(header.get("SeriesDescription", ""))):
            return Component.PHASE
    if stated.lower() in set(Component) and stated.upper() != "MAGNITUDE":
        return Component(stated.lower())
    for component, names in _TOKENS.items():
        if names.intersection(tokens[2:]):
            return component
    return Component.MAGNITUDE


def states_component(header: Dataset) -> bool:
    """Whether a GE object says what its values are of the complex signal."""
    return _ge_code(header) is not None


def _ge_code(header: Dataset) -> int | None:
    code = private(header, _GE_COMPONENT)
    if isinstance(code, bytes):
        code = int.from_bytes(code[:2], "little")
    first = code[0] if isinstance(code, (list, tuple)) else code
    return int(str(first)) if str(first) in {"0", "1", "2", "3"} else None


def scaling_of(rescale: Dataset, mapping: Dataset | None) -> Scaling:
    """Real World Value Mapping where it states a unit, else the rescale of the modality."""
    slope = _stated_or(1.0, rescale, "RescaleSlope")
    intercept = _stated_or(0.0, rescale, "RescaleIntercept")
    stated = str(rescale.get("RescaleType", "") or "").strip().lower()
    rescaled = Scaling(slope, intercept, "" if stated in {"us", "normalized"} else stated)
    items = [] if mapping is None else mapping.get("RealWorldValueMappingSequence") or []
    for item in items:
        unit = _mapped_unit(item)
        real_slope = number_of(item, "RealWorldValueSlope")
        if unit and real_slope is not None:
            return Scaling(real_slope, number_of(item, "RealWorldValueIntercept") or 0.0, unit)
    return rescaled


def _stated_or(usual: float, header: Dataset, keyword: str) -> float:
    """The value, `usual` where absent, NaN where stated and no number."""
    if header.get(keyword) in (None, ""):
        return usual
    number = number_of(header, keyword)
    return math.nan if number is None else number


def _mapped_unit(item: Dataset) -> str:
    """Unit of one mapping, "" for none: its UCUM code, or Philips's word in the explanation."""
    codes = item.get("MeasurementUnitsCodeSequence") or []
    code = str(codes[0].get("CodeValue", "")).strip().lower() if codes else ""
    if code in {"", "1", "no units"}:
        code = ""
    explanation = str(item.get("LUTExplanation", "")).lower()
    if "mrad" in explanation or "milliradian" in explanation:
        return "mrad"
    return code


def classic_frame(instance: Instance, sample: Sample) -> Frame | None:
    """The frame of a single-frame object; None where it has no place in the patient."""
    header = instance.header
    plane = plane_of(header, header, header, header)
    if plane is None:
        return None
    tokens = text_values(header, "ImageType")
    stated = str(header.get("ComplexImageComponent", "") or "")
    return Frame(
        instance=instance,
        number=0,
        tile=None,
        plane=plane,
        tokens=tokens,
        component=component_of(tokens, stated, header),
        scaling=scaling_of(header, header),
        sample=sample,
        order=order_of(header),
    )


def plane_of(
    position: Dataset, orientation: Dataset, measures: Dataset, header: Dataset
) -> Plane | None:
    """Geometry from the four data sets that hold its parts; None where one is missing.

    Raises BrokenSeries for axes that are no two perpendicular directions and for a spacing that is
    not positive.
    """
    where = position.get("ImagePositionPatient")
    axes = orientation.get("ImageOrientationPatient")
    spacing = measures.get("PixelSpacing")
    rows, columns = int(header.get("Rows") or 0), int(header.get("Columns") or 0)
    if not (where and axes and spacing and rows and columns):
        return None
    if len(where) != 3 or len(axes) != 6 or len(spacing) != 2:
        return None
    x, y, z = (float(v) for v in where)
    a, b, c, d, e, f = (float(v) for v in axes)
    between_rows, between_columns = (float(v) for v in spacing)
    if not all(map(math.isfinite, (x, y, z))):
        raise BrokenSeries(f"position ({x:g}, {y:g}, {z:g}) mm found, numbers wanted")
    straight = _perpendicular((a, b, c), (d, e, f))
    if straight is None:
        raise BrokenSeries("two perpendicular directions of length 1 wanted as orientation")
    if not (0 < between_rows < math.inf and 0 < between_columns < math.inf):
        raise BrokenSeries(f"pixels of {between_rows:g} x {between_columns:g} mm found")
    return Plane((x, y, z), straight, (between_rows, between_columns), rows, columns)


def _perpendicular(
    row: tuple[float, float, float], column: tuple[float, float, float]
) -> tuple[float, float, float, float, float, float] | None:
    """The two directions freed of what few digits leave; None where they are none.

    Both lean by half of the error, so that neither is believed more.
    """
    lengths = math.hypot(*row), math.hypot(*column)
    cosine = sum(a * b for a, b in zip(row, column, strict=True))
    if not max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(cosine)) < _AXES_TOLERANCE:
        return None
    u = [a - cosine / 2 * b for a, b in zip(row, column, strict=True)]
    v = [b - cosine / 2 * a for a, b in zip(row, column, strict=True)]
    lean = sum(a * b for a, b in zip(u, v, strict=True)) / sum(a * a for a in u)
    v = [b - lean * a for a, b in zip(u, v, strict=True)]
    (a, b, c), (d, e, f) = ([part / math.hypot(*w) for part in w] for w in (u, v))
    return a, b, c, d, e, f


def order_of(header: Dataset) -> tuple[int, int]:
    """(acquisition number, instance number), 0 where absent."""
    return (
        int(number_of(header, "AcquisitionNumber") or 0),
        int(number_of(header, "InstanceNumber") or 0),
    )


def by_instance(frames: tuple[Frame, ...]) -> Iterator[tuple[Instance, list[Frame]]]:
    """Frames gathered by the object that holds them, in order of first appearance."""
    gathered: dict[int, list[Frame]] = {}
    for frame in frames:
        gathered.setdefault(id(frame.instance), []).append(frame)
    for held in gathered.values():
        yield held[0].instance, held
