from __future__ import annotations

import numpy as np
import pytest

from apps.phantom.readout import head_shifts, read_out

STILL = np.zeros(64, np.float32)


def _bar() -> np.ndarray:
    image = np.zeros((2, 4, 64), np.complex64)
    image[:, :, 20:44] = 1
    return image


def test_all_lines_of_a_still_head_give_the_image_back() -> None:
    assert np.array_equal(read_out(_bar(), resolution=1.0, shifts_mm=STILL, voxel_mm=1.0), _bar())


def test_lines_left_out_ring_by_nine_percent_at_an_edge() -> None:
    rung = read_out(_bar(), resolution=0.6, shifts_mm=STILL, voxel_mm=1.0).real[0, 0]
    assert 1.05 < rung.max() < 1.13
    assert rung.mean() == pytest.approx(_bar().real[0, 0].mean(), abs=1e-5)


def test_a_head_shifted_throughout_is_a_shifted_image() -> None:
    moved = read_out(_bar(), resolution=1.0, shifts_mm=STILL + 3.0, voxel_mm=1.5)
    assert moved.real[0, 0] == pytest.approx(np.roll(_bar().real[0, 0], 2), abs=1e-4)


def test_moves_leave_ghosts_outside_the_head() -> None:
    shifts = head_shifts(64, 1.0, np.random.default_rng(1))
    ghost = np.abs(read_out(_bar(), resolution=1.0, shifts_mm=shifts, voxel_mm=1.0))[0, 0]
    assert shifts[32] == 0
    assert len(np.unique(shifts)) > 2
    assert ghost[:15].max() > 0.02


def test_no_motion_asked_is_no_motion() -> None:
    assert not head_shifts(64, 0.0, np.random.default_rng(1)).any()
