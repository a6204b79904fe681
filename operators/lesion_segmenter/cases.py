"""A training case: one subject as the network sees it, with the truth, in one file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from operators.errors import InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.normalise import CHANNELS, network_input, resize
from operators.types import Role

Array = NDArray[np.float32]
CASE_CHANNELS: tuple[Role, ...] = (*CHANNELS, Role.MAGNITUDE)
"""A case also keeps the magnitude: training shows it in the place of SWI at times."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One subject on the network's working grid; arrays are (slice, row, column).

    Attributes
    ----------
    subject, anatomy : who it is; a split must not part either.
    inputs : float16 (channel, slice, row, column), channels of `CASE_CHANNELS`.
    present : which of them are there.
    classes : uint8, `LesionClass` or 0.
    instances : uint16, one number per lesion, 0 elsewhere.
    brain : bool.
    """

    subject: str
    anatomy: str
    inputs: NDArray[np.float16]
    present: NDArray[np.bool_]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    brain: NDArray[np.bool_]
    spacing_mm: tuple[float, float, float]


def make_case(
    subject: str, anatomy: str, contrasts: Mapping[Role, Array], brain: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float], instances: NDArray[np.uint16],
    kinds: Mapping[int, LesionClass],
) -> Case:
    """A case from a subject on its own grid (slice, row, column).

    `kinds` gives the class of each number in `instances`; numbers not in it are background. On a
    coarser working grid a lesion keeps every cell it fills by a third, and its fullest cell.
    """
    prepared = network_input(contrasts, brain, spacing_mm, channels=CASE_CHANNELS)
    cut = _shrink(instances[prepared.box], prepared.array.shape[2:], kinds)
    table = np.zeros(int(instances.max(initial=0)) + 1, np.uint8)
    for number, kind in kinds.items():
        table[number] = kind
    return Case(
        subject=subject, anatomy=anatomy, inputs=prepared.array.astype(np.float16),
        present=np.array([role in contrasts for role in CASE_CHANNELS]), classes=table[cut],
        instances=cut, brain=prepared.brain, spacing_mm=prepared.spacing_mm,
    )


def _shrink(
    instances: NDArray[np.uint16], size: tuple[int, ...], kinds: Mapping[int, LesionClass]
) -> NDArray[np.uint16]:
    present = [number for number in kinds if (instances == number).any()]
    if instances.shape[1:] == size:
        return np.where(np.isin(instances, present), instances, 0).astype(np.uint16)
    out = np.zeros((instances.shape[0], *size), np.uint16)
    best = np.full(out.shape, 1 / 3, np.float32)
    for number in present:
        slices = np.flatnonzero((instances == number).any(axis=(1, 2)))
        part = slice(int(slices[0]), int(slices[-1]) + 1)
        share = resize((instances[None, part] == number).astype(np.float32), size)[0]
        wins = (share >= best[part]) | (share == share.max())
        out[part][wins], best[part][wins] = number, share[wins]
    return out


def save_case(case: Case, path: Path) -> None:
    """Write a case; the file appears whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(
            file, subject=case.subject, anatomy=case.anatomy, inputs=case.inputs,
            present=case.present, classes=case.classes, instances=case.instances,
            brain=case.brain, spacing_mm=case.spacing_mm,
        )
    partial.replace(path)


def load_case(path: Path) -> Case:
    """Read a case. InputError names what a file lacks."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            first, second, third = (float(value) for value in stored["spacing_mm"])
            return Case(
                str(stored["subject"]), str(stored["anatomy"]), stored["inputs"],
                stored["present"], stored["classes"], stored["instances"], stored["brain"],
                (first, second, third),
            )
    except (KeyError, ValueError, OSError, BadZipFile) as error:
        raise InputError(
            f"{path.name} is not a training case: {error}. Make it again with make_case."
        ) from error
