"""The recipe of the default LNC network: simulate complexes, learn FA and CBF from T1w.

    python -m apps.train.lnc --label-maps DIR --workdir DIR [--out models/lnc_scorer]

Resumes where it was broken off. What it learns holds in the simulator alone: its features are a
start for a user's own cohort, and give no clinical score.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from apps.evaluate.progress import shown
from apps.phantom.complexes import Complex, simulate_complex
from apps.train.cohort import part_heads, read_anatomy
from apps.train.subjects import onto
from operators.labels import structure
from operators.lnc_scorer.bundle import METADATA, WEIGHTS, Metadata
from operators.lnc_scorer.crops import REGIONS, SIDES, crop, normalised
from operators.types import Role

SEED = 90_000
COUNTS = {"train": 384, "validation": 16}
_log = logging.getLogger("apps.train")
_CARD = """\
# Lentiform LNC scorer

Deep features of the caudate nucleus, putamen and pallidum on T1w. **Trained on simulation. Not
validated on patients. It gives no score and no estimate of its own: `lentiform lnc train` adds
heads from a cohort (docs/lnc.md). Research software, not a medical device.**

## Model overview

MONAI's 3D ResNet18 with half its widths (8.3 million weights, stored in 16 bits) sees a cube of 40
mm about a region, T1w in standard deviations and the region's mask, right ones mirrored. Mean and
maximum of its last maps are 512 features. The idea of ResNet18 features of three regions is that of
Song et al. 2025; which layers and regions theirs were is not published.

## Data

{train} simulated complexes to learn from, {validation} to choose the epoch by, on heads of their
own (`apps/phantom/complexes.py`): one number per subject, how diseased its small vessels are, shows
in perivascular spaces and R1 of the nuclei, and lowers their FA and CBF. The network learned each
region's mean FA and CBF from its cube.

## Performance

On the validation subjects, which chose the epoch ({epoch}): R² of FA {fa:.2f}, of CBF {cbf:.2f}.
Simulated: it says nothing of patients. What features are worth in a cohort is what `lentiform lnc
evaluate` tells.

## Recipe

    python -m apps.train.lnc --label-maps DIR --workdir DIR

Seed {seed}; Lentiform {software}; SHA-256 of `models/model.pt`: `{digest}`.

```json
{settings}
```

Anatomy: label maps of real heads in FreeSurfer numbers, published with SynthSeg (Apache-2.0).
Licence: Apache-2.0, as the project.
"""


class LncTraining(BaseModel):
    """How the network is trained. All values are our choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = SEED
    epochs: int = Field(default=10, ge=1)
    batch: int = Field(default=16, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0, description="AdamW's peak; one cycle.")
    weight_decay: float = Field(default=1e-2, ge=0)
    shift_mm: int = Field(default=2, ge=0, description="Crops are moved by at most so much.")


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops (crop, 2, z, y, x) float16, number of the region of each, FA and CBF (crop, 2)."""

    images: NDArray[np.float16]
    regions: NDArray[np.intp]
    targets: NDArray[np.float32]


def make_crops(made: Complex) -> Crops:
    """All regions of a subject, both sides."""
    t1w, labels = made.images[Role.T1W], np.asarray(made.regions.array)
    scaled = normalised(t1w, made.regions)
    maps = [onto(made.images[role], t1w) for role in (Role.FA, Role.CBF)]
    images, numbers, targets = [], [], []
    for number, name in enumerate(REGIONS):
        for side in SIDES:
            region = structure(name, side)
            cube = crop(scaled, made.regions, region)
            if cube is not None:
                images.append(cube.astype(np.float16))
                numbers.append(number)
                targets.append([float(np.nanmean(one[labels == region.number])) for one in maps])
    return Crops(np.stack(images), np.array(numbers), np.array(targets, np.float32))


def make_cohort(label_maps: Path, workdir: Path, split: str, count: int) -> Crops:
    """Crops of `count` subjects on the heads of a split, kept in `workdir`."""
    heads = part_heads(sorted(label_maps.rglob("*.nii*")))[split]  # type: ignore[index]
    workdir.mkdir(parents=True, exist_ok=True)
    paths = [workdir / f"{split}-{number}.npz" for number in range(count)]
    waiting = [number for number, path in enumerate(paths) if not path.exists()]
    def each() -> Any:
        for head in range(len(heads)):
            own = [number for number in waiting if number % len(heads) == head]
            anatomy = read_anatomy(heads[head]) if own else None
            for number in own:
                assert anatomy is not None
                seed = SEED + (0 if split == "train" else 50_000) + number
                disease = float(np.random.default_rng([seed, 1]).standard_normal())
                made = simulate_complex(seed, anatomy=anatomy, shown=disease, measured=disease)
                one = make_crops(made)
                partial = paths[number].with_suffix(".partial")
                with partial.open("wb") as file:
                    np.savez(file, images=one.images, regions=one.regions, targets=one.targets)
                partial.replace(paths[number])
                yield number
    list(shown(each(), len(waiting), f"{split} subject"))
    return _together([np.load(path) for path in paths])


def _together(stored: Sequence[Any]) -> Crops:
    return Crops(*(np.concatenate([one[name] for one in stored])
                   for name in ("images", "regions", "targets")))


def scale(crops: Crops) -> NDArray[np.float32]:
    """Mean and spread of FA and CBF per region (region, 2, 2): what the heads' 0 and 1 mean."""
    each = (crops.targets[crops.regions == number] for number in range(len(REGIONS)))
    return np.asarray([[own.mean(axis=0), own.std(axis=0)] for own in each], np.float32)


def train(learn: Crops, held: Crops, out: Path, settings: LncTraining) -> dict[str, Any]:
    """Train, keep the weights with the least validation error in `out`/model.pt; its figures."""
    import torch

    from operators.lnc_scorer.network import LncNet

    torch.manual_seed(settings.seed)
    network, scales = LncNet(len(REGIONS)), scale(learn)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate,
                                  weight_decay=settings.weight_decay)
    steps = math.ceil(len(learn.regions) / settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * steps, pct_start=0.15)
    best: dict[str, Any] = {"error": math.inf}
    for epoch in range(settings.epochs):
        generator = np.random.default_rng([settings.seed, epoch])
        order = generator.permutation(len(learn.regions))
        network.train()
        for first in range(0, len(order), settings.batch):
            chosen = order[first:first + settings.batch]
            wanted = torch.from_numpy(_standardised(learn, chosen, scales))
            seen = torch.from_numpy(_varied(learn.images[chosen], settings, generator))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                given = network(seen)
            loss = torch.nn.functional.smooth_l1_loss(
                given.float()[torch.arange(len(chosen)), torch.from_numpy(learn.regions[chosen])],
                wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        error, r2 = judge(network, held, scales)
        _log.info("epoch %d: loss %.3f, validation error %.3f, R2 of FA %.3f, CBF %.3f",
                  epoch + 1, float(loss.detach()), error, *r2)
        if error < best["error"]:
            best = {"epoch": epoch + 1, "error": error, "r2": {"fa": r2[0], "cbf": r2[1]}}
            torch.save({name: weight.half() if weight.is_floating_point() else weight
                        for name, weight in network.state_dict().items()}, out / "model.pt")
    return best | {"scale": scales.tolist()}


def judge(network: Any, held: Crops, scales: NDArray[np.float32]) -> tuple[float, list[float]]:
    """Mean squared standardised error, and R2 of FA and CBF within regions."""
    import torch

    network.eval()
    with torch.inference_mode():
        given = np.concatenate([
            network(torch.from_numpy(held.images[first:first + 16].astype(np.float32))).numpy()
            for first in range(0, len(held.regions), 16)])
    every = np.arange(len(held.regions))
    wanted, found = _standardised(held, every, scales), given[every, held.regions]
    return (float(((found - wanted) ** 2).mean()),
            [float(1 - ((found - wanted)[:, q] ** 2).sum() / (wanted[:, q] ** 2).sum())
             for q in (0, 1)])


def _standardised(
    crops: Crops, chosen: NDArray, scales: NDArray[np.float32]
) -> NDArray[np.float32]:
    own = scales[crops.regions[chosen]]
    return np.asarray((crops.targets[chosen] - own[:, 0]) / own[:, 1], np.float32)


def _varied(
    images: NDArray[np.float16], settings: LncTraining, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Moved, brighter or darker, noisier."""
    out = images.astype(np.float32)
    for one in out:
        shift = generator.integers(-settings.shift_mm, settings.shift_mm + 1, 3)
        one[:] = np.roll(one, shift, axis=(1, 2, 3))
        one[0] = one[0] * generator.uniform(0.9, 1.1) + generator.normal(0, 0.1)
        one[0] += generator.standard_normal(one[0].shape, np.float32) * generator.uniform(0, 0.1)
    return out


def main(
    label_maps: Annotated[Path, typer.Option(help="Folder of FreeSurfer-numbered label maps.")],
    workdir: Annotated[Path, typer.Option(help="Folder for crops and weights (200 MB).")],
    out: Annotated[Path, typer.Option(help="The bundle.")] = Path("models/lnc_scorer"),
) -> None:
    """Make the default LNC network."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    learn, held = (make_cohort(label_maps, workdir, split, count)
                   for split, count in COUNTS.items())
    settings = LncTraining()
    figures = train(learn, held, workdir, settings)
    (workdir / "figures.json").write_text(json.dumps(figures, indent=1))
    write_bundle(out, (workdir / "model.pt").read_bytes(), figures, settings)


def write_bundle(
    out: Path, weights: bytes, figures: dict[str, Any], settings: LncTraining
) -> None:
    """The bundle without heads: weights, metadata, card."""
    about = Metadata(name="Lentiform LNC scorer", version=version("lentiform"),
                     training_data="simulated subjects only; not validated on patients")
    card = _CARD.format(
        train=COUNTS["train"], validation=COUNTS["validation"], seed=settings.seed,
        epoch=figures["epoch"], fa=figures["r2"]["fa"], cbf=figures["r2"]["cbf"],
        digest=hashlib.sha256(weights).hexdigest(), software=about.version,
        settings=settings.model_dump_json(indent=1))
    for path, content in ((WEIGHTS, weights), (METADATA, about.model_dump_json(indent=1).encode()),
                          (Path("docs") / "README.md", card.encode())):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content + b"\n" * (path != WEIGHTS))


if __name__ == "__main__":
    typer.run(main)
