"""How labelled tissues look to a scanner: a brightness for each, and what the scan does to it.

Ranges are our own choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from apps.phantom.tissue import Tissue
from operators.region_segmenter import frames

if TYPE_CHECKING:
    import torch

Kind = Literal["t1w", "t2w", "any"]
"""Like T1w; like T2w and gradient echo, where iron is dark; any tissue of any brightness."""
KINDS: tuple[Kind, ...] = ("t1w", "t2w", "any")
WHITE = (Tissue.WHITE, Tissue.CALLOSUM, Tissue.CAPSULE)


class Draws(BaseModel):
    """What images are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: dict[Kind, float] = Field(
        default={"t1w": 0.6, "any": 0.4}, description="How often each kind is drawn; sums to 1.")
    noise: float = Field(
        default=0.05, ge=0, description="Largest standard deviation, of the largest brightness.")
    grain: float = Field(
        default=0.0, ge=0, description="Largest blur of the noise, voxels: noise of coarse images.")

    @field_validator("shares")
    @classmethod
    def _are_shares(cls, shares: dict[Kind, float]) -> dict[Kind, float]:
        if min(shares.values(), default=-1) < 0 or not math.isclose(sum(shares.values()), 1):
            raise ValueError(f"found shares {shares}; wanted some of 0 and more that sum to 1")
        return shares


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    mean: torch.Tensor
    spread: torch.Tensor


def draw_contrast(
    tissue: torch.Tensor, brain: torch.Tensor, draws: Draws, generator: np.random.Generator
) -> Contrast:
    """Brightness of every code, whose tissue and place are given; in a quarter of the cases only
    the brain is there."""
    import torch

    kinds = [kind for kind in KINDS if kind in draws.shares]
    shares = [draws.shares[kind] for kind in kinds]
    drawn = generator.choice(len(kinds), p=shares) if len(kinds) > 1 else 0
    means = _MEANS[kinds[drawn]](generator)
    spreads = generator.uniform(0.01, 0.08, len(Tissue))
    spreads[[Tissue.SOFT, Tissue.MUCOSA, Tissue.MARROW]] = generator.uniform(0.05, 0.3, 3)
    means[Tissue.AIR], spreads[Tissue.AIR] = 0.0, 0.0
    table = torch.from_numpy(np.stack([means, spreads]).astype(np.float32))[:, tissue]
    if generator.random() < 0.25:
        table[:, ~brain] = 0
    return Contrast(table[0], table[1])


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


def _t2w_means(generator: np.random.Generator) -> NDArray[np.float64]:
    """Grey matter brighter than white, fluid often brightest; nuclei that hold iron dark."""
    means = generator.uniform(0.05, 1.1, len(Tissue))
    white = generator.uniform(0.25, 0.7)
    grey = white * generator.uniform(1.05, 1.9)

    def put(low: float, high: float, *tissues: Tissue) -> None:
        for tissue in tissues:
            means[tissue] = white + generator.uniform(low, high) * (grey - white)

    means[[Tissue.CSF, Tissue.CHOROID]] = grey * generator.uniform(0.8, 2.2) + generator.uniform(
        0, (0.05, 0.25))
    put(-0.05, 0.05, Tissue.WHITE)
    put(-0.2, 0.2, *WHITE[1:], Tissue.CEREBELLAR_WHITE, Tissue.BRAIN_STEM)
    put(0.95, 1.05, Tissue.GREY)
    put(0.8, 1.2, Tissue.CEREBELLAR_GREY)
    put(-0.3, 1.0, Tissue.CAUDATE, Tissue.PUTAMEN)
    put(0.0, 0.8, Tissue.THALAMUS, Tissue.VENTRAL_DIENCEPHALON)
    put(0.5, 2.0, Tissue.WHITE_LESION)
    for tissue in (Tissue.PALLIDUM, Tissue.RED_NUCLEUS, Tissue.SUBSTANTIA_NIGRA, Tissue.DENTATE):
        means[tissue] = white * generator.uniform(0.35, 1.05)
    means[Tissue.BONE] = generator.uniform(0.02, 0.3)
    return means


_MEANS: dict[Kind, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "t1w": _t1w_means, "t2w": _t2w_means, "any": _any_means,
}


def painted(
    codes: torch.Tensor, contrast: Contrast, generator: np.random.Generator
) -> torch.Tensor:
    import torch

    index = codes.long()
    noise = torch.from_numpy(generator.standard_normal(tuple(codes.shape), np.float32))
    return contrast.mean[index] + contrast.spread[index] * noise


def scanned(
    image: torch.Tensor, spacing_mm: float, draws: Draws, generator: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The image as a scanner would give it, scaled; and where its field of view reaches."""
    import torch

    from operators.region_segmenter.network import scaled

    shape: frames.Shape = tuple(image.shape)  # type: ignore[assignment]
    fine = generator.uniform(0.2, 0.7) if spacing_mm < 2 else generator.uniform(0, 0.35)
    image = _blurred(image, [fine] * 3)
    image = _thick(image, spacing_mm, generator)
    bias = smooth_noise(generator, shape, spacing_mm, generator.uniform(50, 100))[0]
    image = image.clamp(min=0) * torch.exp(bias * generator.uniform(0, 0.3))
    image = image / image.max().clamp(min=1e-6)
    image = image ** float(np.exp(generator.normal(0, 0.2)))
    level = generator.uniform(0, draws.noise)
    grain = generator.uniform(0, draws.grain) if draws.grain else 0.0
    one, two = (_noise(generator, shape, grain) * level for _ in range(2))
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


def _noise(generator: np.random.Generator, shape: frames.Shape, grain: float) -> torch.Tensor:
    """Of standard deviation 1."""
    import torch

    noise = torch.from_numpy(generator.standard_normal(shape, np.float32))
    if grain:
        noise = _blurred(noise, [grain] * 3)
        noise = noise / noise.std()
    return noise


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


def smooth_noise(
    generator: np.random.Generator, shape: frames.Shape, spacing_mm: float, knot_mm: float,
    channels: int = 1,
) -> torch.Tensor:
    import torch

    knots = [max(2, round(n * spacing_mm / knot_mm) + 1) for n in shape]
    noise = torch.from_numpy(generator.standard_normal((1, channels, *knots), np.float32))
    return torch.nn.functional.interpolate(
        noise, size=shape, mode="trilinear", align_corners=True)[0]
