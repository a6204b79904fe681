"""The subjects that the default model learns from, is chosen on, and is judged on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from apps.phantom.anatomy import Anatomy, label_map_anatomy, template_anatomy
from apps.phantom.population import SEEN, UNSEEN, Sites, draw_protocol, many, population
from apps.phantom.subject import Burden, simulate
from apps.phantom.types import Subject
from apps.train.subjects import Examined, as_case, examine, save_examined
from operators.errors import InputError
from operators.lesion_segmenter.cases import save_case

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
_SEEDS: dict[Split, int] = {"train": 10_000, "test": 20_000, "validation": 30_000}
SITES: dict[Split, Sites] = {"train": SEEN, "validation": SEEN, "test": UNSEEN}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """One subject to simulate; `head` None: the template's."""

    split: Split
    head: Path | None
    seed: int

    @property
    def head_name(self) -> str:
        """As in names of files and in `Anatomy.name`."""
        return "template" if self.head is None else self.head.name.split(".")[0]


def part_heads(heads: Sequence[Path], seed: int = 20260) -> dict[Split, list[Path]]:
    """The heads of each split; the same files and seed give the same parts.

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
    return {"test": order[:held], "validation": order[held:2 * held], "train": order[2 * held:]}


def plan(heads: Sequence[Path], counts: dict[Split, int], seed: int) -> list[Plan]:
    """Part the heads, then share them out: no head is in two splits."""
    parts = part_heads(heads)
    plans = []
    for split in SPLITS:
        for number in range(counts[split]):
            head = parts[split][number % len(parts[split])]
            plans.append(Plan(split, head, seed + _SEEDS[split] + number))
    return plans


def draw_burden(split: Split, generator: np.random.Generator) -> Burden:
    """Test subjects as the population has them, and half of those to choose on; else many."""
    as_population = generator.random() < 0.5
    if split == "test" or (split == "validation" and as_population):
        return population(generator)
    return many(generator, (10, 40) if split == "train" else (3, 15))


def read_anatomy(head: Path | None) -> Anatomy:
    """The head of a label map, or of the template."""
    return template_anatomy() if head is None else label_map_anatomy(head)


def make_cohort(
    plans: Sequence[Plan], folder: Path, *,
    read_head: Callable[[Path | None], Anatomy] = read_anatomy,
) -> None:
    """Simulate what is not there yet: `folder`/<split>/<head>-<seed>.case.npz, and .study.npz."""
    for head in sorted({one.head_name for one in plans}):
        waiting = [one for one in plans
                   if one.head_name == head and not _paths(one, folder)[0].exists()]
        if not waiting:
            continue
        anatomy = read_head(waiting[0].head)
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
    stem = f"{one.head_name}-{one.seed}"
    return folder / one.split / f"{stem}.case.npz", folder / one.split / f"{stem}.study.npz"


def make_subject(
    one: Plan, anatomy: Anatomy, *, moved: bool = False
) -> tuple[Subject, Examined]:
    """Simulate a planned subject and examine it; `moved`: the head moves between the series."""
    generator = np.random.default_rng([one.seed, 1])
    protocol = draw_protocol(generator, SITES[one.split])
    if moved:
        protocol = replace(protocol, series_tilt_deg=2.0, series_shift_mm=2.0)
    subject = simulate(
        one.seed, anatomy=anatomy, protocol=protocol, burden=draw_burden(one.split, generator),
        scanner_swi=bool(generator.random() < 0.3),
    )
    return subject, examine(subject, generator, own_mask=one.split != "test")


def _make(one: Plan, anatomy: Anatomy, folder: Path) -> None:
    _, examined = make_subject(one, anatomy)
    case, study = _paths(one, folder)
    case.parent.mkdir(parents=True, exist_ok=True)
    if one.split != "train":
        save_examined(examined, study)
    save_case(as_case(examined), case)
