"""SWI and minimum-intensity projection as a scanner would make them.

Independent of the product's own SWI on purpose: labels and vendor images must not depend on the
code under test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def homodyne_phase(signal: NDArray[np.complex64], keep: float = 0.25) -> Float:
    """High-passed phase (rad): the signal against its own low frequencies, slice by slice.

    A Hann window over the central `keep` of in-plane k-space (Haacke, MRM 2004;52:612).
    """
    from scipy import fft

    spectrum = fft.fft2(signal, axes=(1, 2))
    for axis in (1, 2):
        frequency = np.abs(fft.fftfreq(signal.shape[axis])) / (0.5 * keep)
        window = np.where(frequency < 1, 0.5 + 0.5 * np.cos(np.pi * frequency), 0)
        shape = [1, 1, 1]
        shape[axis] = -1
        spectrum *= window.reshape(shape).astype(np.float32)
    low = fft.ifft2(spectrum, axes=(1, 2), overwrite_x=True)
    return np.asarray(np.angle(signal * np.conj(low)), dtype=np.float32)


def susceptibility_weighted(
    signal: NDArray[np.complex64], power: int = 4, keep: float = 0.25
) -> Float:
    """Magnitude times the positive-phase mask to a power: veins and iron go dark.

    Mask = 1 - phase / pi where phase > 0, else 1 (paramagnetic is positive, see `gre`).
    """
    mask = 1.0 - np.clip(homodyne_phase(signal, keep), 0, None) * np.float32(1 / np.pi)
    return np.asarray(np.abs(signal) * mask**power, dtype=np.float32)


def minimum_projection(swi: Float, slices: int) -> Float:
    """Sliding minimum over `slices` neighbouring slices, same shape."""
    from scipy.ndimage import minimum_filter1d

    return np.asarray(minimum_filter1d(swi, slices, axis=0, mode="nearest"))
