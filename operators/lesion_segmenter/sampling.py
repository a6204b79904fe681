"""Patches for training: where they are cut, and how they are varied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from operators.labels import LesionClass
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case
from operators.lesion_segmenter.normalise import CHANNELS
from operators.types import Role

Array = NDArray[np.float32]
SHARES: dict[LesionClass | None, float] = {
    LesionClass.MICROBLEED: 0.30, LesionClass.IRON_DEPOSIT: 0.13,
    LesionClass.CALCIFICATION: 0.12, LesionClass.VESSEL: 0.10, None: 0.35,
}
"""Shares of patches centred near a lesion of each class, or anywhere in the brain, every slice
alike (None). Uniform sampling lost the iron class in trials on simulated subjects; too few slices
without a lesion fill the brain's rim with false ones. The shares are our choice."""
EVEN_VOXELS, MOST_EMPHASIS = 30, 6.0
"""A lesion of fewer voxels counts as much as one of 30, each voxel at most six times (our choice):
the smallest lesions are the ones that are missed."""
_MAGNITUDE = CASE_CHANNELS.index(Role.MAGNITUDE)
_SWI, _QSM, _T2W = (CHANNELS.index(role) for role in (Role.SWI, Role.QSM, Role.T2W))


class PatchSampler:
    """Draws 2.5D patches from cases: a class, then a case that has it, then a lesion in it."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = list(cases)
        self._centres: dict[LesionClass | None, list[tuple[int, NDArray[np.intp]]]] = {}
        for kind in SHARES:
            for number, case in enumerate(self.cases):
                for voxels in _targets(case, kind):
                    self._centres.setdefault(kind, []).append((number, voxels))
        self._emphasis = [_emphasis(case) for case in self.cases]

    def batch(
        self, count: int, size: int, generator: Generator, *,
        drop_qsm: float, drop_t2w: float, use_magnitude: float,
    ) -> tuple[Array, NDArray[np.int64], Array]:
        """`count` patches (count, contrasts * 3, size, size), their classes and emphasis.

        Classes and emphasis are (count, size, size), see `losses`. The probabilities say how often
        QSM or T2w is left out and the magnitude stands for SWI.
        """
        kinds = [kind for kind in SHARES if kind in self._centres]
        shares = np.array([SHARES[kind] for kind in kinds])
        chosen = generator.choice(len(kinds), size=count, p=shares / shares.sum())
        images, labels, emphases = [], [], []
        for kind in chosen:
            choices = self._centres[kinds[kind]]
            number, voxels = choices[generator.integers(len(choices))]
            centre = voxels[generator.integers(len(voxels))]
            image, label, emphasis = _cut(
                self.cases[number], self._emphasis[number], centre, size, generator)
            image = _choose_contrasts(image, self.cases[number], generator,
                                      drop_qsm, drop_t2w, use_magnitude)
            image, label, emphasis = _vary(image, label, emphasis, generator)
            images.append(image.reshape(-1, size, size))
            labels.append(label)
            emphases.append(emphasis)
        return (np.stack(images).astype(np.float32), np.stack(labels).astype(np.int64),
                np.stack(emphases).astype(np.float32))


def _emphasis(case: Case) -> NDArray[np.float16]:
    """Weight of every voxel: 1, more in small lesions."""
    counts = np.bincount(case.instances.ravel())
    weight = np.clip(EVEN_VOXELS / np.maximum(counts, 1), 1, MOST_EMPHASIS)
    weight[0] = 1
    return weight.astype(np.float16)[case.instances]


def _targets(case: Case, kind: LesionClass | None) -> list[NDArray[np.intp]]:
    """Voxels to centre patches on: per lesion of a class, or per slice of the brain for None."""
    if kind is None:
        thinned = np.argwhere(case.brain[:, ::4, ::4]) * (1, 4, 4)
        return [thinned[thinned[:, 0] == number] for number in np.unique(thinned[:, 0])]
    numbers = np.unique(case.instances[case.classes == kind])
    return [np.argwhere(case.instances == number) for number in numbers]


def _cut(
    case: Case, emphasis: NDArray[np.float16], centre: NDArray[np.intp], size: int,
    generator: Generator,
) -> tuple[Array, NDArray[np.uint8], Array]:
    """Contrasts (channel, 3, size, size), classes and emphasis about a jittered centre.

    The patch stays on the case's grid, or, where it is larger, holds all of it.
    """
    jitter = generator.integers(-size // 3, size // 3 + 1, size=2)
    room = np.asarray(case.brain.shape[1:]) - size
    corner = np.clip(centre[1:] + jitter - size // 2, np.minimum(room, 0), np.maximum(room, 0))
    slices = np.clip(centre[0] + np.array((-1, 0, 1)), 0, case.brain.shape[0] - 1)
    image = np.zeros((len(CASE_CHANNELS), 3, size, size), np.float32)
    label, weight = np.zeros((size, size), np.uint8), np.ones((size, size), np.float32)
    low = np.maximum(corner, 0)
    high = np.minimum(corner + size, case.brain.shape[1:])
    if (low < high).all():
        source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        target = tuple(slice(a, b) for a, b in zip(low - corner, high - corner, strict=True))
        image[(slice(None), slice(None), *target)] = case.inputs[(slice(None), slices, *source)]
        label[target] = case.classes[int(centre[0])][source]
        weight[target] = emphasis[int(centre[0])][source]
    return image, label, weight


def _choose_contrasts(
    image: Array, case: Case, generator: Generator,
    drop_qsm: float, drop_t2w: float, use_magnitude: float,
) -> Array:
    drawn = generator.random(3)
    if drawn[0] < use_magnitude and case.present[_MAGNITUDE]:
        image[_SWI] = image[_MAGNITUDE]
    if drawn[1] < drop_qsm:
        image[_QSM] = 0
    if drawn[2] < drop_t2w:
        image[_T2W] = 0
    return image[: len(CHANNELS)]


def _vary(
    image: Array, label: NDArray[np.uint8], weight: Array, generator: Generator
) -> tuple[Array, NDArray[np.uint8], Array]:
    """Flip, transpose, turn the slice order, and change contrast, offset and noise."""
    if generator.random() < 0.5:
        image, label, weight = image[..., ::-1], label[..., ::-1], weight[..., ::-1]
    if generator.random() < 0.5:
        image, label, weight = image[..., ::-1, :], label[..., ::-1, :], weight[..., ::-1, :]
    if generator.random() < 0.3:
        image, label = image.swapaxes(-1, -2), label.swapaxes(-1, -2)
        weight = weight.swapaxes(-1, -2)
    if generator.random() < 0.5:
        image = image[:, ::-1]
    known = image != 0
    gain = generator.uniform(0.8, 1.25, size=(len(image), 1, 1, 1)).astype(np.float32)
    offset = generator.normal(0, 0.05, size=(len(image), 1, 1, 1)).astype(np.float32)
    noise = generator.standard_normal(image.shape, dtype=np.float32)
    level = generator.uniform(0, 0.06, size=(len(image), 1, 1, 1)).astype(np.float32)
    level[_QSM] *= 4
    return np.where(known, image * gain + offset + noise * level, 0), label, weight
