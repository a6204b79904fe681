"""Which maps a study gets, how they are marked, and what is said about the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from operators.errors import StepFailed
from operators.quantitative_maps import maps
from operators.quantitative_maps.gradient_echo import paired_echoes
from operators.quantitative_maps.maps import add_maps
from operators.quantitative_maps.settings import QsmSettings, QuantitativeMapsSettings
from operators.types import Acquisition, AslKind, Role, Sample, Series, Study, Unit

from .conftest import ECHO_TIMES_MS, Head, series, study

FAST = QuantitativeMapsSettings(qsm=QsmSettings(inversion="tkd"))
Echoes = tuple[Series, Series]


@pytest.fixture(scope="module")
def found(gradient_echo: Echoes) -> Study:
    return add_maps(study(*gradient_echo), FAST)


def test_magnitude_and_phase_give_swi_projection_and_qsm(
    gradient_echo: Echoes, found: Study
) -> None:
    magnitude, phase = gradient_echo
    assert set(found.series) == {Role.MAGNITUDE, Role.PHASE, Role.SWI, Role.MIP, Role.QSM}
    swi, mip, qsm = (found.series[role] for role in (Role.SWI, Role.MIP, Role.QSM))
    assert swi.derived_from == qsm.derived_from == (Role.MAGNITUDE, Role.PHASE)
    assert mip.derived_from == (Role.SWI,)
    assert qsm.unit is Unit.PPM
    assert swi.samples[0].echo_time_ms == 21.0
    assert (swi.series_uid, swi.headers) == (magnitude.series_uid, magnitude.headers)
    assert (qsm.series_uid, qsm.headers) == (phase.series_uid, phase.headers)
    assert all("computed from" in one.reason for one in (swi, mip, qsm))


def test_every_derived_volume_lies_where_its_source_lies(
    gradient_echo: Echoes, found: Study
) -> None:
    source = gradient_echo[0].volumes[0]
    for role in (Role.SWI, Role.MIP, Role.QSM):
        made = found.series[role].volumes[0]
        assert made.geometry_equal(source)
        assert made.array.dtype == np.float32


def test_what_the_scanner_made_stays(gradient_echo: Echoes, head: Head) -> None:
    own = [
        series(role, head.magnitudes[:1], (Sample(),)) for role in (Role.SWI, Role.QSM, Role.MIP)
    ]
    found = add_maps(study(*gradient_echo, *own), FAST)
    assert all(found.series[one.role] is one for one in own)


def test_an_acquired_swi_still_gets_its_projection(head: Head) -> None:
    swi = series(Role.SWI, head.magnitudes[:1], (Sample(echo_time_ms=20.0),))
    found = add_maps(study(swi), FAST)
    assert found.series[Role.MIP].volumes[0].array.min() >= swi.volumes[0].array.min()
    assert found.series[Role.MIP].is_derived


def test_what_is_missing_is_said(gradient_echo: Echoes) -> None:
    found = add_maps(study(gradient_echo[0]), FAST)
    assert found.warnings == (
        "SWI was not computed: the study has no gre_phase series.",
        "QSM was not computed: the study has no gre_phase series.",
        "FA was not computed: the study has no dwi series.",
        "CBF was not computed: the study has no asl series.",
    )


def test_a_map_that_fails_does_not_take_the_others_along(
    gradient_echo: Echoes, head: Head
) -> None:
    magnitude, phase = gradient_echo
    silent = replace(phase, acquisition=Acquisition())
    asl = series(Role.ASL, head.magnitudes[:2], (Sample(asl=AslKind.LABEL),) * 2)
    dwi = series(Role.DWI, head.magnitudes[:1], (Sample(b_value_s_mm2=1000.0),))
    found = add_maps(study(magnitude, silent, asl, dwi), FAST)
    assert Role.SWI in found.series
    assert not {Role.QSM, Role.FA, Role.MD, Role.CBF} & set(found.series)
    assert [warning.split(":")[0] for warning in found.warnings] == [
        "QSM was not computed", "FA was not computed", "CBF was not computed",
    ]
    assert "Magnetic Field Strength" in found.warnings[0]


def test_a_defect_of_ours_is_not_swallowed(
    gradient_echo: Echoes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("defect")

    monkeypatch.setattr(maps, "susceptibility", broken)
    with pytest.raises(TypeError, match="defect"):
        add_maps(study(*gradient_echo), FAST)


def test_relative_cbf_is_called_relative(head: Head) -> None:
    dark = head.magnitudes[0].with_array(head.magnitudes[0].array * np.float32(0.99))
    samples = (Sample(asl=AslKind.LABEL), Sample(asl=AslKind.CONTROL))
    found = add_maps(study(series(Role.ASL, (dark, head.magnitudes[0]), samples)), FAST)
    assert found.series[Role.CBF].unit is Unit.RELATIVE_CBF
    assert "relative" in found.series[Role.CBF].reason


def test_echoes_pair_by_time_whatever_their_order(gradient_echo: Echoes) -> None:
    magnitude, phase = gradient_echo
    turned = replace(phase, volumes=phase.volumes[::-1], samples=phase.samples[::-1])
    echoes = paired_echoes(magnitude, turned)
    assert tuple(echo.time_ms for echo in echoes) == ECHO_TIMES_MS
    assert all(
        echo.phase is wanted for echo, wanted in zip(echoes, phase.volumes, strict=True)
    )


@pytest.mark.parametrize("nameless", [Role.MAGNITUDE, Role.PHASE])
def test_an_echo_time_that_is_not_stated_is_asked_for_by_name(
    gradient_echo: Echoes, nameless: Role
) -> None:
    silent = [
        replace(each, samples=(Sample(),) * len(each.samples)) if each.role is nameless else each
        for each in gradient_echo
    ]
    warnings = add_maps(study(*silent), FAST).warnings
    name = "magnitude" if nameless is Role.MAGNITUDE else "phase"
    for wanted in ("SWI", "QSM"):
        (said,) = [line for line in warnings if line.startswith(f"{wanted} was not computed")]
        assert f"The {name} series states no echo time" in said
        assert "Send the series with Echo Time (0018,0081)" in said


def test_an_echo_with_one_half_missing_is_left_out(gradient_echo: Echoes) -> None:
    magnitude, phase = gradient_echo
    half = replace(phase, volumes=phase.volumes[1:2], samples=phase.samples[1:2])
    assert [echo.time_ms for echo in paired_echoes(magnitude, half)] == [14.0]


def test_magnitude_and_phase_of_two_scans_are_refused(gradient_echo: Echoes) -> None:
    magnitude, phase = gradient_echo
    late = tuple(Sample(echo_time_ms=time + 3) for time in ECHO_TIMES_MS)
    with pytest.raises(StepFailed, match=r"magnitude \(7 ms, 14 ms, 21 ms\)"):
        paired_echoes(magnitude, replace(phase, samples=late))
    cut = tuple(one.crop_to_spatial_shape((30, 104, 88)) for one in phase.volumes)
    with pytest.raises(StepFailed, match="different grids"):
        paired_echoes(magnitude, replace(phase, volumes=cut))
