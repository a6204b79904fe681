"""The magnetic field from the phase of one or several gradient echoes.

Phase grows with the field: phase = offset + 2 pi 42.577 MHz/T dB TE, so that a paramagnetic
source is positive where it lies. Arrays are (slice, row, column), float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.geometry import Vector, grown, inside_mm

GYROMAGNETIC_MHZ_T = 42.577
"""Proton gyromagnetic ratio over 2 pi (CODATA: 42.577 478)."""

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FieldMap:
    """A field and how far to trust it.

    Attributes
    ----------
    field_ppm : dB / B0, parts per million, 0 outside the mask.
    weight : 0 (no signal, or echoes that disagree) to about 1 (median of the mask).
    """

    field_ppm: Array
    weight: Array


def ppm_per_rad_ms(field_strength_t: float) -> float:
    """ppm of B0 for a precession of 1 rad/ms."""
    return 1e3 / (2 * np.pi * GYROMAGNETIC_MHZ_T * field_strength_t)


def unwrap(phase: Array, mask: Mask) -> Array:
    """Phase without its jumps of 2 pi inside the mask (its median within +-pi), 0 outside.

    Reliability-sorted path following of scikit-image (Herraez et al., Appl Opt 2002;41:7437).
    """
    from skimage.restoration import unwrap_phase

    masked = np.ma.MaskedArray(phase, mask=~mask)  # type: ignore
    smooth = np.asarray(unwrap_phase(masked, rng=0), np.float32)  # type: ignore[no-untyped-call]
    turns = np.round(np.median(smooth[mask]) / (2 * np.pi))
    return np.where(mask, smooth - np.float32(2 * np.pi * turns), np.float32(0))


def wrap(phase: NDArray) -> NDArray:
    """Phase to (-pi, pi]."""
    return np.asarray(np.angle(np.exp(1j * phase)), np.float32)


def field_map(
    magnitudes: Sequence[Array],
    phases: Sequence[Array],
    mask: Mask,
    *,
    echo_times_ms: Sequence[float],
    field_strength_t: float,
    spacing: Vector,
) -> FieldMap:
    """Field inside a mask from one or more echoes, ascending echo times, phases in radians.

    With one echo, what the coils add to the phase stays in the field, smooth.
    """
    if len(phases) == 1:
        rate, weight = unwrap(phases[0], mask) / np.float32(echo_times_ms[0]), magnitudes[0]
    else:
        rate, weight = _fit(magnitudes, phases, mask, echo_times_ms, spacing)
    field = np.where(mask, rate, 0) * ppm_per_rad_ms(field_strength_t)
    return FieldMap(field.astype(np.float32), _to_median(weight, mask))


def _fit(
    magnitudes: Sequence[Array],
    phases: Sequence[Array],
    mask: Mask,
    times: Sequence[float],
    spacing: Vector,
) -> tuple[Array, Array]:
    """(rad/ms, weight) of several echoes.

    The phase between the first two echoes is unwrapped in space, which gives a first field and,
    smoothed over 5 mm, the offset of the coils (MCPC-3D-S: Eckstein et al., MRM 2018;79:2996).
    Each echo then joins in turn at the multiple of 2 pi that the field so far predicts, weighted
    by its squared magnitude, the inverse variance of its phase.
    """
    rate = unwrap(wrap(phases[1] - phases[0]), mask) / np.float32(times[1] - times[0])
    offset = _coil_offset(magnitudes[0], phases[0] - rate * times[0], mask, spacing)
    numerator = np.zeros(mask.shape, np.float32)
    denominator = np.full(mask.shape, np.finfo(np.float32).tiny, np.float32)
    for magnitude, phase, time in zip(magnitudes, phases, times, strict=True):
        rest = wrap(phase - offset - rate * np.float32(time))
        trust = magnitude * magnitude * np.float32(time)
        numerator += trust * (rate * np.float32(time) + rest)
        denominator += trust * np.float32(time)
        rate = numerator / denominator
    misfit = _misfit(magnitudes, phases, times, rate, offset)
    return rate, np.sqrt(denominator) * np.exp(-misfit)


def _coil_offset(
    magnitude: Array, phase: Array, mask: Mask, spacing: Vector
) -> Array:
    """Phase at echo time zero, smoothed over 5 mm as a complex number."""
    from scipy.ndimage import gaussian_filter

    signal = np.where(mask, magnitude, 0) * np.exp(1j * phase)
    sigma = [5.0 / step for step in spacing]
    real = gaussian_filter(signal.real.astype(np.float32), sigma)
    imaginary = gaussian_filter(signal.imag.astype(np.float32), sigma)
    return np.asarray(np.arctan2(imaginary, real))


def _misfit(
    magnitudes: Sequence[Array],
    phases: Sequence[Array],
    times: Sequence[float],
    rate: Array,
    offset: Array,
) -> Array:
    """Weighted mean of 1 - cos of the phase that the fitted field does not explain, 0 to 2."""
    total = np.zeros(rate.shape, np.float32)
    weights = np.full(rate.shape, np.finfo(np.float32).tiny, np.float32)
    for magnitude, phase, time in zip(magnitudes, phases, times, strict=True):
        rest = phase - offset - rate * np.float32(time)
        total += magnitude * (1 - np.cos(rest))
        weights += magnitude
    return np.asarray(total / weights)


def reliable(mask: Mask, weight: Array, spacing: Vector) -> Mask:
    """The mask without the rim whose phase cannot be trusted; holes inside it stay filled.

    Trusted is a weight of half its mean within 40 mm; then parts thinner than 5 mm and loose ones
    go, and gaps up to 8 mm close again, so that a bleed in the cortex stays. Own choices.
    """
    from scipy.ndimage import binary_fill_holes, uniform_filter

    size = [max(1, round(40.0 / step)) for step in spacing]
    around = uniform_filter(np.where(mask, weight, 0).astype(np.float32), size)
    share = uniform_filter(mask.astype(np.float32), size)
    trusted = mask & (weight * share > 0.5 * around)
    core = _largest(inside_mm(trusted, spacing) > 2.5)
    opened = trusted & grown(core, spacing, 2.5)
    closed = inside_mm(grown(opened, spacing, 4.0), spacing) > 4.0
    return np.asarray(binary_fill_holes(closed | opened) & mask)


def _largest(mask: Mask) -> Mask:
    from scipy.ndimage import label

    labels, count = label(mask)
    if count <= 1:
        return mask
    return np.asarray(labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]))


def _to_median(values: Array, mask: Mask) -> Array:
    """Values over their median in the mask, 0 outside it."""
    median = np.float32(max(float(np.median(values[mask])), float(np.finfo(np.float32).tiny)))
    return np.asarray(np.where(mask, values / median, np.float32(0)))
