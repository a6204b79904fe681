"""QSM of a simulated head, from wrapped phase to ppm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from operators.errors import StepFailed
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings

from .conftest import BLEEDS_PPM, ECHO_TIMES_MS, FIELD_T, Head, make_head, volume


def chi_of(head: Head, echoes: slice = slice(None), **settings: object) -> NDArray[np.float32]:
    return susceptibility(
        head.magnitudes[echoes], head.phases[echoes], ECHO_TIMES_MS[echoes],
        field_strength_t=FIELD_T, mask=head.brain, settings=QsmSettings(**settings),
    ).array


@pytest.fixture(scope="module")
def chi(head: Head) -> NDArray[np.float32]:
    return chi_of(head)


@pytest.fixture(scope="module")
def fast(head: Head) -> NDArray[np.float32]:
    return chi_of(head, inversion="tkd")


def correlation(head: Head, chi: NDArray) -> float:
    reached = chi != 0
    return float(np.corrcoef(chi[reached], head.susceptibility_ppm[reached])[0, 1])


def bleeds(head: Head, chi: NDArray) -> list[float]:
    return [float(chi[head.sources[f"bleed {ppm}"]].mean()) for ppm in BLEEDS_PPM]


def test_three_echoes_follow_the_truth(head: Head, chi: NDArray) -> None:
    assert correlation(head, chi) > 0.7


@pytest.mark.xfail(reason="slope 0.51: 1.6 ppm comes out at 0.72, 2.0 at 1.5", strict=True)
def test_three_echoes_keep_the_susceptibility_of_bleeds(head: Head, chi: NDArray) -> None:
    true = bleeds(head, head.susceptibility_ppm)
    assert 0.8 < np.polyfit(true, bleeds(head, chi), 1)[0] < 1.2


def test_blood_and_iron_are_positive_and_calcium_is_negative(head: Head, chi: NDArray) -> None:
    assert min(bleeds(head, chi)) > 0.4
    assert all(0.08 < chi[head.sources[f"pallidum {side}"]].mean() < 0.2 for side in (-1, 1))
    assert -1.2 < chi[head.sources["calcium"]].mean() < -0.6


def test_the_mean_of_the_brain_is_zero_and_so_is_what_lies_3_mm_outside(
    head: Head, chi: NDArray
) -> None:
    assert abs(chi[head.brain.array & (chi != 0)].mean()) < 1e-4
    assert (chi[distance_transform_edt(~head.brain.array, (2, 1, 1)) > 3] == 0).all()
    assert (chi[head.brain.array] != 0).mean() > 0.8


def test_the_tilt_of_the_slices_does_not_show(head: Head, fast: NDArray) -> None:
    upright = make_head(tilt_deg=0.0)
    straight = chi_of(upright, inversion="tkd")
    assert np.allclose(bleeds(upright, straight), bleeds(head, fast), rtol=0.25, atol=0.1)


def test_a_wrong_direction_of_b0_would_show(head: Head, fast: NDArray) -> None:
    turned = head.phases[0].affine.copy()
    turned[:3, :3] = turned[:3, [2, 1, 0]]
    phases = tuple(volume(phase.array, turned) for phase in head.phases)
    wrong = chi_of(replace(head, phases=phases), inversion="tkd")
    assert correlation(head, wrong) < correlation(head, fast) - 0.2


def test_one_echo_keeps_signs(head: Head) -> None:
    chi = chi_of(head, slice(-1, None), inversion="tkd")
    assert min(bleeds(head, chi)) > 0.15
    assert chi[head.sources["calcium"]].mean() < -0.4


def test_regularisation_follows_the_truth_better_than_the_fast_path(
    head: Head, chi: NDArray, fast: NDArray
) -> None:
    assert 0.5 < correlation(head, fast) < correlation(head, chi) - 0.05


def test_values_that_are_not_finite_are_left_out(head: Head) -> None:
    spoilt = head.phases[0].array.copy()
    spoilt[:6] = np.nan
    phases = (head.phases[0].with_array(spoilt), *head.phases[1:])
    chi = chi_of(replace(head, phases=phases), inversion="tkd")
    assert np.isfinite(chi).all()
    assert (chi[:6] == 0).all()
    assert (chi[20] != 0).any()


def test_an_empty_mask_is_refused(head: Head) -> None:
    nothing = head.brain.with_array(np.zeros_like(head.brain.array))
    with pytest.raises(StepFailed, match="holds 0 voxels of brain"):
        chi_of(replace(head, brain=nothing))
