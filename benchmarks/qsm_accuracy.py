"""QSM against the susceptibility that a simulated head really has.

    python -m benchmarks.qsm_accuracy [LABEL_MAP.nii.gz ...] [--seed 1] [--microbleeds 8]
        [--inversions regularised] [--echoes "three echoes"]

One simulated subject per label map (SynthSeg's training maps: github.com/BBillot/SynthSeg), or one
on the template head. For three echoes (7, 14, 21 ms) and for the last alone, by both inversions:
correlation and normalised error (percent of the norm of the truth) in the brain where QSM reaches
and over the whole true brain, seconds of processor, and two slopes of found against true at the
microbleeds. Each head has its line; then the means over heads, the slopes over all bleeds at once.
Everything here is simulated.

`slope` is of the mean over each bleed's outline, and is the one the bar is set on. An outline is
what looks dark: it is far wider than its source, so that true means lie within 0.03 to 0.25 ppm
whatever the bleed, next to tissue that differs as much. One bleed of eight at the rim, where QSM
is 0, turns it. `moment` is of the susceptibility in excess of the surroundings (median 3 to 6 mm
away), summed to 2 mm around the outline, in ppm mm3: what the far field of a bleed tells, also
where its core has no signal. `found` counts bleeds that lie wholly where QSM reaches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from apps.phantom.anatomy import label_map_anatomy, template_anatomy
from apps.phantom.lesions import Burden
from apps.phantom.subject import simulate
from apps.phantom.types import Planted, Subject
from operators.brain_mask import brain_mask
from operators.quantitative_maps.qsm import susceptibility
from operators.quantitative_maps.settings import QsmSettings
from operators.types import Role

ECHOES = {"three echoes": slice(None), "last echo": slice(-1, None)}
Inversion = Literal["regularised", "tkd"]
INVERSIONS: tuple[Inversion, ...] = get_args(Inversion)


@dataclass(frozen=True)
class Agreement:
    """One map against the truth.

    `bleeds` (n, 2): true and measured mean, ppm; `moments` (n, 2): the same, ppm mm3; `reached`
    (n,): whether QSM reaches the whole outline.
    """

    correlation: float
    correlation_all: float
    error_percent: float
    seconds: float
    bleeds: NDArray[np.float64]
    moments: NDArray[np.float64]
    reached: NDArray[np.bool_]


def measure(subject: Subject, echoes: slice, inversion: Inversion) -> Agreement:
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
        seconds, *_at_bleeds(subject, chi),
    )


def _correlation(a: NDArray, b: NDArray, where: NDArray[np.bool_]) -> float:
    return float(np.corrcoef(a[where], b[where])[0, 1])


def _at_bleeds(
    subject: Subject, chi: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Means and moments, true and measured, of every microbleed, and whether QSM reaches it."""
    labels, truth = subject.truth.lesions.array, subject.truth.susceptibility_ppm.array
    means, moments, reached = [], [], []
    for planted in subject.truth.planted:
        outline = labels == planted.index
        if planted.kind is Planted.MICROBLEED and outline.any():
            means.append((truth[outline].mean(), chi[outline].mean()))
            moments.append(_moments(subject, outline, (truth, chi)))
            reached.append((chi[outline] != 0).all())
    return _pairs(means), _pairs(moments), np.array(reached, bool)


def _pairs(values: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    return np.array(values, np.float64).reshape(-1, 2)


def _moments(
    subject: Subject, outline: NDArray[np.bool_], maps: tuple[NDArray, ...]
) -> list[float]:
    """Excess over the surroundings, summed over the outline and 2 mm around it, ppm mm3.

    Other planted objects and what is not brain count neither as bleed nor as surroundings.
    """
    spacing = np.array(subject.truth.lesions.spacing)
    margin = np.ceil(7 / spacing).astype(int)
    index = np.argwhere(outline)
    first, last = np.maximum(index.min(axis=0) - margin, 0), index.max(axis=0) + margin + 1
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    away = distance_transform_edt(~outline[box], spacing)
    others = (subject.truth.lesions.array[box] > 0) & ~outline[box]
    allowed = subject.truth.brain.array[box] & ~others
    core, shell = (away <= 2) & allowed, (away > 3) & (away <= 6) & allowed
    return [
        float((part[box][core] - np.median(part[box][shell])).sum() * spacing.prod())
        for part in maps
    ]


def slope(bleeds: NDArray[np.float64]) -> float:
    """Least-squares slope, with intercept, of measured (second column) against true."""
    return float(np.polyfit(bleeds[:, 0], bleeds[:, 1], 1)[0]) if len(bleeds) > 1 else np.nan


def line(name: str, rows: list[Agreement]) -> str:
    """Means over subjects, and both slopes over all their bleeds at once."""
    bleeds, moments, reached = (
        np.concatenate([getattr(row, part) for row in rows])
        for part in ("bleeds", "moments", "reached")
    )
    means = np.mean(
        [(r.correlation, r.correlation_all, r.error_percent, r.seconds) for r in rows], axis=0
    )
    worst = min(row.correlation for row in rows)
    return (
        f"{name:48s} {means[0]:6.3f} {worst:6.3f} {means[1]:6.3f} {means[2]:6.0f} "
        f"{slope(bleeds):6.2f} {slope(moments):6.2f} {reached.sum():3d}/{len(reached):<3d} "
        f"{means[3]:7.1f}"
    )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("label_maps", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--microbleeds", type=int, default=8)
    parser.add_argument("--inversions", nargs="+", choices=INVERSIONS, default=INVERSIONS)
    parser.add_argument("--echoes", nargs="+", choices=list(ECHOES), default=list(ECHOES))
    return parser.parse_args()


def main() -> None:
    options = parsed()
    heads = options.label_maps or [None]
    rows: dict[str, list[Agreement]] = {}
    print(f"{'':48s} {'r':>6s} {'worst':>6s} {'r all':>6s} {'err %':>6s} {'slope':>6s} "
          f"{'moment':>6s} {'found':>7s} {'CPU s':>7s}")
    for number, path in enumerate(heads):
        anatomy = template_anatomy() if path is None else label_map_anatomy(path)
        burden = Burden(microbleeds=options.microbleeds)
        subject = simulate(options.seed + number, anatomy=anatomy, burden=burden)
        for echoes, inversion in product(options.echoes, options.inversions):
            row = measure(subject, ECHOES[echoes], inversion)
            name = f"{echoes}, {inversion}"
            rows.setdefault(name, []).append(row)
            print(line(f"{anatomy.name[:20]} {name}", [row]), flush=True)
    for name, found in rows.items():
        print(line(f"mean of {len(heads)}: {name}", found))


if __name__ == "__main__":
    main()
