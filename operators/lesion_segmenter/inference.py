"""Run the network over whole slices of the brain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from operators.processor import computes_bf16

if TYPE_CHECKING:
    from torch import nn

Array = NDArray[np.float32]
Engine = Literal["auto", "openvino", "torch"]
STRIDE = 64
"""Rows and columns are padded with 0 to a multiple of this: six halvings."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Runner:
    """From (batch, channel, row, column) to class probabilities of the same shape.

    `name` says what runs the network and in which precision, such as "OpenVINO bf16".
    """

    name: str
    run: Callable[[Array], Array]

    def __call__(self, batch: Array) -> Array:
        return self.run(batch)


def neighbours(array: Array, first: int, last: int) -> Array:
    """Slices first..last-1 of (contrast, slice, row, column), each with its two neighbours.

    Gives (slice, contrast * 3, row, column); the volume's end slices are their own neighbours.
    """
    centre = np.arange(first, last)
    index = np.clip(centre[:, None] + (-1, 0, 1), 0, array.shape[1] - 1)
    stacked = array[:, index]
    return np.ascontiguousarray(
        stacked.transpose(1, 0, 2, 3, 4).reshape(len(centre), -1, *array.shape[2:])
    )


def predict(array: Array, runner: Callable[[Array], Array], *, slices_per_batch: int) -> Array:
    """Class probabilities (class, slice, row, column) of (contrast, slice, row, column)."""
    rows, columns = array.shape[2:]
    pad = [(0, 0), (0, 0), (0, -rows % STRIDE), (0, -columns % STRIDE)]
    padded = np.pad(array, pad)
    parts = []
    for first in range(0, array.shape[1], slices_per_batch):
        last = min(first + slices_per_batch, array.shape[1])
        parts.append(runner(neighbours(padded, first, last))[:, :, :rows, :columns])
    return np.ascontiguousarray(np.concatenate(parts).transpose(1, 0, 2, 3))


def make_runner(network: nn.Module, engine: Engine = "torch") -> Runner:
    """The network, ready to run on the CPU.

    "auto": OpenVINO in bf16 where the CPU computes in it, else torch in fp32, which is the faster
    of the two there. "openvino": OpenVINO, in bf16 or fp32. A warning says that there is no bf16,
    or that OpenVINO cannot be loaded or cannot convert the network and torch runs instead.
    """
    if engine == "torch":
        return _torch_runner(network)
    try:
        bf16 = computes_bf16()
        if not bf16:
            instead = "OpenVINO" if engine == "openvino" else "torch"
            _log.warning("This CPU has no bf16: the network runs in %s fp32", instead)
        if bf16 or engine == "openvino":
            return _openvino_runner(network, "bf16" if bf16 else "f32")
    except (ImportError, RuntimeError) as error:
        _log.warning("OpenVINO is not usable here (%s); running the network in torch", error)
    return _torch_runner(network)


def _torch_runner(network: nn.Module) -> Runner:
    import torch

    network = to_channels_last(network.eval())

    def run(batch: Array) -> Array:
        tensor = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return np.asarray(network(tensor).softmax(dim=1).numpy(), np.float32)

    return Runner("torch fp32", run)


def to_channels_last(network: nn.Module) -> nn.Module:
    """The network with its weights in the layout that convolves faster on a CPU."""
    import torch

    placed: nn.Module = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """OpenVINO's converter sets the level and handlers of the root logger, for every library."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers


def _openvino_runner(network: nn.Module, precision: Literal["bf16", "f32"]) -> Runner:
    """OpenVINO on the CPU, of any batch and size: fp32 probabilities are torch's to about 1e-5."""
    import torch

    channels = next(network.parameters()).shape[1]
    whole = torch.nn.Sequential(network.eval(), torch.nn.Softmax(dim=1))
    with _root_logger_kept():
        import openvino as ov

        model = ov.convert_model(
            whole, example_input=torch.zeros(1, channels, STRIDE, STRIDE),
            input=[ov.PartialShape([-1, channels, -1, -1])],
        )
    compiled = ov.Core().compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    })

    def run(batch: Array) -> Array:
        return np.asarray(compiled(batch)[0], np.float32)

    return Runner(f"OpenVINO {'fp32' if precision == 'f32' else precision}", run)
