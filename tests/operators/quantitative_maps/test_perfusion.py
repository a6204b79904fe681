"""CBF: the white paper's formulas worked by hand, and what falls back to relative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from operators.errors import StepFailed
from operators.quantitative_maps.perfusion import BloodFlow, blood_flow
from operators.quantitative_maps.settings import PerfusionSettings
from operators.types import Acquisition, AslKind, AslTiming, Sample, Unit

from .conftest import axial, volume

SHAPE = (6, 24, 24)
HEAD = np.zeros(SHAPE, bool)
HEAD[1:5, 4:20, 4:20] = True
PCASL = Acquisition(
    field_strength_t=3.0, repetition_time_ms=4500.0,
    asl=AslTiming("pcasl", label_duration_ms=1800.0, post_label_delay_ms=1800.0),
)
PASL = replace(
    PCASL, asl=AslTiming("pasl", label_duration_ms=800.0, post_label_delay_ms=1800.0)
)


def flow(images: list[tuple[AslKind, float]], acquisition: Acquisition) -> BloodFlow:
    volumes = [
        volume(np.where(HEAD, value, 0).astype(np.float32), axial((5.0, 3.0, 3.0)))
        for _, value in images
    ]
    samples = [Sample(asl=kind, repetition=i) for i, (kind, _) in enumerate(images)]
    return blood_flow(volumes, samples, acquisition, PerfusionSettings())


PAIRS = [(AslKind.LABEL, 980.0), (AslKind.CONTROL, 991.0), (AslKind.LABEL, 980.0),
         (AslKind.CONTROL, 989.0)]
WITH_M0 = [(AslKind.M0, 1000.0), *PAIRS]
"""Mean difference 10, M0 1000."""


def test_pcasl_of_one_percent_is_86_ml() -> None:
    found = flow(WITH_M0, PCASL)
    # 6000 * 0.9 * 0.01 * exp(1.8/1.65) / (2 * 0.85 * 1.65 * (1 - exp(-1.8/1.65)))
    assert np.allclose(found.volume.array[HEAD], 86.3, atol=0.1)
    assert (found.volume.array[~HEAD] == 0).all()
    assert found.unit is Unit.ABSOLUTE_CBF


def test_pasl_of_one_percent_is_103_ml() -> None:
    found = flow(WITH_M0, PASL)
    # 6000 * 0.9 * 0.01 * exp(1.8/1.65) / (2 * 0.98 * 0.8)
    assert np.allclose(found.volume.array[HEAD], 102.5, atol=0.1)


def test_blood_relaxes_faster_at_1_5_t() -> None:
    found = flow(WITH_M0, replace(PCASL, field_strength_t=1.5))
    # 54 * exp(1.8/1.35) / (2 * 0.85 * 1.35 * (1 - exp(-1.8/1.35)))
    assert np.allclose(found.volume.array[HEAD], 121.2, atol=0.1)
    assert "blood T1 1350 ms" in found.reason


def test_the_scanners_difference_does_as_well() -> None:
    found = flow([(AslKind.M0, 1000.0), (AslKind.DIFFERENCE, 10.0)], PCASL)
    assert np.allclose(found.volume.array[HEAD], 86.3, atol=0.1)


def test_without_m0_cbf_is_relative_and_says_why() -> None:
    found = flow(PAIRS, PCASL)
    assert found.unit is Unit.RELATIVE_CBF
    assert np.allclose(found.volume.array[HEAD], 10)
    assert found.reason.endswith("unknown: M0")


@pytest.mark.parametrize(
    ("timing", "word"),
    [
        (AslTiming(None, 1800.0, 1800.0), "the labelling"),
        (AslTiming("casl", 1800.0, 1800.0), "the labelling"),
        (AslTiming("pcasl", None, 1800.0), "the label duration"),
        (AslTiming("pcasl", 1800.0, None), "the post-label delay"),
    ],
)
def test_without_timing_cbf_is_relative_and_says_why(timing: AslTiming, word: str) -> None:
    found = flow(WITH_M0, replace(PCASL, asl=timing))
    assert found.unit is Unit.RELATIVE_CBF
    assert word in found.reason


def test_control_is_m0_only_where_background_is_known_not_to_be_suppressed() -> None:
    timing = PCASL.asl
    assert timing is not None
    plain = replace(PCASL, asl=replace(timing, background_suppressed=False))
    suppressed = replace(PCASL, asl=replace(timing, background_suppressed=True))
    found = flow(PAIRS, plain)
    # control 990, divided by 1 - exp(-4.5/1.33) as its repetition time is short
    assert np.allclose(found.volume.array[HEAD], 86.3 * 1000 / 990 * (1 - 0.0339), rtol=1e-3)
    assert flow(PAIRS, suppressed).unit is Unit.RELATIVE_CBF


def test_a_long_repetition_time_needs_no_correction() -> None:
    twice = [(AslKind.M0, 1000.0), (AslKind.M0, 1000.0), *PAIRS]
    relaxed = flow(twice, replace(PCASL, repetition_time_ms=6000.0)).volume.array[HEAD]
    short = flow(twice, replace(PCASL, repetition_time_ms=2000.0)).volume.array[HEAD]
    assert np.allclose(relaxed, 86.3, atol=0.1)
    assert np.allclose(short / relaxed, 1 - np.exp(-2.0 / 1.33), rtol=1e-4)


def test_label_and_control_the_wrong_way_round_are_refused() -> None:
    other = {AslKind.LABEL: AslKind.CONTROL, AslKind.CONTROL: AslKind.LABEL}
    with pytest.raises(StepFailed, match="taken for each other"):
        flow([(other.get(kind, kind), value) for kind, value in WITH_M0], PCASL)


def test_a_series_without_pairs_is_refused() -> None:
    with pytest.raises(StepFailed, match="label x2, control x0"):
        flow([(AslKind.LABEL, 980.0)] * 2, PCASL)
