"""Simulated values to stored integers, in each vendor's way.

Siemens and Philips store 12 bits, GE 16 bits signed. Siemens phase has slope 2 and intercept -4096
(radians x 4096/pi) and relative CBF slope 2.00024; Philips phase has slope 6284/4095 and intercept
-3142 (milliradian) and perfusion slope 0.1: measured on those scanners' files. GE keeps milliradian
without rescale and with the opposite sign. Siemens FA is x1000, its ADC in 1e-6 mm2/s.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.dicom.scan import Contrast, Scaling, VendorStyle
from operators.labels import CBF_UNIT, PPM, Code

STORED_MAX = 4095
SIEMENS_PHASE = Scaling(2.0, -4096.0, "US")
SIEMENS_RELATIVE_CBF = Scaling(2.00024, -4096.0, "US")
PHILIPS_PHASE = Scaling(6284 / STORED_MAX, -3142.0, "mrad")
PHILIPS_PERFUSION = Scaling(0.1, 0.0, "US")
QSM = Scaling(0.001, 0.0, "US")
IDENTITY = Scaling(1.0, 0.0, "US")
MILLIRADIAN = Code("mrad", "UCUM", "milliradian")
STORED_GAIN: dict[Contrast, float] = {Contrast.FA: 1e3, Contrast.MD: 1e6}
_PHILIPS_LIKE = (VendorStyle.PHILIPS, VendorStyle.ENHANCED)

Pixels = NDArray[np.uint16] | NDArray[np.int16]


class Encoded(NamedTuple):
    """Stored pixels, the rescale and unit that the header states, displayed per simulated value."""

    pixels: Pixels
    scaling: Scaling | None
    unit: Code | None
    gain: float


def quantise(
    array: NDArray[np.float32], scaling: Scaling | None, gain: float = 1.0
) -> NDArray[np.uint16]:
    """`array` x `gain` as the nearest 12 bit stored values; what is out of range is clipped."""
    slope, intercept, _ = scaling or IDENTITY
    stored = np.rint((array.astype(np.float64) * gain - intercept) / slope)
    return np.asarray(np.clip(stored, 0, STORED_MAX), dtype=np.uint16)


def encode(
    array: NDArray[np.float32], contrast: Contrast, style: VendorStyle, peak: float,
    *, absolute_cbf: bool = False,
) -> Encoded:
    """One volume (slice, row, column) of a real-valued contrast as `style` stores it.

    `peak` is the largest value of the whole series: one gain for all its volumes.
    """
    if contrast is Contrast.QSM:
        signed = np.rint(array.astype(np.float64) / QSM.slope).astype(np.int16)
        return Encoded(signed, QSM, PPM, 1.0)
    if contrast is Contrast.CBF and absolute_cbf:
        scaling = Scaling(_positive(peak) / STORED_MAX, 0.0, "US")
        return Encoded(quantise(array, scaling), scaling, CBF_UNIT, 1.0)
    rescale, gain = _relative_scaling(contrast, style, _positive(peak))
    pixels = quantise(array, rescale, gain)
    is_ge = style is VendorStyle.GE
    return Encoded(pixels.astype(np.int16) if is_ge else pixels, rescale, None, gain)


def _relative_scaling(
    contrast: Contrast, style: VendorStyle, peak: float
) -> tuple[Scaling | None, float]:
    """Rescale and gain of a contrast whose header states no unit."""
    is_philips_like = style in _PHILIPS_LIKE
    if contrast is Contrast.CBF:
        if style is VendorStyle.SIEMENS:
            return SIEMENS_RELATIVE_CBF, 2000.0 / peak
        return (PHILIPS_PERFUSION, 400.0 / peak) if is_philips_like else (None, 1000.0 / peak)
    if contrast in STORED_GAIN:
        if style is VendorStyle.PHILIPS:
            top = 1.0 if contrast is Contrast.FA else peak
            return Scaling(top / STORED_MAX, 0.0, "US"), 1.0
        rescale = IDENTITY if style is VendorStyle.ENHANCED else None
        return rescale, STORED_GAIN[contrast]
    if is_philips_like:
        return Scaling(peak / STORED_MAX, 0.0, "normalized"), 1.0
    return None, 4000.0 / peak


def encode_phase(radians: NDArray[np.float32], style: VendorStyle) -> Encoded:
    """Phase (radian, any range) as `style` stores it, wrapped."""
    wrapped = np.angle(np.exp(1j * radians.astype(np.float64)))
    if style is VendorStyle.SIEMENS:
        stored = np.rint((wrapped * 4096 / math.pi + 4096) / 2)
        return Encoded((stored % 4096).astype(np.uint16), SIEMENS_PHASE, None, 1.0)
    if style is VendorStyle.GE:
        return Encoded(np.rint(-1000 * wrapped).astype(np.int16), None, None, 1.0)
    pixels = quantise(wrapped.astype(np.float32), PHILIPS_PHASE, 1000.0)
    return Encoded(pixels, PHILIPS_PHASE, MILLIRADIAN, 1000.0)


def _positive(peak: float) -> float:
    return peak if peak > 0 else 1.0
