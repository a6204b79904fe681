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
from operators.region_segmenter import frames
from operators.region_segmenter.classes import head_classes, nucleus_classes

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]
WHITE = (Tissue.WHITE, Tissue.CALLOSUM, Tissue.CAPSULE)
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
    head: LabelledHead, generator: np.random.Generator, *, t1w: bool | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Image (1, z, y, x) and head classes (z, y, x) of a head somewhere in a coarse box.

    `t1w`: whether the contrast is T1w's; None: in more than half of the cases.
    """
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
    contrast = _contrast(head, generator, t1w)
    middle_codes, images = None, []
    for sample in range(_SAMPLES):
        jitter = np.zeros(3) if sample == 0 else generator.uniform(-0.5, 0.5, 3)
        codes = _codes(head, target, motion, shift, jitter)
        middle_codes = codes if sample == 0 else middle_codes
        images.append(_painted(codes, contrast, generator))
    assert middle_codes is not None
    image, seen = _scanned(torch.stack(images).mean(0), frames.HEAD_MM, generator)
    return image[None], head.head[middle_codes.long()] * seen


def nuclei_example(
    head: LabelledHead, generator: np.random.Generator, *, t1w: bool | None = None,
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
    image = _painted(codes, _contrast(head, generator, t1w), generator)
    image, _ = _scanned(image, frames.NUCLEI_MM, generator)
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

    parts = [_smooth(generator, shape, spacing_mm, knot_mm, channels=3)
             * (spread * generator.uniform(0.3, 1.3)) for knot_mm, spread in scales]
    return torch.stack(parts).sum(0)


def _smooth(
    generator: np.random.Generator, shape: frames.Shape, spacing_mm: float, knot_mm: float,
    channels: int = 1,
) -> torch.Tensor:
    import torch

    knots = [max(2, round(n * spacing_mm / knot_mm) + 1) for n in shape]
    noise = torch.from_numpy(generator.standard_normal((1, channels, *knots), np.float32))
    return torch.nn.functional.interpolate(
        noise, size=shape, mode="trilinear", align_corners=True)[0]


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


@dataclass(frozen=True, slots=True, eq=False)
class _Contrast:
    mean: torch.Tensor
    spread: torch.Tensor


def _contrast(head: LabelledHead, generator: np.random.Generator, t1w: bool | None) -> _Contrast:
    """Brightness of every code; in a quarter of the cases only the brain is there."""
    import torch

    t1w = bool(generator.random() < 0.6) if t1w is None else t1w
    means = _t1w_means(generator) if t1w else _any_means(generator)
    spreads = generator.uniform(0.01, 0.08, len(Tissue))
    spreads[[Tissue.SOFT, Tissue.MUCOSA, Tissue.MARROW]] = generator.uniform(0.05, 0.3, 3)
    means[Tissue.AIR], spreads[Tissue.AIR] = 0.0, 0.0
    table = torch.from_numpy(np.stack([means, spreads]).astype(np.float32))[:, head.tissue]
    if generator.random() < 0.25:
        table[:, ~head.brain] = 0
    return _Contrast(table[0], table[1])


def _any_means(generator: np.random.Generator) -> NDArray[np.float64]:
    means = generator.uniform(0.05, 1.0, len(Tissue))
    white, grey, fluid = generator.uniform(0.05, 1.0, 3)
    for group, value in (
        ((*WHITE, Tissue.CEREBELLAR_WHITE, Tissue.BRAIN_STEM, Tissue.VENTRAL_DIENCEPHALON), white),
        ((Tissue.GREY, Tissue.CEREBELLAR_GREY, Tissue.CAUDATE, Tissue.PUTAMEN), grey),
        ((Tissue.CSF, Tissue.CHOROID), fluid),
    ):
        means[list(group)] = value + generator.normal(0, 0.05, len(group))
    share = generator.uniform(-0.2, 1.1)
    means[Tissue.THALAMUS] = grey + share * (white - grey)
    return np.clip(means, 0.02, 1.2)


def _t1w_means(generator: np.random.Generator) -> NDArray[np.float64]:
    """White matter bright, grey less, fluid dark; deep nuclei between cortex and white matter."""
    means = generator.uniform(0.05, 1.1, len(Tissue))
    white, grey = 1.0, generator.uniform(0.5, 0.82)

    def put(low: float, high: float, *tissues: Tissue) -> None:
        for tissue in tissues:
            means[tissue] = grey + generator.uniform(low, high) * (white - grey)

    means[[Tissue.CSF, Tissue.CHOROID]] = generator.uniform(0.08, 0.45) + generator.uniform(
        0, (0.05, 0.25))
    put(0.97, 1.03, Tissue.WHITE)
    put(0.9, 1.1, Tissue.CALLOSUM, Tissue.CAPSULE, Tissue.CEREBELLAR_WHITE)
    put(-0.05, 0.05, Tissue.GREY)
    put(-0.15, 0.2, Tissue.CEREBELLAR_GREY)
    put(-0.1, 0.35, Tissue.CAUDATE)
    put(0.0, 0.5, Tissue.PUTAMEN)
    put(0.35, 1.05, Tissue.PALLIDUM)
    put(0.2, 0.75, Tissue.THALAMUS)
    put(0.4, 1.0, Tissue.VENTRAL_DIENCEPHALON, Tissue.BRAIN_STEM)
    put(0.3, 1.0, Tissue.RED_NUCLEUS, Tissue.SUBSTANTIA_NIGRA, Tissue.DENTATE, Tissue.WHITE_LESION)
    means[Tissue.BONE] = generator.uniform(0.02, 0.3)
    return means


def _painted(
    codes: torch.Tensor, contrast: _Contrast, generator: np.random.Generator
) -> torch.Tensor:
    import torch

    index = codes.long()
    noise = torch.from_numpy(generator.standard_normal(tuple(codes.shape), np.float32))
    return contrast.mean[index] + contrast.spread[index] * noise


def _scanned(
    image: torch.Tensor, spacing_mm: float, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The image as a scanner would give it, scaled; and where its field of view reaches."""
    import torch

    from operators.region_segmenter.network import scaled

    shape: frames.Shape = tuple(image.shape)  # type: ignore[assignment]
    fine = generator.uniform(0.2, 0.7) if spacing_mm < 2 else generator.uniform(0, 0.35)
    image = _blurred(image, [fine] * 3)
    image = _thick(image, spacing_mm, generator)
    bias = _smooth(generator, shape, spacing_mm, generator.uniform(50, 100))[0]
    image = image.clamp(min=0) * torch.exp(bias * generator.uniform(0, 0.3))
    image = image / image.max().clamp(min=1e-6)
    image = image ** float(np.exp(generator.normal(0, 0.2)))
    level = generator.uniform(0, 0.05)
    one, two = (torch.from_numpy(generator.standard_normal(shape, np.float32)) * level
                for _ in range(2))
    image = torch.hypot(image + one, two) if generator.random() < 0.7 else (image + one).clamp(0)
    seen = torch.ones(shape, dtype=torch.long)
    if generator.random() < 0.3:
        axis = int(generator.choice(3, p=(0.7, 0.15, 0.15)))
        cut = round(shape[axis] * generator.uniform(0.05, 0.3))
        place = [slice(None)] * 3
        place[axis] = slice(0, cut) if generator.random() < 0.5 else slice(shape[axis] - cut, None)
        seen[tuple(place)] = 0
    if generator.random() < 0.2:
        image = image * (image > 2 * level)
    return scaled(image * seen), seen


def _blurred(image: torch.Tensor, sigmas: Sequence[float]) -> torch.Tensor:
    import torch
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(image.numpy(), sigmas, truncate=3.0))


def _thick(
    image: torch.Tensor, spacing_mm: float, generator: np.random.Generator
) -> torch.Tensor:
    """In half of the cases slices of up to 6 mm along one axis."""
    import torch

    wanted = generator.uniform(1.0, 6.0)
    if generator.random() < 0.5 or wanted <= spacing_mm:
        return image
    axis = int(generator.choice(3, p=(0.7, 0.15, 0.15)))
    size = list(image.shape)
    size[axis] = max(4, round(size[axis] * spacing_mm / wanted))
    sigmas = [0.0] * 3
    sigmas[axis] = 0.35 * wanted / spacing_mm
    few = torch.nn.functional.interpolate(
        _blurred(image, sigmas)[None, None], size=size, mode="trilinear", align_corners=False)
    return torch.nn.functional.interpolate(
        few, size=tuple(image.shape), mode="trilinear", align_corners=False)[0, 0]
