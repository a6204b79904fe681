"""Phase to field: jumps, coil offset, echoes, and which voxels to believe."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from operators.quantitative_maps.field import field_map, ppm_per_rad_ms, reliable, unwrap, wrap

SPACING = (2.0, 1.0, 1.0)
TIMES = (7.0, 14.0, 21.0)
SHAPE = (12, 30, 32)
INSIDE = np.ones(SHAPE, bool)


def ramp(turns: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.linspace(0, turns * 2 * np.pi, SHAPE[2]), SHAPE).astype(np.float32)


def test_one_ppm_at_3_t_turns_the_phase_by_128_hertz() -> None:
    hertz = 1 / ppm_per_rad_ms(3.0) / (2 * np.pi) * 1e3
    assert abs(hertz - 127.7) < 0.1


def test_a_wrapped_ramp_of_three_turns_comes_back_whole() -> None:
    smooth = unwrap(wrap(ramp(3)), INSIDE)
    assert np.allclose(np.diff(smooth, axis=2), 3 * 2 * np.pi / 31, atol=1e-4)


def test_unwrapping_does_not_touch_what_lies_outside_the_mask() -> None:
    inside = INSIDE.copy()
    inside[:, :5] = False
    assert (unwrap(wrap(ramp(3)), inside)[~inside] == 0).all()


def test_three_echoes_give_the_field_whatever_the_coil_adds() -> None:
    field = ramp(1) / 20
    offset = 1.5 + ramp(0.1)
    phases = [wrap(offset + field / ppm_per_rad_ms(3.0) * time) for time in TIMES]
    found = field_map(
        [np.ones(SHAPE, np.float32)] * 3, phases, INSIDE, echo_times_ms=TIMES,
        field_strength_t=3.0, spacing=SPACING,
    )
    middle = (slice(None), slice(6, -6), slice(6, -6))
    assert np.abs(found.field_ppm - field)[middle].max() < 0.004
    assert 0.95 < np.median(found.weight) < 1.05


def test_one_echo_gives_field_and_coil_offset_together() -> None:
    field = ramp(1) / 20
    phase = wrap(field / ppm_per_rad_ms(1.5) * 20)
    found = field_map(
        [np.ones(SHAPE, np.float32)], [phase], INSIDE, echo_times_ms=[20.0],
        field_strength_t=1.5, spacing=SPACING,
    )
    assert np.allclose(np.diff(found.field_ppm, axis=2), np.diff(field, axis=2), atol=1e-4)


def test_a_late_echo_that_has_dephased_does_not_spoil_the_field() -> None:
    rng = np.random.default_rng(1)
    field = np.full(SHAPE, 0.1, np.float32)
    phases = [wrap(field / ppm_per_rad_ms(3.0) * time) for time in TIMES]
    magnitudes = [np.ones(SHAPE, np.float32) for _ in TIMES]
    bleed = (slice(5, 7), slice(14, 17), slice(14, 17))
    phases[2][bleed] = rng.uniform(-np.pi, np.pi, (2, 3, 3))
    magnitudes[2][bleed] = 0.05
    found = field_map(
        magnitudes, phases, INSIDE, echo_times_ms=TIMES, field_strength_t=3.0, spacing=SPACING
    )
    assert np.abs(found.field_ppm[bleed] - 0.1).max() < 0.002
    assert found.weight[bleed].max() < 0.75


def test_echoes_that_disagree_weigh_less() -> None:
    phases = [np.zeros(SHAPE, np.float32) for _ in TIMES]
    phases[2][6, 15, 15] = 3.0
    found = field_map(
        [np.ones(SHAPE, np.float32)] * 3, phases, INSIDE, echo_times_ms=TIMES,
        field_strength_t=3.0, spacing=SPACING,
    )
    assert found.weight[6, 15, 15] < 0.8 * found.weight[6, 8, 8]


def test_a_rim_without_signal_goes_and_bleeds_stay() -> None:
    z, y, x = np.indices((30, 60, 60)) - np.array([15, 30, 30]).reshape(3, 1, 1, 1)
    radius = np.sqrt((2 * z) ** 2 + y**2 + x**2)
    mask = radius < 27
    weight = np.where(radius < 23, 1.0, 0.05).astype(np.float32)
    deep = np.sqrt((2 * z) ** 2 + y**2 + (x - 5) ** 2) < 4
    cortical = np.sqrt((2 * z) ** 2 + (y - 18) ** 2 + x**2) < 2.5
    weight[deep | cortical] = 0
    kept = reliable(mask, weight, SPACING)
    assert not kept[radius > 24].any()
    assert kept[deep].all()
    assert kept[cortical].mean() > 0.95
    assert kept[radius < 20].all()
