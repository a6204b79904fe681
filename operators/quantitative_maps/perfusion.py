"""Cerebral blood flow from arterial spin labelling (Alsop et al., MRM 2015;73:102)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.errors import StepFailed
from operators.quantitative_maps.settings import PerfusionSettings
from operators.types import Acquisition, AslKind, AslTiming, Sample, Unit

if TYPE_CHECKING:
    from highdicom import Volume

_RELAXED_TR_MS = 5000.0
"""Shorter repetition times leave M0 saturated (Alsop 2015)."""
_ML_100G_MIN = 6000.0
"""ml/g/s to ml/100 g/min."""


@dataclass(frozen=True, slots=True, eq=False)
class BloodFlow:
    """CBF in `unit`, and how it was computed, in a sentence."""

    volume: Volume
    unit: Unit
    reason: str


def blood_flow(
    volumes: Sequence[Volume],
    samples: Sequence[Sample],
    acquisition: Acquisition,
    settings: PerfusionSettings,
) -> BloodFlow:
    """CBF in ml/100 g/min where timing and M0 are known, else the mean difference, relative.

    The difference is control minus label (or what the scanner subtracted). M0 is the M0 volume;
    without one, the mean control where the header says that background was not suppressed.
    Slices are taken to be acquired at one delay. float32; 0 where there is no head in M0.
    Raises StepFailed without label and control, or when their mean difference is negative.
    """
    groups = _by_kind(volumes, samples)
    difference = _difference(groups)
    m0 = _equilibrium(groups, acquisition, settings)
    mask = _head(_brightest(groups, m0))
    if np.median(difference[mask]) < 0:
        raise StepFailed(
            "Control minus label is negative over the head: label and control are taken for each "
            "other. Check how the series orders them."
        )
    grid = volumes[0]
    missing = _unknown(m0, acquisition)
    if m0 is None or missing:
        text = f"mean difference of the ASL series; relative, as unknown: {', '.join(missing)}"
        return BloodFlow(grid.with_array(difference), Unit.RELATIVE_CBF, text)
    scale, text = _scale(_timing(acquisition), acquisition.field_strength_t or 0.0, settings)
    ratio = np.divide(difference, m0, out=np.zeros_like(m0), where=mask & (m0 > 0))
    flow = grid.with_array((ratio * np.float32(scale)).astype(np.float32))
    return BloodFlow(flow, Unit.ABSOLUTE_CBF, text)


def _by_kind(
    volumes: Sequence[Volume], samples: Sequence[Sample]
) -> dict[AslKind, list[NDArray[np.float32]]]:
    groups: dict[AslKind, list[NDArray[np.float32]]] = {kind: [] for kind in AslKind}
    for volume, sample in zip(volumes, samples, strict=True):
        if sample.asl is not None:
            groups[sample.asl].append(np.nan_to_num(volume.array).astype(np.float32))
    return groups


def _difference(groups: dict[AslKind, list[NDArray[np.float32]]]) -> NDArray[np.float32]:
    """Mean of control minus mean of label, or mean of the scanner's differences."""
    label, control = groups[AslKind.LABEL], groups[AslKind.CONTROL]
    if label and control:
        return np.asarray(np.mean(control, axis=0) - np.mean(label, axis=0), np.float32)
    if groups[AslKind.DIFFERENCE]:
        return np.asarray(np.mean(groups[AslKind.DIFFERENCE], axis=0), np.float32)
    counts = ", ".join(f"{kind.value} x{len(images)}" for kind, images in groups.items())
    raise StepFailed(
        f"The ASL series has no label and control pair and no difference (found: {counts}). "
        "Send the raw ASL series or the scanner's CBF map."
    )


def _equilibrium(
    groups: dict[AslKind, list[NDArray[np.float32]]],
    acquisition: Acquisition,
    settings: PerfusionSettings,
) -> NDArray[np.float32] | None:
    """M0, corrected for saturation; None when unknown.

    A single M0 volume is the first excitation of its series, fully relaxed; repeated ones, and
    control images, are in the steady state of their repetition time.
    """
    images = groups[AslKind.M0]
    relaxed = len(images) == 1
    timing = acquisition.asl
    if not images and timing is not None and timing.background_suppressed is False:
        images = groups[AslKind.CONTROL]
    if not images:
        return None
    repetition = acquisition.repetition_time_ms
    if not relaxed and repetition is None:
        return None
    m0: NDArray[np.float32] = np.mean(images, axis=0).astype(np.float32)
    if relaxed or repetition is None or repetition >= _RELAXED_TR_MS:
        return m0
    return np.asarray(m0 / np.float32(1 - np.exp(-repetition / settings.tissue_t1_ms)))


def _brightest(
    groups: dict[AslKind, list[NDArray[np.float32]]], m0: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """The image in which the head shows best: M0, else control, else the difference."""
    if m0 is not None:
        return m0
    images = groups[AslKind.CONTROL] or groups[AslKind.DIFFERENCE]
    return np.asarray(np.mean(images, axis=0), np.float32)


def _head(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    from skimage.filters import threshold_otsu

    level = threshold_otsu(image)  # type: ignore[no-untyped-call]
    return np.asarray(image > 0.5 * level)


def _unknown(m0: NDArray[np.float32] | None, acquisition: Acquisition) -> list[str]:
    """What the white paper's formula needs and the header does not say, in words."""
    timing = _timing(acquisition)
    facts = {
        "M0": m0 is not None,
        "the labelling (pCASL or PASL)": timing.labelling in ("pcasl", "pasl"),
        "the label duration": timing.label_duration_ms is not None,
        "the post-label delay": timing.post_label_delay_ms is not None,
        "the field strength": acquisition.field_strength_t is not None,
    }
    return [name for name, known in facts.items() if not known]


def _timing(acquisition: Acquisition) -> AslTiming:
    return acquisition.asl or AslTiming()


def _scale(timing: AslTiming, field_t: float, settings: PerfusionSettings) -> tuple[float, str]:
    """CBF per difference over M0, and the sentence that says how."""
    blood = settings.blood_t1_1p5t_ms if field_t < 2.25 else settings.blood_t1_3t_ms
    delay, duration = timing.post_label_delay_ms or 0.0, timing.label_duration_ms or 0.0
    decay = float(np.exp(delay / blood))
    if timing.labelling == "pasl":
        name, alpha, label_s = "PASL", settings.pasl_efficiency, duration / 1e3
    else:
        name, alpha = "pCASL", settings.pcasl_efficiency
        label_s = blood / 1e3 * (1 - float(np.exp(-duration / blood)))
    scale = _ML_100G_MIN * settings.partition_coefficient_ml_g * decay / (2 * alpha * label_s)
    return scale, (
        f"{name} single-delay model (Alsop 2015): delay {delay:.0f} ms, label {duration:.0f} ms, "
        f"blood T1 {blood:.0f} ms, efficiency {alpha:g}"
    )
