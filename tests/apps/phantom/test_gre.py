from __future__ import annotations

import numpy as np
import pytest

from apps.phantom import gre
from apps.phantom.scanner_swi import homodyne_phase, minimum_projection, susceptibility_weighted

ONE = (1, 1, 1)
SHAPE = (4, 6, 8)


def _echo(te: float, *, field: np.ndarray | float = 0.0, r2star: float = 0.0,
          factors: tuple[int, int, int] = ONE) -> np.ndarray:
    rate = gre.phase_per_ms(np.broadcast_to(np.float32(field), SHAPE), 3.0)
    ones = np.ones(SHAPE, np.float32)
    return gre.echo(ones, ones * np.float32(r2star), rate, gre.gradients(rate),
                    echo_time_ms=te, factors=factors)


def test_signal_decays_with_r2star() -> None:
    ratio = np.abs(_echo(21, r2star=40)) / np.abs(_echo(7, r2star=40))
    assert ratio == pytest.approx(np.exp(-40 * 0.014), rel=1e-4)


def test_one_ppm_at_three_tesla_turns_by_127_hertz_and_the_phase_is_positive() -> None:
    phase = np.angle(_echo(1.0, field=1.0))
    assert phase == pytest.approx(2 * np.pi * 127.73e-3, rel=1e-3)
    assert np.angle(_echo(1.0, field=-1.0)).max() < 0


def test_a_field_step_of_one_turn_across_a_cell_leaves_no_signal() -> None:
    slope = 1.0 / (127.73 * 0.010)
    ramp = slope * np.arange(SHAPE[2], dtype=np.float32)
    signal = np.abs(_echo(10.0, field=ramp))[1:-1, 1:-1, 1:-1]
    assert signal.max() < 2e-3
    half = np.abs(_echo(5.0, field=ramp))[1:-1, 1:-1, 1:-1]
    assert half == pytest.approx(2 / np.pi, rel=1e-3)


def test_thick_slices_average_complex_signal_not_magnitude() -> None:
    opposed = np.zeros(SHAPE, np.complex64)
    opposed[0::2], opposed[1::2] = 1, -1
    assert np.abs(gre.average_blocks(opposed, (2, 1, 1))).max() == 0
    assert gre.average_blocks(opposed, (2, 1, 1)).shape == (2, 6, 8)


def test_the_ernst_angle_gives_the_most_signal() -> None:
    pd, r1 = np.ones(1, np.float32), np.full(1, 1.2, np.float32)
    best = np.rad2deg(np.arccos(np.exp(-0.030 * 1.2)))
    signals = [gre.spoiled_amplitude(pd, r1, repetition_time_ms=30, flip_angle_deg=a)[0]
               for a in (best - 5, best, best + 5)]
    assert signals[1] == max(signals)


def test_coil_noise_has_the_sigma_asked_for_in_each_channel() -> None:
    noise = gre.coil_noise((40, 40, 40), 0.2, np.random.default_rng(0))
    assert noise.real.std() == pytest.approx(0.2, rel=0.02)
    assert noise.imag.std() == pytest.approx(0.2, rel=0.02)
    assert abs(np.corrcoef(noise.real.ravel(), noise.imag.ravel())[0, 1]) < 0.02


def test_swi_darkens_positive_phase_and_leaves_negative() -> None:
    signal = np.ones((3, 64, 64), np.complex64)
    signal[:, 30:33, 30:33] = np.exp(1.0j)
    signal[:, 10:13, 10:13] = np.exp(-1.0j)
    swi = susceptibility_weighted(signal)
    assert swi[1, 31, 31] < 0.5
    assert swi[1, 11, 11] == pytest.approx(1, abs=1e-3)
    assert homodyne_phase(signal)[1, 31, 31] > 0.5


def test_the_projection_takes_the_darkest_of_the_neighbouring_slices() -> None:
    swi = np.ones((9, 2, 2), np.float32)
    swi[4] = 0.2
    assert (minimum_projection(swi, 5)[:, 0, 0] < 1).sum() == 5
