"""QSM against the susceptibility that a simulated head really has.

    python -m benchmarks.qsm_accuracy [LABEL_MAP.nii.gz ...] [--seed 1] [--microbleeds 8]

One simulated subject per label map (SynthSeg's training maps: github.com/BBillot/SynthSeg), or one
on the template head. For three echoes (7, 14, 21 ms) and for the last alone, by both inversions:
correlation and normalised error (percent of the norm of the truth) in the brain where QSM reaches
and over the whole true brain, seconds of processor, and at the microbleeds of all subjects the
slope of the mean over each outline against the true mean. Everything here is simulated.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.phantom.anatomy import label_map_anatomy, template_anatomy
from apps.phantom.lesions import Burden
from apps.phantom.subject import simulate
from apps.phantom.types import Planted, Subject
from operators.brain_mask import brain_mask
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings
from operators.types import Role

ECHOES = {"three echoes": slice(None), "last echo": slice(-1, None)}
INVERSIONS = ("regularised", "tkd")


@dataclass(frozen=True)
class Agreement:
    """One map against the truth; `bleeds` are (n, 2): true and measured mean, ppm."""

    correlation: float
    correlation_all: float
    error_percent: float
    seconds: float
    bleeds: NDArray[np.float64]


def measure(subject: Subject, echoes: slice, inversion: str) -> Agreement:
    """QSM of a subject from some of its echoes, as the main job computes it."""
    magnitude, phase = subject.images[Role.MAGNITUDE], subject.images[Role.PHASE]
    magnitudes = magnitude.volumes[echoes]
    start = time.process_time()
    mask = brain_mask(magnitudes[0], role=Role.MAGNITUDE)
    chi = susceptibility(
        magnitudes, phase.volumes[echoes], subject.protocol.echo_times_ms[echoes],
        field_strength_t=subject.protocol.field_strength_t, mask=mask,
        settings=QsmSettings(inversion=inversion),
    ).array
    seconds = time.process_time() - start
    truth, brain = subject.truth.susceptibility_ppm.array, subject.truth.brain.array
    reached = brain & (chi != 0)
    error = np.linalg.norm((chi - truth)[reached]) / np.linalg.norm(truth[reached])
    return Agreement(
        _correlation(chi, truth, reached), _correlation(chi, truth, brain), 100 * float(error),
        seconds, _at_bleeds(subject, chi),
    )


def _correlation(a: NDArray, b: NDArray, where: NDArray[np.bool_]) -> float:
    return float(np.corrcoef(a[where], b[where])[0, 1])


def _at_bleeds(subject: Subject, chi: NDArray) -> NDArray[np.float64]:
    labels, truth = subject.truth.lesions.array, subject.truth.susceptibility_ppm.array
    inside = [
        labels == planted.index for planted in subject.truth.planted
        if planted.kind is Planted.MICROBLEED and (labels == planted.index).any()
    ]
    return np.array([(truth[m].mean(), chi[m].mean()) for m in inside]).reshape(-1, 2)


def slope(bleeds: NDArray[np.float64]) -> float:
    """Least-squares slope, with intercept, of measured against true means."""
    return float(np.polyfit(bleeds[:, 0], bleeds[:, 1], 1)[0]) if len(bleeds) > 1 else np.nan


def report(name: str, rows: list[Agreement]) -> None:
    bleeds = np.concatenate([row.bleeds for row in rows])
    means = np.mean(
        [(r.correlation, r.correlation_all, r.error_percent, r.seconds) for r in rows], axis=0
    )
    worst = min(row.correlation for row in rows)
    print(
        f"{name:28s} {means[0]:6.3f} {worst:6.3f} {means[1]:6.3f} {means[2]:6.0f} "
        f"{slope(bleeds):6.2f} {len(bleeds):4d} {means[3]:7.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("label_maps", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--microbleeds", type=int, default=8)
    options = parser.parse_args()
    heads = options.label_maps or [None]
    rows: dict[str, list[Agreement]] = {}
    for number, path in enumerate(heads):
        anatomy = template_anatomy() if path is None else label_map_anatomy(path)
        burden = Burden(microbleeds=options.microbleeds)
        subject = simulate(options.seed + number, anatomy=anatomy, burden=burden)
        for echoes, part in ECHOES.items():
            for inversion in INVERSIONS:
                row = measure(subject, part, inversion)
                rows.setdefault(f"{echoes}, {inversion}", []).append(row)
                print(f"  {anatomy.name} {echoes}, {inversion}: r {row.correlation:.3f}, "
                      f"slope {slope(row.bleeds):.2f} of {len(row.bleeds)}", flush=True)
    print(f"{len(heads)} simulated subjects")
    print(f"{'':28s} {'r':>6s} {'worst':>6s} {'r all':>6s} {'err %':>6s} {'slope':>6s} "
          f"{'CMB':>4s} {'CPU s':>7s}")
    for name, found in rows.items():
        report(name, found)


if __name__ == "__main__":
    main()
