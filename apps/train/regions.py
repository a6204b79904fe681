"""The recipe of the region segmenter: learn regions from label maps in random contrasts.

    python -m apps.train.regions --label-maps DIR --workdir DIR [--out models/region_segmenter]

Resumes where it was broken off. `--only head` and `--only nuclei` train one of the two networks, so
that two processes can share the work; the bundle is written once both are there. Images come from
`apps.train.synthesis`; validation heads choose the weights, test heads are left for
`python -m benchmarks.region_dice`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import typer
from pydantic import BaseModel, ConfigDict, Field

from apps.train.appearance import KINDS, Draws
from apps.train.cohort import part_heads
from apps.train.region_card import write_bundle
from apps.train.synthesis import LabelledHead, head_example, nuclei_example, read_heads
from operators.errors import told_and_left
from operators.lesion_segmenter.runs import (
    Learner,
    progress,
    read_checkpoint,
    running_mean,
    schedule,
    write_checkpoint,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

SEED = 70_000
Which = Literal["head", "nuclei"]
_log = logging.getLogger("apps.train")


class Cycle(Draws):
    """Steps over which the learning rate falls once, and what their images are drawn from."""

    steps: int = Field(ge=1, description="One image each.")


class RegionTraining(BaseModel):
    """How one of the networks is trained. All values are our choice.

    Cycles after Loshchilov and Hutter (ICLR 2017): each begins with the full learning rate again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = SEED
    cycles: tuple[Cycle, ...] = Field(min_length=1)
    learning_rate: float = Field(default=2e-3, gt=0, description="AdamW's peak.")
    weight_decay: float = Field(default=1e-4, ge=0)
    decay: float = Field(default=0.997, description="Of the running mean of the weights.")
    validate_every: int = Field(default=300, ge=1)

    @property
    def steps(self) -> int:
        return sum(cycle.steps for cycle in self.cycles)

    def at(self, step: int) -> tuple[Cycle, int]:
        """The cycle that a step lies in, and its place there."""
        for cycle in self.cycles:
            if step < cycle.steps:
                return cycle, step
            step -= cycle.steps
        raise IndexError(f"Step {self.steps + step} of {self.steps}.")


TRAINING: dict[Which, RegionTraining] = {
    "head": RegionTraining(cycles=(
        Cycle(steps=3600),
        Cycle(steps=4200, shares={"t1w": 0.45, "t2w": 0.3, "any": 0.25}))),
    "nuclei": RegionTraining(cycles=(
        Cycle(steps=5500),
        Cycle(steps=3600, shares={"t1w": 0.5, "t2w": 0.3, "any": 0.2}, noise=0.12, grain=1.0))),
}
_EXAMPLES: dict[Which, Callable[..., tuple[Tensor, Tensor]]] = {
    "head": head_example, "nuclei": nuclei_example,
}


class RegionLearner(Learner):
    """A region network that learns."""

    def __init__(self, network: nn.Module, settings: RegionTraining) -> None:
        import torch

        self.network = network
        self.mean = running_mean(network, settings.decay)
        self.optimizer = torch.optim.AdamW(
            network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        self._settings = settings

    def learn(self, image: Tensor, labels: Tensor, step: int) -> float:
        """One step on one image; its loss."""
        import torch

        cycle, place = self._settings.at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = self._settings.learning_rate * schedule(place, cycle.steps)
        self.network.train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            scores = self.network(image[None])[0]
        loss = region_loss(scores.flatten(1).float(), labels.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.mean.update_parameters(self.network)
        return float(loss.detach())


def region_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, a class weighing as the square root of its rarity, and 1 - mean Dice.

    Scores (class, voxel), labels (voxel,). Dice of the classes that are there, from probabilities.
    MONAI's DiceCELoss makes masks of all classes, which is slow on a CPU for as many as here.
    """
    import torch

    logs = scores.log_softmax(0)
    own = logs.gather(0, labels[None])[0]
    count = torch.bincount(labels, minlength=len(scores)).float()
    weight = (len(labels) / count.clamp(min=1)).sqrt().clamp(max=30)[labels]
    entropy = -(weight * own).sum() / weight.sum()
    both = torch.zeros(len(scores)).index_add(0, labels, own.exp())
    dice = 2 * both / (logs.exp().sum(1) + count)
    return entropy + 1 - dice[count > 0].mean()


def train_regions(
    which: Which, learn: Sequence[LabelledHead], held: Sequence[LabelledHead], out: Path,
    settings: RegionTraining,
) -> dict[str, Any]:
    """Train; `out`/<which>.pt gets the weights (float16) best on validation. Their figures."""
    import torch

    from operators.region_segmenter import network as networks

    torch.manual_seed(settings.seed)
    build = {"head": networks.head_network, "nuclei": networks.nuclei_network}[which]
    learner, example = RegionLearner(build(), settings), _EXAMPLES[which]
    checkpoint = out / f"{which}.checkpoint.pt"
    state = read_checkpoint(checkpoint, settings, learner.parts, "cpu") or {
        "step": 0, "best": dict.fromkeys(KINDS, -1.0)}
    best: dict[str, Any] = state["best"]
    for step in progress(state["step"], settings.steps):
        generator = np.random.default_rng([settings.seed, step])
        head = learn[int(generator.integers(len(learn)))]
        loss = learner.learn(*example(head, generator, settings.at(step)[0]), step)
        done = step + 1
        if done % settings.validate_every and done != settings.steps:
            continue
        figures = validate(learner.averaged, example, held)
        _log.info("%s, step %d of %d: loss %.3f, Dice of nuclei on T1w %.3f, like T2w %.3f, on any "
                  "contrast %.3f", which, done, settings.steps, loss, *(figures[k] for k in KINDS))
        if sum(figures[kind] - best[kind] for kind in KINDS) > 0:
            best = {"step": done} | figures
            torch.save({name: weight.half() for name, weight in
                        learner.averaged.state_dict().items()}, out / f"{which}.pt")
        write_checkpoint(checkpoint, settings, learner.parts, step=done, best=best)
    (out / f"{which}.json").write_text(json.dumps(best, indent=1))
    return best


def validate(
    network: nn.Module, example: Callable[..., tuple[Tensor, Tensor]],
    held: Sequence[LabelledHead],
) -> dict[str, Any]:
    """Mean Dice of nuclei on each kind of contrast, and of every class on T1w; fixed images."""
    out: dict[str, Any] = {}
    for kind in KINDS:
        each = []
        for number in range(2 * len(held)):
            generator = np.random.default_rng([SEED, 1, number])
            image, labels = example(
                held[number % len(held)], generator, Draws(shares={kind: 1.0}))
            each.append(class_dice(network, image, labels))
        means = np.nanmean(np.stack(each), axis=0)
        nuclei = means[1:5] if len(means) < 10 else means[1:9]
        out[kind] = float(nuclei.mean())
        if kind == "t1w":
            out["classes"] = [round(float(mean), 3) for mean in means]
    return out


def class_dice(network: nn.Module, image: Tensor, labels: Tensor) -> np.ndarray:
    """(class,) Dice of one image; NaN where a class is in neither."""
    import torch

    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        scores = network(image[None])[0]
    found = scores.argmax(0)
    count = scores.shape[0]
    both = torch.bincount(labels[found == labels], minlength=count)
    total = torch.bincount(labels.ravel(), minlength=count) + torch.bincount(
        found.ravel(), minlength=count)
    return (2 * both / total.where(total > 0, torch.nan)).numpy()


def main(
    label_maps: Annotated[Path, typer.Option(help="Folder of FreeSurfer-numbered label maps.")],
    workdir: Annotated[Path, typer.Option(help="Folder for heads and checkpoints (1 GB).")],
    out: Annotated[Path, typer.Option(help="The bundle.")] = Path("models/region_segmenter"),
    only: Annotated[str, typer.Option(help="head or nuclei; else both.")] = "",
) -> None:
    """Make the default region segmenter."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    workdir.mkdir(parents=True, exist_ok=True)
    parts = part_heads(sorted(label_maps.rglob("*.nii*")))
    learn, held = (read_heads(parts[split], workdir) for split in ("train", "validation"))
    for which, settings in TRAINING.items():
        if only in ("", which):
            train_regions(which, learn, held, workdir, settings)
    if all((workdir / f"{which}.json").exists() for which in TRAINING):
        write_bundle(out, workdir, [head.name for head in learn], [head.name for head in held],
                     TRAINING)


if __name__ == "__main__":
    with told_and_left():
        typer.run(main)
