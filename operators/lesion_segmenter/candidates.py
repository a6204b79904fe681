"""What the second stage learns from: the first stage's candidates in a case, and what each is."""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from operators.labels import LesionClass
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case, load_case
from operators.lesion_segmenter.components import components
from operators.lesion_segmenter.cubes import SIDE_MM, cubes
from operators.lesion_segmenter.inference import Runner, make_runner, predict
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Role

if TYPE_CHECKING:
    from torch import Tensor

_MAGNITUDE = CASE_CHANNELS.index(Role.MAGNITUDE)
_SWI, _QSM, _T2W = (CHANNELS.index(role) for role in (Role.SWI, Role.QSM, Role.T2W))
_SHIFT_MM, _STRETCH = 1.5, 0.1
_MAKING = b"2"
"""Changes when cubes are cut another way: none cut before are used then."""

_log = logging.getLogger(__name__)


class Variation(BaseModel):
    """Which contrasts candidates are shown with. All values are our choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drop_qsm: float = Field(default=0.25, ge=0, le=1, description="How often QSM is left out.")
    drop_t2w: float = Field(default=0.2, ge=0, le=1, description="How often T2w is left out.")
    use_magnitude: float = Field(
        default=0.2, ge=0, le=1, description="How often magnitude stands for SWI."
    )


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """The candidates of one case.

    `cubes` as of `cubes.cubes` with the contrasts of `CASE_CHANNELS`; `classes` what each is, 0 for
    nothing; `instances` which lesion; `kinds` what the first stage calls it; `known` how many
    lesions of each class the case has.
    """

    cubes: NDArray[np.float16]
    classes: NDArray[np.int64]
    instances: NDArray[np.int64]
    kinds: NDArray[np.int64]
    known: NDArray[np.int64]


def look(path: Path, out: Path, first_stage: Path) -> Looked:
    """The candidates of a case file, kept in `out` for the next time."""
    key = hashlib.sha256(_MAKING + first_stage.read_bytes() + path.read_bytes()).hexdigest()[:16]
    store = out / "candidates" / f"{path.name.split('.')[0]}-{key}.npz"
    if not store.exists():
        found = _look(load_case(path), _runner(first_stage))
        store.parent.mkdir(parents=True, exist_ok=True)
        partial = store.with_name(store.name + ".partial")
        with partial.open("wb") as file:
            np.savez(file, **{name: getattr(found, name) for name in Looked.__slots__})
        partial.replace(store)
        _log.info("%s: %d candidates", store.name, len(found.classes))
    with np.load(store) as kept:
        return Looked(**{name: kept[name] for name in Looked.__slots__})


def _runner(weights: Path) -> Runner:
    import torch

    from operators.lesion_segmenter.network import LesionNet

    network = LesionNet(contrasts=len(CHANNELS), classes=len(LesionClass) + 1)
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return make_runner(network)


def _look(case: Case, runner: Runner) -> Looked:
    contrasts = case.inputs.astype(np.float32)
    own = LesionSettings()
    maps = predict(contrasts[: len(CHANNELS)], runner, slices_per_batch=own.slices_per_batch)
    parts = components(maps, case.brain, case.spacing_mm, min_volume_mm3=own.min_volume_mm3,
                       voxel_probability=own.voxel_probability,
                       faint_probability=own.faint_probability)
    truth = np.where(case.brain, case.instances, 0)
    class_of = np.zeros(int(truth.max(initial=0)) + 1, np.int64)
    class_of[truth[truth > 0]] = case.classes[truth > 0]
    instances = np.array([_largest(truth[part.index]) for part in parts], np.int64)
    return Looked(
        cubes(contrasts, maps, case.brain, case.spacing_mm, parts), class_of[instances],
        instances, np.array([part.kind for part in parts], np.int64),
        np.bincount(class_of[1:], minlength=len(LesionClass) + 1),
    )


def _largest(numbers: NDArray) -> int:
    """The lesion that fills most of a candidate; 0 where none does."""
    counts = np.bincount(numbers[numbers > 0], minlength=1)
    return int(counts.argmax())


def vary(batch: NDArray, settings: Variation, generator: Generator) -> Tensor:
    """Cubes turned, mirrored, shifted and stretched, contrasts left out and changed.

    (batch, contrasts + 3, 24, 24, 24) of the contrasts of `CHANNELS`.
    """
    import torch

    from operators.lesion_segmenter.candidate_network import SEEN_MM

    cube = batch.astype(np.float32)
    for one in cube:
        drawn = generator.random(3)
        if drawn[0] < settings.use_magnitude and one[_MAGNITUDE].any():
            one[_SWI] = one[_MAGNITUDE]
        if drawn[1] < settings.drop_qsm:
            one[_QSM] = 0
        if drawn[2] < settings.drop_t2w:
            one[_T2W] = 0
        for channel, noise in ((_SWI, 0.06), (_QSM, 0.24), (_T2W, 0.06)):
            grain = generator.standard_normal(one[channel].shape, np.float32)
            grain *= np.float32(generator.uniform(0, noise))
            changed = one[channel] * np.float32(generator.uniform(0.8, 1.25)) + grain
            changed += np.float32(generator.normal(0, 0.05))
            one[channel] = np.where(one[channel] != 0, changed, 0)
    seen = torch.from_numpy(without_magnitude(cube))
    matrices = torch.from_numpy(np.stack([
        _placement(generator, SEEN_MM / SIDE_MM) for _ in cube]).astype(np.float32))
    size = [len(cube), seen.shape[1], SEEN_MM, SEEN_MM, SEEN_MM]
    grid = torch.nn.functional.affine_grid(matrices, size, align_corners=False)
    out: Tensor = torch.nn.functional.grid_sample(seen, grid, align_corners=False)
    return out


def _placement(generator: Generator, share: float) -> NDArray[np.float64]:
    """Where a view lies in its cube (3, 4), in halves of the cube: column, row, slice."""
    angle = generator.uniform(0, 2 * np.pi)
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0],
                     [0, 0, 1]])
    stretch = generator.uniform(1 - _STRETCH, 1 + _STRETCH, 3) * generator.choice([-1, 1], 3)
    shift = generator.uniform(-_SHIFT_MM, _SHIFT_MM, 3) / (SIDE_MM / 2)
    return np.column_stack([share * turn * stretch, shift])


def without_magnitude(cubes_of_case: NDArray) -> NDArray:
    """Cubes with the contrasts of `CHANNELS` alone."""
    return np.delete(cubes_of_case, _MAGNITUDE, axis=1)
