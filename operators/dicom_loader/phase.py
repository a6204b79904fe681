"""Phase to radians, in the sign convention of Siemens and Philips, for every vendor's storage."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.frames import Scaling

_TO_RADIANS = {"mrad": 1e-3, "milliradian": 1e-3, "rad": 1.0, "radian": 1.0, "radians": 1.0,
               "deg": np.pi / 180, "degree": np.pi / 180}  # fmt: skip
# Full ranges met in the wild, narrow to wide: (smallest, largest, centre, values per turn, name).
# Air is random in phase, so data fills its range and the narrowest that holds it is the one.
_KNOWN_RANGES = (
    (-np.pi, np.pi, 0.0, 2 * np.pi, "-pi to pi"),
    (0.0, 2 * np.pi, 0.0, 2 * np.pi, "0 to 2 pi"),
    (-2048.0, 2047.0, 0.0, 4096.0, "-2048 to 2047"),
    (0.0, 4095.0, 2048.0, 4096.0, "0 to 4095"),
    (-1000 * np.pi, 1000 * np.pi, 0.0, 2000 * np.pi, "milliradians"),
    (-4096.0, 4095.0, 0.0, 8192.0, "-4096 to 4095"),
)


_LEAST_MILLIRADIANS = 20.0
"""Radians reach from -pi to pi or 0 to 2 pi."""


def phase_to_radians(
    arrays: Sequence[NDArray[np.float32]],
    *,
    scaling: Scaling,
    manufacturer: str,
    bits_stored: int,
    signed: bool = False,
) -> tuple[list[NDArray[np.float32]], str]:
    """Rescaled phase values of all echoes to radians, and how it was done.

    - A stated unit (mrad, rad, degrees) is used: Philips, and GE where it says so.
    - Siemens: the stored range 2^bits covers one turn; -4096..4094 with slope 2 and intercept
      -4096 is x pi/4096, 0..4095 without rescale is (x - 2048) pi/2048; stored 0 is the centre of
      signed values. Bits Stored is not believed where the data fill less than half of the range
      (exports write 16 for 12 bits).
    - GE: milliradians (measured range -3141..3142, no rescale), and the sign is opposite.
    - Otherwise the range of the data is held against known full ranges; the returned sentence
      then says "assumed".

    Values are only scaled: neither 0 nor +-pi is replaced.
    """
    maker = manufacturer.upper()
    if scaling.unit in _TO_RADIANS:
        factor, centre, how = _TO_RADIANS[scaling.unit], 0.0, f"stated in {scaling.unit}"
    elif "SIEMENS" in maker and _span(arrays) >= abs(scaling.slope) * 2.0**bits_stored / 2:
        turn = abs(scaling.slope) * 2.0**bits_stored
        centre = scaling.intercept + (0.0 if signed else scaling.slope * 2.0**bits_stored / 2)
        factor, how = 2 * np.pi / turn, "Siemens full range"
    elif maker.startswith("GE") and _span(arrays) > _LEAST_MILLIRADIANS:
        factor, centre, how = 1e-3, 0.0, "GE milliradians"
    else:
        factor, centre, how = _from_range(arrays)
    sign = -1.0 if maker.startswith("GE") else 1.0
    if sign < 0:
        how += ", sign reversed (GE)"
    return [(sign * factor * (a - np.float32(centre))).astype(np.float32) for a in arrays], how


def _span(arrays: Sequence[NDArray[np.float32]]) -> float:
    low = min(float(np.nanmin(array)) for array in arrays)
    return max(float(np.nanmax(array)) for array in arrays) - low


def _from_range(arrays: Sequence[NDArray[np.float32]]) -> tuple[float, float, str]:
    """(factor, centre, sentence) of the smallest known range that holds the data."""
    low = min(float(np.nanmin(array)) for array in arrays)
    high = max(float(np.nanmax(array)) for array in arrays)
    for smallest, largest, centre, turn, name in _KNOWN_RANGES:
        slack = 0.005 * (largest - smallest)
        if low >= smallest - slack and high <= largest + slack:
            return 2 * np.pi / turn, centre, f"assumed {name} from values {low:.4g} to {high:.4g}"
    reach = max(abs(low), abs(high), 1.0)
    return np.pi / reach, 0.0, f"assumed that {low:.4g} to {high:.4g} is one turn"


def complex_to_phase(
    real: NDArray[np.float32], imaginary: NDArray[np.float32], *, manufacturer: str
) -> NDArray[np.float32]:
    """atan2(imaginary, real); sign reversed for GE."""
    sign = -1.0 if manufacturer.upper().startswith("GE") else 1.0
    return (sign * np.arctan2(imaginary, real)).astype(np.float32)


def without_alternation(
    phase: NDArray[np.float32], magnitude: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.float32], bool]:
    """Remove the jump of pi between neighbouring slices that GE 3D reconstructions leave.

    Found where nearly every pair of neighbours (nine in ten) is anti-correlated as complex
    images; then odd slices are shifted by pi and wrapped. Returns (phase, whether it was there).
    """
    if phase.shape[0] < 4:
        return phase, False
    weight = np.ones_like(phase) if magnitude is None else magnitude
    signal = weight * np.exp(1j * phase.astype(np.complex64))
    agreement = np.real(signal[1:] * np.conj(signal[:-1])).sum(axis=(1, 2))
    if np.mean(agreement < 0) < 0.9:
        return phase, False
    shifted = phase.copy()
    shifted[1::2] = np.angle(-np.exp(1j * phase[1::2]))
    return shifted, True
