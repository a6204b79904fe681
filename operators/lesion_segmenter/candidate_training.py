"""Train the second stage on what the first finds in the training cases: right, wrong and what."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from operators.errors import InputError
from operators.labels import LesionClass
from operators.lesion_segmenter.candidates import Looked, Variation, look, vary, without_magnitude
from operators.lesion_segmenter.components import LESION_CLASSES
from operators.lesion_segmenter.matching import Candidate, best_operating_point
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.runs import (
    Learner,
    progress,
    read_checkpoint,
    running_mean,
    schedule,
    write_checkpoint,
)
from operators.lesion_segmenter.second_stage import classify

if TYPE_CHECKING:
    from torch import Tensor, nn

CHECKPOINT, WEIGHTS = "candidates.checkpoint.pt", "candidates.pt"

_log = logging.getLogger(__name__)


class CandidateSettings(Variation):
    """How the second stage is trained. All values are our choice."""

    seed: int = Field(default=1, description="Of weights, draws and variations.")
    steps: int = Field(default=1500, ge=1, description="Optimiser steps in all.")
    batch: int = Field(default=32, ge=2, description="Candidates per step.")
    learning_rate: float = Field(
        default=2e-3, gt=0, description="AdamW's peak; cosine decay to 1 %."
    )
    weight_decay: float = Field(default=1e-3, ge=0, description="AdamW's.")
    average: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of weights."
    )
    validate_every: int = Field(
        default=250, ge=1, description="Steps between validations and checkpoints."
    )


def train_candidates(
    cases: Sequence[Path], out: Path, settings: CandidateSettings,
    *, first_stage: Path, validation: Sequence[Path], initial: Path | None = None,
) -> float:
    """Train on the candidates of case files; the best weights go to `out`/candidates.pt.

    `first_stage`: weights of the network that finds them; `initial`: weights to start from. The
    score of the weights kept comes back: the mean best F1 of microbleeds and iron deposits in the
    validation cases. A run that was broken off goes on. InputError where the first stage finds no
    lesion to learn from; ConfigurationError where `out` holds a run of other settings.
    """
    learn = [look(path, out, first_stage) for path in cases]
    held = [look(path, out, first_stage) for path in validation]
    classes = np.concatenate([one.classes for one in learn])
    if not np.isin(classes, LESION_CLASSES).any():
        raise InputError(
            "No candidate of the training cases is a lesion: the second stage has nothing to learn "
            "from. Train the first stage longer, or give more scans."
        )
    run = _Run(out, settings, classes, initial)
    where = np.cumsum([0, *(len(one.classes) for one in learn)])
    for step in progress(run.step, settings.steps):
        generator = np.random.default_rng([settings.seed, step])
        chosen = generator.integers(len(classes), size=settings.batch)
        case = np.searchsorted(where, chosen, side="right") - 1
        batch = np.stack([learn[c].cubes[n - where[c]] for c, n in zip(case, chosen, strict=True)])
        loss = run.learn(vary(batch, settings, generator), classes[chosen], step)
        if (step + 1) % settings.validate_every == 0 or step + 1 == settings.steps:
            run.keep(step + 1, loss, score(run.averaged, held))
    return run.best


def score(network: nn.Module, cases: Sequence[Looked]) -> float:
    """Mean best F1 of microbleeds and iron deposits by the network's probability alone.

    As at inference, a candidate stays what the first stage calls it.
    """
    found: dict[LesionClass, list[Candidate]] = {kind: [] for kind in LESION_CLASSES}
    for case in cases:
        if not len(case.classes):
            continue
        probability = classify(network, without_magnitude(case.cubes))
        for kind in LESION_CLASSES:
            counted: set[int] = set()
            own = np.flatnonzero(case.kinds == kind)
            for n in own[np.argsort(-probability[own, kind])]:
                right = case.classes[n] == kind and int(case.instances[n]) not in counted
                if right:
                    counted.add(int(case.instances[n]))
                found[kind].append(Candidate(float(probability[n, kind]), bool(right)))
    targets = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
    return float(np.mean([
        best_operating_point(found[kind], int(sum(case.known[kind] for case in cases)),
                             least=0.0)[1]
        for kind in targets]))


class _Run(Learner):
    """The state of a training run, on disk and in memory."""

    def __init__(
        self, out: Path, settings: CandidateSettings, classes: NDArray, initial: Path | None
    ) -> None:
        import torch

        from operators.lesion_segmenter.candidate_network import CandidateNet

        torch.manual_seed(settings.seed)
        self.out, self.settings, self.step, self.best = out, settings, 0, -1.0
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = CandidateNet(contrasts=len(CHANNELS), classes=len(LesionClass) + 1)
        if initial is not None:
            network.load_state_dict(torch.load(initial, map_location="cpu", weights_only=True))
        self.network = network.to(self.device)
        self.mean = running_mean(self.network, settings.average, buffers=True)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        counts = np.bincount(classes, minlength=len(LesionClass) + 1)
        # Rare classes weigh more: by the root, so that their probabilities stay within reach. The
        # smoothing must not push probability into classes that are not there.
        weight = np.where(counts > 0, 1 / np.sqrt(np.maximum(counts, 1)), 0)
        weight *= counts.sum() / (weight * counts).sum()
        self.loss = torch.nn.CrossEntropyLoss(
            torch.tensor(weight, dtype=torch.float32), label_smoothing=0.02).to(self.device)
        self._resume()

    def learn(self, seen: Tensor, classes: NDArray, step: int) -> float:
        """One step; its loss."""
        import torch

        own = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = own.learning_rate * schedule(step, own.steps)
        # What is dropped depends on seed and step only, so that a run can go on.
        torch.manual_seed(own.seed * 1_000_003 + step)
        self.network.train()
        loss = self.loss(self.network(seen.to(self.device)),
                         torch.from_numpy(classes).to(self.device))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.mean.update_parameters(self.network)
        return float(loss.detach())

    def keep(self, step: int, loss: float, found: float) -> None:
        """Log a validation, keep its weights if they are the best, write the checkpoint."""
        import torch

        _log.info("candidates, step %d: loss %.3f, validation F1 %.3f", step, loss, found)
        if found > self.best:
            self.best = found
            torch.save(self.averaged.state_dict(), self.out / WEIGHTS)
        write_checkpoint(self.out / CHECKPOINT, self.settings, self.parts, step=step,
                         best=self.best)

    def _resume(self) -> None:
        state = read_checkpoint(self.out / CHECKPOINT, self.settings, self.parts, self.device)
        if state is not None:
            self.step, self.best = int(state["step"]), float(state["best"])
