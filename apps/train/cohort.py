"""The subjects that the default model learns from, is chosen on, and is judged on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from apps.phantom.anatomy import Anatomy, label_map_anatomy
from apps.phantom.subject import Burden, Protocol, simulate
from apps.train.subjects import as_case, examine, save_examined
from operators.errors import InputError
from operators.lesion_segmenter.cases import save_case

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ECHO_TIMES_MS: dict[float, tuple[tuple[float, ...], ...]] = {
    1.5: ((40.0,), (13.0, 26.0, 39.0)),
    3.0: ((20.0,), (7.0, 14.0, 21.0), (5.0, 12.5, 20.0), (6.0, 12.0, 18.0, 24.0)),
    7.0: ((14.0,), (4.0, 8.0, 12.0)),
}
"""Usual SWI and multi-echo GRE timings per field strength, tesla (our choice)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """One subject to simulate."""

    split: Split
    head: Path
    seed: int


def plan(heads: Sequence[Path], counts: dict[Split, int], seed: int) -> list[Plan]:
    """Part the heads, then share them out: no head is in two splits.

    A fifth of the heads, at least two, go to validation and as many to test. InputError below
    five heads.
    """
    if len(heads) < 5:
        raise InputError(
            f"Found {len(heads)} label maps; parting training, validation and test heads takes at "
            "least 5. Point --label-maps at a folder of FreeSurfer-numbered NIfTI label maps."
        )
    order = [sorted(heads)[i] for i in np.random.default_rng(seed).permutation(len(heads))]
    held = max(2, len(heads) // 5)
    parts: dict[Split, list[Path]] = {
        "test": order[:held], "validation": order[held:2 * held], "train": order[2 * held:]
    }
    plans = []
    for offset, split in enumerate(SPLITS):
        for number in range(counts[split]):
            head = parts[split][number % len(parts[split])]
            plans.append(Plan(split, head, seed + 10_000 * (offset + 1) + number))
    return plans


def draw_protocol(generator: np.random.Generator) -> Protocol:
    """Scanner settings as they vary between sites: field, echoes, voxel, tilt, noise (our choice).

    The other series do not move against GRE: `examine` adds what registration leaves over.
    """
    field = float(generator.choice((1.5, 3.0, 7.0), p=(0.2, 0.65, 0.15)))
    echoes = ECHO_TIMES_MS[field][generator.integers(len(ECHO_TIMES_MS[field]))]
    thickness = float(generator.choice((1.0, 1.5, 2.0, 2.5, 3.0), p=(0.1, 0.2, 0.4, 0.15, 0.15)))
    in_plane = float(generator.choice((0.75, 0.9, 1.0), p=(0.25, 0.25, 0.5)))
    tilt = generator.normal(0, 7, 3)
    return Protocol(
        field_strength_t=field, echo_times_ms=echoes,
        repetition_time_ms=max(30.0, echoes[-1] + 9), voxel_mm=(thickness, in_plane, in_plane),
        tilt_deg=(float(tilt[0]), float(tilt[1]), float(tilt[2])), series_tilt_deg=0.0,
        series_shift_mm=0.0, snr=float(generator.uniform(22, 55)),
    )


def draw_burden(split: Split, generator: np.random.Generator) -> Burden:
    """Test subjects as the population has them, and half of those to choose on; else many.

    Training subjects have most of all: a lesion costs nothing to simulate, a subject does. Few iron
    deposits even then: a nucleus without one must stay the usual case.
    """
    as_population = generator.random() < 0.5
    if split == "test" or (split == "validation" and as_population):
        return Burden()
    fewest, most = (10, 40) if split == "train" else (3, 15)
    return Burden(
        microbleeds=int(generator.integers(fewest, most, endpoint=True)),
        iron_deposits=int(generator.integers(0, 4)), calcifications=int(generator.integers(1, 7)),
    )


def make_cohort(
    plans: Sequence[Plan], folder: Path, *, share: tuple[int, int] = (0, 1),
    read_head: Callable[[Path], Anatomy] = label_map_anatomy,
) -> None:
    """Simulate what is not there yet: `folder`/<split>/<head>-<seed>.case.npz, and .study.npz.

    `share` (i, n) makes every n-th head's subjects from the i-th, so that n processes can share
    the work.
    """
    heads = sorted({one.head for one in plans})[share[0]::share[1]]
    for head in heads:
        waiting = [one for one in plans if one.head == head and not _paths(one, folder)[0].exists()]
        if not waiting:
            continue
        anatomy = read_head(head)
        for one in waiting:
            start = time.monotonic()
            _make(one, anatomy, folder)
            _log.info("%s %s seed %d: %.0f s", one.split, anatomy.name, one.seed,
                      time.monotonic() - start)


def case_paths(plans: Sequence[Plan], folder: Path, split: Split) -> list[Path]:
    """The case files of a split, in plan order."""
    return [_paths(one, folder)[0] for one in plans if one.split == split]


def study_paths(plans: Sequence[Plan], folder: Path, split: Split) -> list[Path]:
    """The study files of a split, in plan order; training subjects have none."""
    return [_paths(one, folder)[1] for one in plans if one.split == split]


def _paths(one: Plan, folder: Path) -> tuple[Path, Path]:
    stem = f"{one.head.name.split('.')[0]}-{one.seed}"
    return folder / one.split / f"{stem}.case.npz", folder / one.split / f"{stem}.study.npz"


def _make(one: Plan, anatomy: Anatomy, folder: Path) -> None:
    generator = np.random.default_rng([one.seed, 1])
    subject = simulate(
        one.seed, anatomy=anatomy, protocol=draw_protocol(generator),
        burden=draw_burden(one.split, generator), scanner_swi=bool(generator.random() < 0.3),
    )
    examined = examine(subject, generator)
    case, study = _paths(one, folder)
    case.parent.mkdir(parents=True, exist_ok=True)
    if one.split != "train":
        save_examined(examined, study)
    save_case(as_case(examined), case)
