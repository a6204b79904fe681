"""Train the network on cases: resumable, chosen on validation subjects, the same from a seed."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from operators.errors import ConfigurationError, InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.cases import Case, load_case
from operators.lesion_segmenter.components import LESION_CLASSES, components
from operators.lesion_segmenter.inference import make_runner, predict, to_channels_last
from operators.lesion_segmenter.matching import Candidate, best_operating_point, match
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.runs import (
    Learner,
    progress,
    read_checkpoint,
    running_mean,
    schedule,
    write_checkpoint,
)
from operators.lesion_segmenter.sampling import PatchSampler

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float32]
CHECKPOINT, WEIGHTS, LOG = "checkpoint.pt", "model.pt", "log.jsonl"

_log = logging.getLogger(__name__)


class TrainingSettings(BaseModel):
    """How the network is trained. All values are our choice unless the field says otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = Field(default=1, description="Of weights, patches and variations.")
    steps: int = Field(default=1500, ge=1, description="Optimiser steps in all.")
    patch: int = Field(
        default=64, ge=64, multiple_of=64,
        description="Side of a patch, pixels of 1 mm: lesions and veins with what surrounds them.",
    )
    batch: int = Field(default=16, ge=1, description="Patches per step.")
    learning_rate: float = Field(
        default=2e-3, gt=0, description="AdamW's peak; cosine decay to 1 %."
    )
    weight_decay: float = Field(default=1e-4, ge=0, description="AdamW's.")
    average: float = Field(
        default=0.995, ge=0, lt=1, description="Decay of the running mean of weights."
    )
    freeze_from: float = Field(
        default=0.5, ge=0, le=1,
        description="Share of the steps after which the statistics of batch normalisation stay. "
        "Statistics of a batch of lesion-rich patches are not those of a slice; frozen, the "
        "network learns as the function that inference runs.",
    )
    drop_qsm: float = Field(default=0.2, ge=0, le=1, description="How often QSM is left out.")
    drop_t2w: float = Field(default=0.3, ge=0, le=1, description="How often T2w is left out.")
    use_magnitude: float = Field(
        default=0.1, ge=0, le=1, description="How often magnitude stands for SWI."
    )
    validate_every: int = Field(
        default=300, ge=1, description="Steps between validations and checkpoints."
    )
    validation_share: float = Field(
        default=0.2, gt=0, lt=1,
        description="Share of anatomies kept for validation where none is given.",
    )


@dataclass(frozen=True, slots=True)
class Validation:
    """Best F1 per class over the validation cases, and the probability that gives it."""

    step: int
    loss: float
    f1: dict[str, float]
    operating_point: dict[str, float]

    @property
    def score(self) -> float:
        """Mean F1 of microbleeds and iron deposits: what the best weights are chosen by."""
        return (self.f1["microbleed"] + self.f1["iron_deposit"]) / 2


def train(
    cases: Sequence[Path], out: Path, settings: TrainingSettings,
    *, validation: Sequence[Path] | None = None, initial: Path | None = None,
) -> Validation:
    """Train on case files; the weights with the best validation score go to `out`/model.pt.

    Without `validation`, whole anatomies are kept back from `cases` by the seed. `initial`: weights
    to start from. A run in `out` that was broken off goes on where it stopped. InputError where
    there is nothing to learn from; ConfigurationError where `out` holds a run of other settings.
    """
    loaded = [load_case(path) for path in cases]
    if validation is None:
        learn, held = split_cases(loaded, settings.validation_share, settings.seed)
    else:
        learn, held = loaded, [load_case(path) for path in validation]
    _check_split(learn, held)
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(out, settings, initial)
    sampler = PatchSampler(learn)
    for step in progress(run.step, settings.steps):
        loss = run.learn(sampler, step)
        if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
            run.keep(validate(run.averaged, held, step + 1, loss))
    if run.best is None:
        raise ConfigurationError(f"The run in {out.name} is complete but has no validation.")
    return run.best


def split_cases(
    cases: Sequence[Case], share: float, seed: int
) -> tuple[list[Case], list[Case]]:
    """Cases to learn from and to validate on; an anatomy or subject is in one of them only."""
    groups = sorted({case.anatomy for case in cases})
    if len(groups) < 2:
        groups = sorted({case.subject for case in cases})
    order = np.random.default_rng(seed).permutation(len(groups))
    held = {groups[i] for i in order[: max(1, round(share * len(groups)))]}
    return ([case for case in cases if not {case.anatomy, case.subject} & held],
            [case for case in cases if {case.anatomy, case.subject} & held])


def validate(network: nn.Module, cases: Sequence[Case], step: int, loss: float) -> Validation:
    """Lesion-wise scores of a network on whole cases with all their contrasts."""
    runner = make_runner(network)
    best = lesion_scores(lambda inputs: predict(inputs, runner, slices_per_batch=8), cases)
    return Validation(step, loss, {name: f1 for name, (_, f1) in best.items()},
                      {name: point for name, (point, _) in best.items()})


def lesion_scores(
    maps_of: Callable[[Array], Array], cases: Sequence[Case]
) -> dict[str, tuple[float, float]]:
    """Per class the probability of a lesion that gives the best F1 over the cases, and that F1.

    `maps_of`: from contrasts of `CHANNELS` (contrast, slice, row, column) to class probabilities
    (class, slice, row, column).
    """
    found: dict[LesionClass, list[Candidate]] = {kind: [] for kind in LESION_CLASSES}
    positives = dict.fromkeys(LESION_CLASSES, 0)
    for case in cases:
        maps = maps_of(case.inputs[: len(CHANNELS)].astype(np.float32))
        parts = components(maps, case.brain, case.spacing_mm,
                           voxel_probability=0.5, min_volume_mm3=2.0)
        for kind in LESION_CLASSES:
            truth = np.where(case.classes == kind, case.instances, 0)
            own = [part for part in parts if part.kind is kind]
            predicted = np.zeros(truth.shape, np.int32)
            for number, part in enumerate(own, start=1):
                predicted[part.index] = number
            pairs = match(truth, predicted)
            positives[kind] += np.unique(truth[truth > 0]).size
            found[kind] += [Candidate(part.probability, number in pairs)
                            for number, part in enumerate(own, start=1)]
    return {kind.name.lower(): best_operating_point(found[kind], positives[kind])
            for kind in LESION_CLASSES}


class _Run(Learner):
    """The state of a training run, on disk and in memory."""

    def __init__(self, out: Path, settings: TrainingSettings, initial: Path | None) -> None:
        import torch

        from operators.lesion_segmenter.network import LesionNet

        torch.manual_seed(settings.seed)
        self.out, self.settings = out, settings
        self.step, self._recent = 0, math.nan
        self.best: Validation | None = None
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = LesionNet(contrasts=len(CHANNELS), classes=len(LesionClass) + 1)
        if initial is not None:
            network.load_state_dict(torch.load(initial, map_location="cpu", weights_only=True))
        self.network = to_channels_last(network.to(self.device))
        self.mean = running_mean(self.network, settings.average)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._resume()

    def learn(self, sampler: PatchSampler, step: int) -> float:
        """One step; the running mean of the loss. Patches depend on the seed and step only."""
        import torch

        from operators.lesion_segmenter.losses import lesion_loss

        own = self.settings
        images, labels, emphases = sampler.batch(
            own.batch, own.patch, np.random.default_rng([own.seed, step]), drop_qsm=own.drop_qsm,
            drop_t2w=own.drop_t2w, use_magnitude=own.use_magnitude,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = own.learning_rate * schedule(step, own.steps)
        image = torch.from_numpy(images).to(self.device, memory_format=torch.channels_last)
        target = torch.from_numpy(labels).to(self.device)
        emphasis = torch.from_numpy(emphases).to(self.device)
        loss: Any = lesion_loss(self._mode(step)(image), target, emphasis)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.mean.update_parameters(self.network)
        value = float(loss.detach())
        self._recent = value if math.isnan(self._recent) else 0.98 * self._recent + 0.02 * value
        return self._recent

    def _mode(self, step: int) -> nn.Module:
        """The network to learn with: its normalisation as at inference once statistics freeze."""
        frozen = step >= self.settings.freeze_from * self.settings.steps
        return self.network.train(not frozen)

    def keep(self, result: Validation) -> None:
        """Log a validation, keep its weights if they are the best, write the checkpoint."""
        import torch

        if self.best is None or result.score > self.best.score:
            self.best = result
            torch.save(self.averaged.state_dict(), self.out / WEIGHTS)
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(asdict(result)) + "\n")
        _to_tensorboard(self.out, result)
        scores = ", ".join(f"{name} F1 {value:.3f}" for name, value in result.f1.items())
        _log.info("step %d: loss %.3f, validation %s", result.step, result.loss, scores)
        write_checkpoint(self.out / CHECKPOINT, self.settings, self.parts, step=result.step,
                         recent=self._recent, best=asdict(self.best))

    def _resume(self) -> None:
        state = read_checkpoint(self.out / CHECKPOINT, self.settings, self.parts, self.device)
        if state is not None:
            self.step, self._recent = int(state["step"]), float(state["recent"])
            self.best = Validation(**state["best"])


def _to_tensorboard(out: Path, result: Validation) -> None:
    """Loss and scores for TensorBoard, where it is installed (extra `train`)."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return
    with SummaryWriter(str(out)) as writer:
        writer.add_scalar("loss", result.loss, result.step)
        for name, value in result.f1.items():
            writer.add_scalar(f"f1/{name}", value, result.step)


def _check_split(learn: Sequence[Case], held: Sequence[Case]) -> None:
    if not learn or not held:
        raise InputError(
            f"Training needs cases to learn from and to validate on; found {len(learn)} and "
            f"{len(held)}. Give more subjects."
        )
    both = {case.subject for case in learn} & {case.subject for case in held}
    if both:
        raise InputError(f"{len(both)} subjects are both in training and in validation. Part them.")
    if not any(np.isin(case.classes, LESION_CLASSES).any() for case in learn):
        raise InputError("No training case has a lesion. Check the masks' labels.")
