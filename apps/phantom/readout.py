"""What k-space does to an image: lines left out (Gibbs ringing) and a head that moves meanwhile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Complex = NDArray[np.complex64]

_MOVES = 4


def head_shifts(
    lines: int, motion_mm: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Shift of the head along the phase-encoding axis at each line, mm, in the order of lines.

    Four sudden moves at random lines, each normal with SD `motion_mm`; the middle of k-space, which
    makes the picture, is where the head lies at 0. Our choice.
    """
    shifts = np.zeros(lines, np.float32)
    for _ in range(_MOVES):
        shifts[int(generator.integers(lines)):] += np.float32(generator.normal(0, motion_mm))
    return np.asarray(shifts - shifts[lines // 2])


def read_out(
    image: Complex, *, resolution: float, shifts_mm: NDArray[np.float32], voxel_mm: float
) -> Complex:
    """The image as its columns are phase-encoded: (slice, row, column) in and out.

    The outer lines beyond the share `resolution` are not acquired and filled with zeros. Lines are
    acquired from one edge of k-space to the other, each with the head shifted by `shifts_mm`.
    """
    from scipy import fft

    if resolution >= 1 and not shifts_mm.any():
        return image
    columns = image.shape[2]
    frequency = fft.fftshift(fft.fftfreq(columns))
    turn = np.exp(-2j * np.pi * frequency * shifts_mm / voxel_mm)
    weight = np.where(np.abs(frequency) <= 0.5 * resolution, turn, 0)
    spectrum = fft.fft(image, axis=2)
    spectrum *= fft.ifftshift(weight).astype(np.complex64)
    return np.asarray(fft.ifft(spectrum, axis=2, overwrite_x=True))
