"""Subjects as the lesion network is given them, so that a peer starts from the very same images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from apps.train.subjects import Examined
from operators.labels import LesionClass
from operators.lesion_segmenter.cases import Case
from operators.lesion_segmenter.normalise import CHANNELS, network_input


def of_case(case: Case) -> Examined:
    """A training case; its place in the scanner is not known and stays at the origin."""
    shape = case.brain.shape
    numbers = np.unique(case.instances[case.instances > 0]).tolist()
    kinds = {number: LesionClass(int(case.classes[case.instances == number].max()))
             for number in numbers}
    contrasts = {role: case.inputs[channel].astype(np.float32)
                 for channel, role in enumerate(CHANNELS) if case.present[channel]}
    return Examined(
        case.subject, case.anatomy, None, contrasts, case.brain, np.zeros(shape, np.uint8),
        case.instances, kinds, dict.fromkeys(numbers, 0.0), np.diag([*case.spacing_mm, 1.0]),
        "1.2.3",
    )


def of_scan(scan: Examined) -> Examined:
    """A scan scaled, cropped and at about 1 mm in plane; without its truth."""
    spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
    seen = network_input(scan.contrasts, scan.brain, spacing.tolist())
    low = np.array([side.start for side in seen.box], float)
    step = np.asarray(seen.spacing_mm) / spacing
    # Cells share outer faces, not centres.
    index = np.diag([*step, 1.0])
    index[:3, 3] = low + (step - 1) / 2
    shape = seen.brain.shape
    contrasts = {role: seen.array[channel]
                 for channel, role in enumerate(CHANNELS) if role in scan.contrasts}
    return replace(
        scan, contrasts=contrasts, brain=seen.brain, regions=np.zeros(shape, np.uint8),
        truth=np.zeros(shape, np.uint16), kinds={}, diameters_mm={}, planted={},
        affine=scan.affine @ index,
    )
