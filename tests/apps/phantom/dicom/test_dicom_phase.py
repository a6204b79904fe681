"""Phase and magnitude come back from each vendor's stored values by that vendor's own rule."""

from __future__ import annotations

import math

import numpy as np
import pytest

from apps.phantom.dicom import VendorStyle
from operators.types import Role

S, P, G, E = VendorStyle


def _angle_error(a, b) -> float:
    return float(np.abs(np.angle(np.exp(1j * (np.asarray(a, np.float64) - b)))).max())


def _echo(datasets, number):
    slices = [d for d in datasets if int(d.EchoNumbers) == number]
    return np.stack([d.pixel_array for d in slices]), slices[0]


@pytest.mark.parametrize("echo", [1, 2, 3])
def test_siemens_phase_is_0_to_4095_with_slope_2_and_pi_at_4096(series, subject, echo):
    stored, header = _echo(series(S)["Pha_Images"], echo)
    assert (header.RescaleSlope, header.RescaleIntercept) == (2, -4096)
    assert stored.min() >= 0
    assert stored.max() <= 4095
    radians = (2.0 * stored - 4096) * math.pi / 4096
    truth = subject.images[Role.PHASE].volumes[echo - 1].array
    assert _angle_error(radians, truth) <= math.pi / 4096 + 1e-6


@pytest.mark.parametrize("echo", [1, 3])
def test_philips_phase_is_in_milliradian_in_the_series_of_the_magnitude(series, subject, echo):
    gre = series(P)["3D_mFFE_T2star"]
    assert len({d.SeriesInstanceUID for d in gre}) == 1
    assert {d.ImageType[3] for d in gre} == {"M", "P"}
    stored, header = _echo([d for d in gre if d.ImageType[3] == "P"], echo)
    assert float(header.RescaleSlope) == pytest.approx(1.53455433)
    assert header.RescaleIntercept == -3142
    assert header.RescaleType == "mrad"
    milliradian = stored * float(header.RescaleSlope) + float(header.RescaleIntercept)
    truth = subject.images[Role.PHASE].volumes[echo - 1].array
    assert _angle_error(milliradian / 1000, truth) <= 0.5 * 1.5346e-3 + 1e-6


def test_ge_phase_is_signed_milliradian_with_the_opposite_sign_and_only_a_private_mark(
    series, subject
):
    gre = series(G)["Ax 3D mGRE"]
    assert {tuple(d.ImageType) for d in gre} == {("ORIGINAL", "PRIMARY", "OTHER")}
    phase = [d for d in gre if d[0x0043102F].value == 1]
    assert len(phase) == len(gre) / 2
    stored, header = _echo(phase, 2)
    assert "RescaleSlope" not in header
    truth = subject.images[Role.PHASE].volumes[1].array
    assert _angle_error(-stored / 1000, truth) <= 0.5e-3 + 1e-6


def test_enhanced_frames_tell_their_component_echo_and_unit(series, subject):
    (enhanced,) = series(E)["3D_mFFE_T2star"]
    assert enhanced.ComplexImageComponent == "MIXED"
    frames = enhanced.PerFrameFunctionalGroupsSequence
    truth = subject.images[Role.PHASE].volumes[2].array
    chosen = [
        index for index, frame in enumerate(frames)
        if frame.MRImageFrameTypeSequence[0].ComplexImageComponent == "PHASE"
        and frame.MREchoSequence[0].EffectiveEchoTime == 21.0
    ]
    assert len(chosen) == len(truth)
    mapping = frames[chosen[0]].RealWorldValueMappingSequence[0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "mrad"
    values = enhanced.pixel_array[chosen] * mapping.RealWorldValueSlope
    radians = (values + mapping.RealWorldValueIntercept) / 1000
    assert _angle_error(radians, truth) <= 0.5 * 1.5346e-3 + 1e-6


@pytest.mark.parametrize(
    ("style", "name"),
    [(S, "Mag_Images"), (P, "3D_mFFE_T2star"), (G, "Ax 3D mGRE")],
)
def test_magnitudes_of_all_echoes_share_one_gain(series, subject, style, name):
    def is_magnitude(dataset) -> bool:
        if style is G:
            return dataset[0x0043102F].value == 0
        return "P" not in dataset.ImageType

    magnitudes = [d for d in series(style)[name] if is_magnitude(d)]
    truth = subject.images[Role.MAGNITUDE].volumes
    first, last = (_echo(magnitudes, echo)[0].astype(np.float64) for echo in (1, 3))
    inside = truth[0].array > 0
    ratio = last[inside] / first[inside]
    assert ratio == pytest.approx(math.exp(-14 / 40), rel=2e-3)
    assert first.max() > 3500
