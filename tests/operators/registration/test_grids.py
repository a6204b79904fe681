"""Which grid, which echo, what passes untouched, and where a field of view ends."""

from __future__ import annotations

import numpy as np
import pytest
from highdicom import Volume

from operators.registration.coregister import coregister
from operators.registration.images import carrier, representative, same_grid, shown
from operators.registration.resample import onto
from operators.registration.settings import RegistrationSettings
from operators.types import AslKind, Role, Sample

from .conftest import Head, acquire, series, study

SETTINGS = RegistrationSettings()


def small(array: np.ndarray, *, first_mm: tuple[float, float, float] = (0, 0, 0),
          spacing_mm: float = 1.0) -> Volume:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (spacing_mm, spacing_mm, spacing_mm, 1)
    affine[:3, 3] = first_mm
    return Volume(array.astype(np.float32), affine, "PATIENT", frame_of_reference_uid="1.2.3")


def test_gradient_echo_maps_on_the_reference_grid_pass_bit_for_bit(head: Head) -> None:
    parts = {r: acquire(head, r) for r in (Role.MAGNITUDE, Role.SWI, Role.QSM, Role.PHASE)}
    result = coregister(study(*(series(r, v) for r, v in parts.items())), SETTINGS)
    assert result.reference is Role.MAGNITUDE
    for role, volume in parts.items():
        assert np.array_equal(result.contrasts[role].array, volume.array)
        assert np.array_equal(result.registrations[role].matrix_lps_mm, np.eye(4))
        assert result.contrasts[role].geometry_equal(result.brain)


def test_phase_on_another_grid_is_not_interpolated(head: Head) -> None:
    phase = acquire(head, Role.PHASE, slab_mm=(-60, 60))
    result = coregister(
        study(series(Role.MAGNITUDE, acquire(head, Role.MAGNITUDE)), series(Role.PHASE, phase)),
        SETTINGS)
    assert Role.PHASE in result.dropped


def test_t1w_gives_the_grid_where_there_is_no_susceptibility(head: Head) -> None:
    t1w = acquire(head, Role.T1W)
    slab = acquire(head, Role.ASL, slab_mm=(-20, 50))
    result = coregister(
        study(series(Role.T1W, t1w), series(Role.ASL, slab, asl=AslKind.M0),
              series(Role.CBF, acquire(head, Role.CBF, slab_mm=(-20, 50)))), SETTINGS)
    assert result.reference is Role.T1W
    assert result.brain.geometry_equal(t1w)
    cbf = result.contrasts[Role.CBF]
    assert cbf.geometry_equal(t1w)
    heights = np.indices(cbf.spatial_shape)[0] * cbf.spacing[0] + cbf.affine[2, 3]
    z_mm = heights[result.brain.array]
    known = np.isfinite(cbf.array[result.brain.array])
    assert known[(z_mm > -17) & (z_mm < 45)].all()
    assert not known[(z_mm < -26) | (z_mm > 55)].any()


def test_the_echo_nearest_the_swi_is_shown() -> None:
    echoes = tuple(small(np.full((2, 2, 2), te)) for te in (5, 12, 20, 30))
    samples = tuple(Sample(echo_time_ms=te) for te in (5.0, 12.0, 20.0, 30.0))
    magnitude = series(Role.MAGNITUDE, *echoes, samples=samples)
    swi = series(Role.SWI, echoes[0], echo_time_ms=28.0)
    assert shown(magnitude, study(magnitude)).array[0, 0, 0] == 20
    assert shown(magnitude, study(magnitude, swi)).array[0, 0, 0] == 30


def test_m0_stands_for_asl_else_the_control_and_b0_for_diffusion() -> None:
    one, two, three = (small(np.full((2, 2, 2), n)) for n in (1, 2, 4))
    asl = series(Role.ASL, one, two, three, samples=(
        Sample(asl=AslKind.LABEL), Sample(asl=AslKind.CONTROL), Sample(asl=AslKind.M0)))
    assert representative(asl).array[0, 0, 0] == 4
    asl = series(Role.ASL, one, two, samples=asl.samples[:2])
    assert representative(asl).array[0, 0, 0] == 2
    dwi = series(Role.DWI, one, two, three, samples=(
        Sample(b_value_s_mm2=0.0), Sample(b_value_s_mm2=1000.0), Sample(b_value_s_mm2=5.0)))
    assert representative(dwi).array[0, 0, 0] == pytest.approx(2.5)


def test_fa_of_another_frame_carries_itself() -> None:
    one = small(np.ones((2, 2, 2)))
    other = Volume(one.array, one.affine, "PATIENT", frame_of_reference_uid="9.9")
    dwi = series(Role.DWI, one, b_value_s_mm2=0.0)
    assert carrier(Role.FA, study(series(Role.FA, one), dwi)) is Role.DWI
    assert carrier(Role.FA, study(series(Role.FA, other), dwi)) is Role.FA


def test_rounded_headers_are_the_same_grid_and_a_tenth_of_a_millimetre_is_not() -> None:
    one = small(np.ones((4, 5, 6)))
    assert same_grid(one, small(one.array, first_mm=(0.004, 0, 0)))
    assert not same_grid(one, small(one.array, first_mm=(0.1, 0, 0)))
    assert not same_grid(one, small(one.array, spacing_mm=1.01))


def test_a_shift_by_whole_voxels_is_exact_and_the_rest_is_unknown() -> None:
    array = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    moving, grid = small(array), small(np.zeros((4, 5, 6)))
    matrix = np.eye(4)
    matrix[0, 3] = 2.0
    result = onto(moving, grid, matrix).array
    assert result.dtype == np.float32
    assert np.array_equal(result[..., :4], array[..., 2:])
    assert np.isnan(result[..., 4:]).all()


def test_the_field_of_view_ends_half_a_voxel_beyond_the_last_centre() -> None:
    thick = small(np.arange(3)[:, None, None] * np.ones((3, 9, 9)), spacing_mm=4.0)
    grid = small(np.zeros((16, 4, 4)), first_mm=(8, 8, -3.0))
    column = onto(thick, grid, np.eye(4)).array[:, 0, 0]
    z_mm = np.arange(16) - 3.0
    assert np.array_equal(np.isfinite(column), (z_mm >= -2) & (z_mm <= 10))
    inner = (z_mm >= 0) & (z_mm <= 8)
    assert column[inner] == pytest.approx(z_mm[inner] / 4)
    assert column[z_mm == 10] == 2
