"""The other series of the session: T2w, T1w, FA with its b0, CBF with its M0.

Each has its own grid and sits a little off the GRE (the head moved between scans). Sequence
settings are typical clinical values, our choice. Noise is Rician.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.phantom.grids import Grid, Matrix, axial_grid, resample, rotation
from apps.phantom.head import Head
from apps.phantom.tissue import Tissue
from apps.phantom.types import Image, Protocol
from operators.types import AslKind, Role, Sample, Unit

Float = NDArray[np.float32]


class Stack(NamedTuple):
    """Voxel and extent of a transverse series, mm (slice, row, column)."""

    voxel_mm: tuple[float, float, float]
    extent_mm: tuple[float, float, float]


T2W = Stack((3.0, 0.9, 0.9), (156.0, 216.0, 189.0))
T1W = Stack((1.0, 1.0, 1.0), (176.0, 224.0, 192.0))
DIFFUSION = Stack((2.0, 2.0, 2.0), (140.0, 216.0, 192.0))
PERFUSION = Stack((4.0, 3.0, 3.0), (112.0, 216.0, 192.0))


def motion(protocol: Protocol, generator: np.random.Generator, pivot: NDArray) -> Matrix:
    """Rigid shift of the head between two scans, (4, 4): series point -> GRE point, LPS mm."""
    turn = rotation(generator.uniform(-1, 1, 3) * protocol.series_tilt_deg)
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    matrix[:3, 3] = pivot - turn @ pivot
    matrix[:3, 3] += generator.uniform(-1, 1, 3) * protocol.series_shift_mm
    return matrix


def spin_echo(
    head: Head, *, echo_time_ms: float, repetition_time_ms: float
) -> Float:
    """PD (1 - exp(-TR R1)) exp(-TE R2) on the fine grid."""
    recovered = 1.0 - np.exp(head.r1 * np.float32(-repetition_time_ms * 1e-3))
    decayed = np.exp(head.r2 * np.float32(-echo_time_ms * 1e-3))
    return np.asarray(head.pd * recovered * decayed, dtype=np.float32)


def inversion_recovery(head: Head, *, inversion_ms: float, repetition_ms: float) -> Float:
    """MPRAGE-like PD |1 - 2 exp(-TI R1) / (1 + exp(-TR R1))|, read-out pulses neglected."""
    inverted = 2 * np.exp(head.r1 * np.float32(-inversion_ms * 1e-3))
    full = 1.0 + np.exp(head.r1 * np.float32(-repetition_ms * 1e-3))
    return np.asarray(head.pd * np.abs(1.0 - inverted / full), dtype=np.float32)


def acquire(
    head: Head, fine: Float, stack: Stack, matrix: Matrix, centre: NDArray, *, snr: float,
    generator: np.random.Generator,
) -> tuple[Grid, Float]:
    """A magnitude series: own grid, motion, receive bias and Rician noise; white matter ~ 400."""
    reach = [n * s for n, s in zip(head.grid.shape, head.grid.spacing_mm, strict=True)]
    grid = axial_grid(stack.voxel_mm, np.minimum(stack.extent_mm, reach), centre)
    signal = resample(fine, head.grid, grid, motion=matrix)
    signal *= bias(grid.shape, generator)
    white = float(np.median(fine[head.tissue == Tissue.WHITE]))
    sigma = np.float32(white / snr)
    noise = generator.standard_normal((2, *grid.shape), dtype=np.float32) * sigma
    magnitude = np.hypot(signal + noise[0], noise[1])
    return grid, np.asarray(magnitude * np.float32(400.0 / white), dtype=np.float32)


def bias(shape: tuple[int, int, int], generator: np.random.Generator) -> Float:
    """Receive bias of up to 20 %, quadratic."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    a, b, c = (1 + np.float32(generator.uniform(-0.1, 0.1)) * x
               + np.float32(generator.uniform(0, 0.06)) * x**2 for x in axes)
    return np.asarray(a[:, None, None] * b[:, None] * c, dtype=np.float32)


def structural(
    head: Head, protocol: Protocol, generator: np.random.Generator, centre: NDArray
) -> dict[Role, Image]:
    """T2w (spin echo, TE 90 ms, TR 4500 ms) and T1w (inversion recovery, 1100/2300 ms)."""
    images = {}
    recipes = {
        Role.T2W: (spin_echo(head, echo_time_ms=90, repetition_time_ms=4500), T2W),
        Role.T1W: (inversion_recovery(head, inversion_ms=1100, repetition_ms=2300), T1W),
    }
    for role, (fine, stack) in recipes.items():
        matrix = motion(protocol, generator, centre)
        grid, array = acquire(
            head, fine, stack, matrix, centre, snr=protocol.snr, generator=generator)
        images[role] = Image(
            role, (grid.volume(array),), (Sample(),), Unit.ARBITRARY, matrix)
    return images


def diffusion(
    head: Head, protocol: Protocol, generator: np.random.Generator, centre: NDArray
) -> dict[Role, Image]:
    """FA at 2 mm (fit noise 0.025) and the b = 0 volume that carries it, same motion.

    Anisotropy of white matter falls off within 4 mm of cortex, as crossing fibres and partial
    volume make it do; our choice.
    """
    matrix = motion(protocol, generator, centre)
    grid, b0 = acquire(
        head, spin_echo(head, echo_time_ms=75, repetition_time_ms=6000), DIFFUSION, matrix,
        centre, snr=protocol.snr, generator=generator)
    fa = resample(head.fa * head.brain, head.grid, grid, motion=matrix)
    noise = generator.standard_normal(grid.shape, dtype=np.float32) * np.float32(0.025)
    inside = resample(head.brain.astype(np.float32), head.grid, grid, motion=matrix) > 0.5
    fa = np.where(inside, np.clip(np.hypot(fa, 0.06) + noise, 0, 1), 0).astype(np.float32)
    return {
        Role.FA: Image(Role.FA, (grid.volume(fa),), (Sample(),), Unit.RATIO),
        Role.DWI: Image(Role.DWI, (grid.volume(b0),), (Sample(b_value_s_mm2=0.0),),
                        Unit.ARBITRARY),
    }


def perfusion(
    head: Head, protocol: Protocol, generator: np.random.Generator, centre: NDArray
) -> dict[Role, Image]:
    """CBF in ml/100 g/min at 3x3x4 mm (noise SD 4) and the M0 that carries it, same motion."""
    from scipy.ndimage import gaussian_filter

    matrix = motion(protocol, generator, centre)
    grid, m0 = acquire(head, head.pd, PERFUSION, matrix, centre, snr=60.0, generator=generator)
    cbf = resample(head.cbf * head.brain, head.grid, grid, motion=matrix)
    noise = generator.standard_normal(grid.shape, dtype=np.float32) * np.float32(4.0)
    cbf = gaussian_filter(cbf, (0.4, 0.4, 0.4)) + gaussian_filter(noise, 0.5)
    return {
        Role.CBF: Image(Role.CBF, (grid.volume(cbf.astype(np.float32)),), (Sample(),),
                        Unit.ABSOLUTE_CBF),
        Role.ASL: Image(Role.ASL, (grid.volume(m0),), (Sample(asl=AslKind.M0),),
                        Unit.ARBITRARY),
    }
