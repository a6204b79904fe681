"""Images of any contrast from label maps of heads, to learn regions from.

After SynthSeg (Billot et al., Med Image Anal 2023;86:102789): deform the labels, draw a brightness
for every tissue, blur, bias, thick slices, noise. Ranges are our own choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.phantom.anatomy import Anatomy
from apps.phantom.grids import rotation
from apps.phantom.tissue import Tissue
from apps.train.appearance import WHITE, Draws, draw_contrast, painted, scanned, smooth_noise
from operators.region_segmenter import frames
from operators.region_segmenter.classes import head_classes, nucleus_classes

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]
CORTEX = (Tissue.GREY,)
FLUID = (Tissue.CSF, Tissue.CHOROID)
HEAD_SHAPE: frames.Shape = (64, 80, 64)
"""Of the head network's training images: 192 x 240 x 192 mm."""
_SAMPLES = 4
"""Points per voxel of the coarse grid, so that tissues mix in it."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledHead:
    """A head as one code per voxel, and what each code is: tissue, classes, brain or not.

    `to_atlas` (4, 4) turns and shifts the head onto the atlas, LPS mm.
    """

    name: str
    codes: torch.Tensor
    affine: Matrix
    tissue: torch.Tensor
    head: torch.Tensor
    nucleus: torch.Tensor
    brain: torch.Tensor
    to_atlas: Matrix


def labelled(anatomy: Anatomy) -> LabelledHead:
    """The head with the classes that the networks learn."""
    import torch

    tissue, regions, brain = anatomy.tissue, anatomy.regions, anatomy.brain
    cortex = np.isin(tissue, CORTEX)
    head = head_classes(regions, brain, cortex)
    cerebral = cortex & (regions >= 9)
    nucleus = nucleus_classes(regions, cerebral, np.isin(tissue, WHITE),
                              (np.isin(tissue, FLUID) & brain) | (regions == 29))
    packed = ((tissue.astype(np.int64) * 32 + head) * 16 + nucleus) * 2 + brain
    kinds, codes = np.unique(packed, return_inverse=True)
    codes = codes.reshape(tissue.shape).astype(np.int16)
    placed = frames.centres(head, anatomy.grid.affine)
    parts = [torch.from_numpy(part.astype(np.int64)) for part in
             (kinds // 1024, kinds // 32 % 32, kinds // 2 % 16, kinds % 2)]
    return LabelledHead(anatomy.name, torch.from_numpy(codes), anatomy.grid.affine, parts[0],
                        parts[1], parts[2], parts[3].bool(), frames.pose(placed)[0])


def read_heads(paths: Sequence[Path], work: Path) -> list[LabelledHead]:
    """Heads of label maps, kept in `work` once they are read."""
    import torch

    from apps.phantom.anatomy import label_map_anatomy

    heads = []
    for path in paths:
        kept = work / f"{path.name.split('.')[0]}.head.pt"
        if not kept.exists():
            head = labelled(label_map_anatomy(path))
            partial = kept.with_suffix(".partial")
            torch.save({name: getattr(head, name) for name in LabelledHead.__slots__}, partial)
            partial.replace(kept)
        heads.append(LabelledHead(**torch.load(kept, weights_only=False)))
    return heads


def head_example(
    head: LabelledHead, generator: np.random.Generator, draws: Draws
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (1, z, y, x) and head classes (z, y, x) of a head somewhere in a coarse box."""
    import torch

    turn = rotation(generator.normal(0, 1, 3) * (12, 8, 8))
    middle = head.affine[:3, :3] @ ((np.array(head.codes.shape) - 1) / 2) + head.affine[:3, 3]
    centre = np.array([0, 0, 0.5 * middle[2]]) + generator.uniform(-1, 1, 3) * (10, 15, 20)
    shape = HEAD_SHAPE
    target = frames.grid_affine(frames.HEAD_MM, shape, (0, 0, 0))
    motion = np.eye(4)
    motion[:3, :3] = _stretch(generator, 0.12) @ turn
    motion[:3, 3] = centre
    shift = _elastic(generator, shape, frames.HEAD_MM, ((30.0, 3.0), (15.0, 1.0)))
    contrast = draw_contrast(head.tissue, head.brain, draws, generator)
    middle_codes, images = None, []
    for sample in range(_SAMPLES):
        jitter = np.zeros(3) if sample == 0 else generator.uniform(-0.5, 0.5, 3)
        codes = _codes(head, target, motion, shift, jitter)
        middle_codes = codes if sample == 0 else middle_codes
        images.append(painted(codes, contrast, generator))
    assert middle_codes is not None
    image, seen = scanned(torch.stack(images).mean(0), frames.HEAD_MM, draws, generator)
    return image[None], head.head[middle_codes.long()] * seen


def nuclei_example(
    head: LabelledHead, generator: np.random.Generator, draws: Draws, *,
    right: bool | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (1, z, y, x) and nucleus classes (z, y, x) of one side, placed as well as a first
    look would place it."""
    right = bool(generator.integers(2)) if right is None else right
    error = np.eye(4)
    error[:3, :3] = _stretch(generator, 0.12) @ rotation(generator.normal(0, 5, 3))
    error[:3, 3] = generator.normal(0, 2.5, 3)
    motion = np.linalg.inv(head.to_atlas) @ error
    shape, target = frames.NUCLEI_SHAPE, frames.nuclei_affine(right=right)
    shift = _elastic(generator, shape, frames.NUCLEI_MM, ((24.0, 2.0), (12.0, 1.0), (6.0, 0.3)))
    codes = _codes(head, target, motion, shift, np.zeros(3))
    contrast = draw_contrast(head.tissue, head.brain, draws, generator)
    image = painted(codes, contrast, generator)
    image, _ = scanned(image, frames.NUCLEI_MM, draws, generator)
    return image[None], head.nucleus[codes.long()]


def _stretch(generator: np.random.Generator, amount: float) -> Matrix:
    scale = np.diag(1 + generator.uniform(-amount, amount, 3))
    return np.asarray(scale + np.triu(generator.uniform(-0.05, 0.05, (3, 3)), 1))


def _elastic(
    generator: np.random.Generator, shape: frames.Shape, spacing_mm: float,
    scales: Sequence[tuple[float, float]],
) -> torch.Tensor:
    """Displacement (3 = x y z, z, y, x), mm: sums of smooth noise, (knots' distance, spread)."""
    import torch

    parts = [smooth_noise(generator, shape, spacing_mm, knot_mm, channels=3)
             * (spread * generator.uniform(0.3, 1.3)) for knot_mm, spread in scales]
    return torch.stack(parts).sum(0)


def _codes(
    head: LabelledHead, target: Matrix, motion: Matrix, shift: torch.Tensor,
    jitter: NDArray[np.float64],
) -> torch.Tensor:
    """Code at every voxel of a grid: `motion` and `shift` lead from it into the head, LPS mm."""
    import torch

    to_index = np.linalg.inv(head.affine)
    whole = (to_index @ motion @ target).astype(np.float32)
    shape = shift.shape[1:]
    axes = [torch.arange(n, dtype=torch.float32) + float(j)
            for n, j in zip(shape, jitter, strict=True)]
    flat, outside = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.bool)
    for row, size in enumerate(head.codes.shape):
        a, b, c, d = (float(v) for v in whole[row])
        at = (a * axes[0])[:, None, None] + (b * axes[1])[:, None] + c * axes[2] + d
        for axis in range(3):
            weight = float(to_index[row, axis])
            if weight:
                at = at + weight * shift[axis]
        index = at.round().long()
        outside |= (index < 0) | (index >= size)
        flat = flat * size + index.clamp(0, size - 1)
    codes = head.codes.reshape(-1)[flat]
    codes[outside] = int(head.codes[0, 0, 0])
    return codes
