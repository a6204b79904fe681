"""Arterial spin labelling: what each volume is, how it was labelled, and the unit of a CBF map."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from operators.dicom_loader.elements import PrivateTag, is_made_by, number_of, private
from operators.types import AslKind, AslTiming, Unit

if TYPE_CHECKING:
    from pydicom import Dataset

_CONTEXTS = {
    "LABEL": AslKind.LABEL,
    "CONTROL": AslKind.CONTROL,
    "M_ZERO_SCAN": AslKind.M0,
}
_LABELLING = {"PSEUDOCONTINUOUS": "pcasl", "CONTINUOUS": "casl", "PULSED": "pasl"}
PHILIPS_LABEL = PrivateTag(0x2005, "Philips MR Imaging DD 005", 0x29, 0x14)
_GE_TECHNIQUE = PrivateTag(0x0043, "GEMS_PARM_01", 0xA4)
_GE_DURATION = PrivateTag(0x0043, "GEMS_PARM_01", 0xA5)
_M0 = re.compile(r"(?<![a-z0-9])(m0|m_?zero|calib\w*)(?![a-z0-9])", re.IGNORECASE)
_SIEMENS_PROTOCOL = re.compile(
    r"^sAsl\.(ulLabelingDuration|sPostLabelingDelay\[0\])\s*=\s*(\d+)\s*$", re.MULTILINE
)
# UCUM codes of perfusion per mass of tissue, as scanners and highdicom write them.
_ABSOLUTE = frozenset({"ml/(100.g.min)", "ml/min/100g", "ml/100g/min", "ml/[100]g/min",
                       "ml/(min.100g)", "ml/(100.g)/min", "ml/min/(100.g)"})  # fmt: skip


def asl_kind(
    frame_item: Dataset | None, philips: Dataset | None, description: str
) -> AslKind | None:
    """Label, control or M0.

    `frame_item` is an item of the MR Arterial Spin Labeling Sequence; `philips` holds Philips's
    (2005,1429), None for another vendor; a description that names M0 decides where both are silent.
    """
    if frame_item is not None:
        kind = _CONTEXTS.get(str(frame_item.get("ASLContext", "")))
        if kind is not None:
            return kind
    stated = None if philips is None else private(philips, PHILIPS_LABEL)
    if stated is not None:
        word = stated.decode("ascii", "ignore") if isinstance(stated, bytes) else str(stated)
        kind = _CONTEXTS.get(word.strip(" \0").upper())
        if kind is not None:
            return kind
    return AslKind.M0 if _M0.search(description) else None


def assumed_kinds(
    levels: Sequence[float], *, others_stated: bool
) -> tuple[tuple[AslKind, ...], str] | None:
    """Kinds of volumes whose header does not state them, from their mean signal, in order.

    Two volumes, one three times as bright: M0 and the difference (GE's 3D ASL). Else pairs that
    alternate, a first odd one being M0; inverted blood makes label the darker of a pair (1 %).
    A single one is M0 where all others are stated (Philips), else None. The sentence says that
    this is an assumption.
    """
    if len(levels) == 1 and others_stated:
        return (AslKind.M0,), "M0 assumed for the one that is neither label nor control"
    if len(levels) < 2:
        return None
    if len(levels) == 2 and max(levels) > 3 * min(levels):
        first_is_m0 = levels[0] > levels[1]
        pair = (AslKind.M0, AslKind.DIFFERENCE)
        return pair if first_is_m0 else pair[::-1], "M0 and difference assumed from brightness"
    odd = len(levels) % 2
    paired = levels[odd:]
    label_first = sum(paired[0::2]) < sum(paired[1::2])
    pair = (AslKind.LABEL, AslKind.CONTROL)
    kinds = (AslKind.M0,) * odd + (pair if label_first else pair[::-1]) * (len(paired) // 2)
    return kinds, "label and control assumed from their order and brightness"


def asl_timing(header: Dataset, labelling_item: Dataset | None, protocol: str) -> AslTiming | None:
    """Labelling as the header states it; None where nothing is stated.

    Sources: Arterial Spin Labeling Contrast with the pulse train duration (continuous) or bolus
    cut-off and inversion time (pulsed); the Siemens protocol text (microseconds); GE (0043,10A4)
    and (0043,10A5) with Inversion Time as the delay.
    """
    labelling = _LABELLING.get(str(header.get("ArterialSpinLabelingContrast", "")))
    duration = delay = None
    if labelling_item is not None:
        duration = _stated_duration(labelling_item, pulsed=labelling == "pasl")
    if labelling == "pasl":
        delay = number_of(header, "InversionTime")
    stated = {name: int(value) / 1000.0 for name, value in _SIEMENS_PROTOCOL.findall(protocol)}
    if labelling != "pasl":
        duration = stated.get("ulLabelingDuration", duration)
        delay = stated.get("sPostLabelingDelay[0]", delay)
    if is_made_by("GE", header):
        labelling, duration, delay = _ge(header, labelling, duration, delay)
    if labelling is None and duration is None and delay is None:
        return None
    return AslTiming(labelling, duration or None, delay or None)


def _stated_duration(item: Dataset, *, pulsed: bool) -> float | None:
    holder, keyword = (
        ("ASLBolusCutoffTimingSequence", "ASLBolusCutoffDelayTime")
        if pulsed
        else ("ASLSlabSequence", "ASLPulseTrainDuration")
    )
    items = item.get(holder) or []
    return number_of(items[0], keyword) if items else None


def _ge(
    header: Dataset, labelling: str | None, duration: float | None, delay: float | None
) -> tuple[str | None, float | None, float | None]:
    technique = str(private(header, _GE_TECHNIQUE) or "").lower()
    if labelling is None and "continuous" in technique:
        labelling = "pcasl"  # GE's 3D ASL is pulsed-continuous
    stated = private(header, _GE_DURATION)
    if duration is None and stated is not None:
        duration = float(np.atleast_1d(np.asarray(stated, dtype=float))[0])
    return labelling, duration, delay or number_of(header, "InversionTime")


def cbf_unit(stated_unit: str) -> Unit:
    """Absolute only where a unit code says so; a map that says nothing is relative."""
    return Unit.ABSOLUTE_CBF if stated_unit.replace(" ", "") in _ABSOLUTE else Unit.RELATIVE_CBF
