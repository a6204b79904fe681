"""From susceptibility to the field that spins feel.

Fields are in ppm of B0, positive along B0 where the tissue is paramagnetic. Grids have any
orientation: the direction of B0 is given in grid axes (slice, row, column).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


def b0_in_grid(affine_lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vector of B0 (patient +z, feet to head) along the grid's slice, row, column axes."""
    directions = affine_lps_mm[:3, :3] / np.linalg.norm(affine_lps_mm[:3, :3], axis=0)
    return np.asarray(directions.T @ np.array([0.0, 0.0, 1.0]))


def padded_shape(shape: tuple[int, int, int], pad: int) -> tuple[int, int, int]:
    """Smallest FFT-friendly shape with at least `pad` empty voxels behind each axis."""
    from scipy.fft import next_fast_len

    return tuple(next_fast_len(n + pad, real=True) for n in shape)  # type: ignore[return-value]


def dipole_field(
    chi_ppm: Float, *, spacing_mm: tuple[float, float, float], b0: NDArray[np.float64],
    pad: int = 48,
) -> Float:
    """Field of a susceptibility map, ppm, by the k-space dipole (Salomir 2003, Marques 2005).

    D(k) = 1/3 - (k.b0)^2 / |k|^2 with the sphere of Lorentz, D(0) = 0. `chi_ppm` (slice, row,
    column) is embedded in zeros: `pad` voxels keep the periodic images away.
    """
    from scipy import fft

    shape = padded_shape(chi_ppm.shape, pad)  # type: ignore[arg-type]
    spectrum = fft.rfftn(chi_ppm.astype(np.float32, copy=False), s=shape)
    k = [
        fft.fftfreq(shape[0], spacing_mm[0]).astype(np.float32)[:, None, None],
        fft.fftfreq(shape[1], spacing_mm[1]).astype(np.float32)[None, :, None],
        fft.rfftfreq(shape[2], spacing_mm[2]).astype(np.float32)[None, None, :],
    ]
    for index in range(shape[0]):
        square = k[0][index] ** 2 + k[1][0] ** 2 + k[2][0] ** 2
        along = np.float32(b0[0]) * k[0][index] + np.float32(b0[1]) * k[1][0]
        along = along + np.float32(b0[2]) * k[2][0]
        if index == 0:
            square[0, 0] = 1.0
            kernel = np.float32(1 / 3) - along**2 / square
            kernel[0, 0] = 0.0
        else:
            kernel = np.float32(1 / 3) - along**2 / square
        spectrum[index] *= kernel
    field = fft.irfftn(spectrum, s=shape, overwrite_x=True)
    region = tuple(slice(0, n) for n in chi_ppm.shape)
    return np.ascontiguousarray(field[region], dtype=np.float32)


def shim_residual(
    field_ppm: Float, inside: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> Float:
    """Field left after a scanner's shim: solid harmonics to second order, fitted in the brain.

    Coils make no other fields: a term like the squared distance from the middle has a Laplacian,
    which no source outside the brain can give.
    """
    axes = [
        np.linspace(-0.5, 0.5, n, dtype=np.float32) * np.float32(n * step / 100.0)
        for n, step in zip(field_ppm.shape, spacing_mm, strict=True)
    ]
    index = np.nonzero(inside)
    every = max(1, index[0].size // 20000)
    points = [axis[i[::every]] for axis, i in zip(axes, index, strict=True)]
    design = np.stack([np.broadcast_to(term, points[0].shape) for term in _harmonics(*points)], 1)
    samples = field_ppm[tuple(i[::every] for i in index)]
    weights, *_ = np.linalg.lstsq(design, samples, rcond=None)
    residual = field_ppm.copy()
    grid = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    for weight, term in zip(weights, _harmonics(*grid), strict=True):
        residual -= np.float32(weight) * term
    return residual


def _harmonics(x: Float, y: Float, z: Float) -> list[Float]:
    """The nine solid harmonics up to second order; they are the same whatever the axes' names."""
    one = np.ones(1, np.float32)
    return [one, x, y, z, x * y, y * z, z * x, x * x - y * y, 2 * z * z - x * x - y * y]
