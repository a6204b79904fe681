"""What every training run shares: learning rate, progress, and a checkpoint to go on from."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from operators.errors import ConfigurationError

if TYPE_CHECKING:
    from torch import Tensor, nn


def schedule(step: int, steps: int) -> float:
    """Linear rise over 2 % of the steps, then a cosine down to 1 %."""
    rise = max(1, steps // 50)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise))) / 2


class Learner:
    """A network that learns, the running mean of its weights, and its optimiser."""

    network: nn.Module
    mean: Any
    optimizer: Any

    @property
    def averaged(self) -> nn.Module:
        """A copy of the network with the running mean of its weights, on the CPU."""
        network: nn.Module = copy.deepcopy(self.mean.module)
        return network.cpu().eval()

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint keeps, by name."""
        return {"network": self.network, "mean": self.mean, "optimizer": self.optimizer}


def running_mean(network: nn.Module, decay: float, *, buffers: bool = False) -> Any:
    """The network with the running mean of its weights; `update_parameters` takes them in.

    The first n steps decay by (1 + n) / (10 + n) at most, so that a short run forgets the random
    weights it began with (as TensorFlow's ExponentialMovingAverage does with its number of
    updates). `buffers`: whether buffers are averaged too, or taken as they are.
    """
    import torch

    def mix(means: Sequence[Tensor], weights: Sequence[Tensor], updates: Tensor | int) -> None:
        step = float(updates)
        share = 1 - min(decay, (1 + step) / (10 + step))
        for mean, weight in zip(means, weights, strict=True):
            if mean.is_floating_point():
                mean.lerp_(weight, share)
            else:
                mean.copy_(weight)

    averaging: Any = torch.optim.swa_utils
    return averaging.AveragedModel(
        network, multi_avg_fn=torch.no_grad()(mix), use_buffers=buffers)


def progress(first: int, last: int) -> Iterator[int]:
    """Steps with a bar on a terminal; a log gets the lines of each validation only."""
    from tqdm import tqdm

    yield from tqdm(range(first, last), initial=first, total=last, unit="step",
                    disable=not sys.stderr.isatty())


def write_checkpoint(
    path: Path, settings: BaseModel, parts: Mapping[str, Any], **state: Any
) -> None:
    """Keep the state of a run and of its `parts`; the file appears whole or not at all.

    `parts`: whatever has a `state_dict`, by name.
    """
    import torch

    partial = path.with_name(path.name + ".partial")
    torch.save(state | {"settings": settings.model_dump()}
               | {name: part.state_dict() for name, part in parts.items()}, partial)
    partial.replace(path)


def read_checkpoint(
    path: Path, settings: BaseModel, parts: Mapping[str, Any], device: Any
) -> dict[str, Any] | None:
    """Bring `parts` back to where they were; the rest of the state, None where there is no file.

    ConfigurationError where the run had other settings.
    """
    import torch

    if not path.is_file():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    if state["settings"] != settings.model_dump():
        raise ConfigurationError(
            f"{path.parent} holds a run with other settings. Take another folder, or the settings "
            "it was started with."
        )
    for name, part in parts.items():
        part.load_state_dict(state.pop(name))
    return state
