"""Spoiled multi-echo gradient echo: complex signal, dephasing inside voxels, coil noise.

Sign: phase = +2 pi gamma_bar dB TE, so a spin in a stronger field along B0 (inside a vein parallel
to it, at the pole of a paramagnetic bleed) has positive phase. This is what the quantitative maps
expect and what DICOM phase of Siemens shows after scaling to radians.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.phantom.tissue import GYROMAGNETIC_MHZ_PER_T

Float = NDArray[np.float32]
Complex = NDArray[np.complex64]


def spoiled_amplitude(
    pd: Float, r1: Float, *, repetition_time_ms: float, flip_angle_deg: float
) -> Float:
    """Ernst's steady state at TE = 0: pd sin(a) (1 - E1) / (1 - cos(a) E1)."""
    angle = np.deg2rad(flip_angle_deg)
    e1 = np.exp(-np.float32(repetition_time_ms * 1e-3) * r1)
    steady = (1.0 - e1) / (1.0 - np.float32(np.cos(angle)) * e1)
    return np.asarray(pd * np.float32(np.sin(angle)) * steady, dtype=np.float32)


def phase_per_ms(field_ppm: Float, field_strength_t: float) -> Float:
    """Radians per millisecond of a field in ppm of B0."""
    hertz = GYROMAGNETIC_MHZ_PER_T * field_strength_t
    return np.asarray(field_ppm * np.float32(2e-3 * np.pi * hertz), dtype=np.float32)


def gradients(rate: Float) -> tuple[Float, Float, Float]:
    """Half the difference of `rate` across each cell, along the three axes."""
    parts = []
    for axis in range(3):
        part = np.zeros_like(rate)
        inner = [slice(None)] * 3
        low, high = list(inner), list(inner)
        inner[axis], low[axis], high[axis] = slice(1, -1), slice(None, -2), slice(2, None)
        np.subtract(rate[tuple(high)], rate[tuple(low)], out=part[tuple(inner)])
        part[tuple(inner)] *= np.float32(0.25)
        parts.append(part)
    return parts[0], parts[1], parts[2]


def echo(
    amplitude: Float, r2star: Float, rate: Float, slopes: tuple[Float, Float, Float],
    *, echo_time_ms: float, factors: tuple[int, int, int],
) -> Complex:
    """Complex signal of one echo on the acquired grid (fine shape / `factors`).

    Each fine cell decays with R2* and dephases along each axis as sinc of half the phase
    difference across it (Fernandez-Seara & Wehrli, MRM 2000;44:358); cells are then averaged as
    complex numbers into acquired voxels.
    """
    te = np.float32(echo_time_ms)
    magnitude = amplitude * np.exp(r2star * (-te * np.float32(1e-3)))
    for slope in slopes:
        magnitude *= np.sinc(slope * (te / np.float32(np.pi)))
    phase = rate * te
    signal = np.empty(phase.shape, np.complex64)
    np.multiply(magnitude, np.cos(phase), out=signal.real)
    np.multiply(magnitude, np.sin(phase), out=signal.imag)
    return average_blocks(signal, factors)


def average_blocks(fine: NDArray, factors: tuple[int, int, int]) -> NDArray:
    """Mean over blocks of `factors` cells; each axis is a multiple of its factor."""
    for axis, factor in enumerate(factors):
        if factor > 1:
            shape = fine.shape
            split = (*shape[:axis], shape[axis] // factor, factor, *shape[axis + 1 :])
            fine = fine.reshape(split).mean(axis=axis + 1)
    return fine


def receive(shape: tuple[int, int, int], generator: np.random.Generator) -> Complex:
    """Smooth receive sensitivity with its own phase: our choice, polynomials of degree 2.

    Magnitude falls from the rim (head coil) by up to a third to the centre; the phase is a random
    constant and a gentle gradient, the same for all echoes.
    """
    axes = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True
    )
    radius2 = axes[0] ** 2 + axes[1] ** 2 + axes[2] ** 2
    tilt = generator.uniform(-0.08, 0.08, 3).astype(np.float32)
    magnitude = 0.8 + np.float32(generator.uniform(0.05, 0.15)) * radius2
    phase = np.float32(generator.uniform(-np.pi, np.pi)) + np.zeros_like(radius2)
    for axis, lean in zip(axes, tilt, strict=True):
        magnitude = magnitude * (1 + lean * axis)
        phase = phase + np.float32(generator.uniform(-0.6, 0.6)) * axis
    return np.asarray(magnitude * np.exp(1j * phase), dtype=np.complex64)


def coil_noise(
    shape: tuple[int, int, int], sigma: float, generator: np.random.Generator
) -> Complex:
    """Complex Gaussian noise of standard deviation `sigma` per channel."""
    parts = generator.standard_normal((*shape, 2), dtype=np.float32)
    parts *= np.float32(sigma)
    return np.asarray(parts.view(np.complex64)[..., 0])
