"""The lesion network on a whole volume: ours beside MONAI's sliding window and plain torch.

    python -m benchmarks.lesion_inference [--volume STUDY.npz] [--studies STUDY.npz ...]

The volume is 256 x 256 x 80 voxels of 1 x 1 x 2 mm with SWI, QSM and T2w: noise in an ellipsoid
brain of 140 x 176 x 150 mm, or a file of apps.train.subjects. Every way gets the same network and
threads, and channels that are scaled already; the ways take turns, medians are printed.

- sliding window: `monai.inferers.SlidingWindowInferer`, torch fp32, over the field of view, windows
  of 192 x 192 (the slices that the network was trained on), overlap 0.25 (MONAI's default), four at
  a time. Beside it, the setting that suits it best: one window per slice.
- torch: fp32, channels_last, whole slices of the field of view, eight at a time.
- ours: `predict` as the product runs it, on the brain's box; the time to make it ready is added.

The limit is the network's arithmetic over the brain's box at the speed of a large matrix product in
the same precision. `--studies` compares the lists of lesions with those of torch fp32.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from apps.train.subjects import Examined, as_study, load_examined
from benchmarks.main_job import measure
from operators.lesion_segmenter import segment
from operators.lesion_segmenter.bundle import load_bundle
from operators.lesion_segmenter.inference import Runner, make_runner, neighbours, predict
from operators.lesion_segmenter.matching import match
from operators.lesion_segmenter.normalise import CHANNELS, network_input, scale_contrast
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import LesionMap, NotAssessed, Role

if TYPE_CHECKING:
    from torch import nn

SHAPE, SPACING_MM, SEMIAXES_MM = (80, 256, 256), (2.0, 1.0, 1.0), (75.0, 88.0, 70.0)
WINDOW, OVERLAP, WINDOWS_PER_BATCH = 192, 0.25, 4
LEAST_RATIO, MOST_MIB = 5.0, 2048.0
EMULATED, REFERENCE = "bf16 (rounding emulated in fp32)", "torch fp32"


def noise_volume() -> Examined:
    """Noise inside an ellipsoid brain; no lesions, no regions."""
    generator = np.random.default_rng(0)
    centre = (np.array(SHAPE) - 1) / 2
    steps = [(np.arange(n) - c) * s / a for n, c, s, a
             in zip(SHAPE, centre, SPACING_MM, SEMIAXES_MM, strict=True)]
    radius = sum(np.square(part) for part in np.ix_(*steps))
    brain = np.asarray(radius <= 1)
    levels = {Role.SWI: (100.0, 6.0), Role.QSM: (0.0, 0.02), Role.T2W: (100.0, 8.0)}
    contrasts = {role: generator.normal(*level, SHAPE).astype(np.float32)
                 for role, level in levels.items()}
    nothing = np.zeros(SHAPE, np.uint16)
    return Examined("noise", "ellipsoid", 3.0, contrasts, brain, nothing.astype(np.uint8), nothing,
                    {}, {}, np.diag([*SPACING_MM, 1.0]), "1.2.3")


def sliding_window(network: nn.Module, array: NDArray, window: Sequence[int]) -> NDArray:
    """Class probabilities (class, slice, row, column) by MONAI's inferer."""
    import torch
    from monai.inferers import SlidingWindowInferer

    inferer = SlidingWindowInferer(window, WINDOWS_PER_BATCH, OVERLAP)
    slices = torch.from_numpy(neighbours(array, 0, array.shape[1]))
    with torch.inference_mode():
        maps = inferer(slices, lambda batch: network(batch).softmax(dim=1))
    return np.asarray(maps.numpy().transpose(1, 0, 2, 3))


def ways(subject: Examined, models: Path, settings: LesionSettings
         ) -> tuple[dict[str, Callable[[], NDArray]], Runner, float, float]:
    """What takes turns; our runner, the seconds to make it ready, and GFLOP over the box."""
    bundle = load_bundle(models)
    plain, ours = bundle.network(), bundle.network()
    begun = time.perf_counter()
    runner = make_runner(ours, settings.engine)
    ready = time.perf_counter() - begun
    last = make_runner(bundle.network(), "torch")
    spacing = np.linalg.norm(subject.affine[:3, :3], axis=0)
    images = {role: subject.contrasts[role] for role in CHANNELS}
    whole = np.stack([scale_contrast(images[role], subject.brain, role, spacing)
                      for role in CHANNELS])
    box = network_input(images, subject.brain, spacing)
    size = np.array(whole.shape[2:])
    padded = -(-np.array(box.array.shape[2:]) // 64) * 64
    gflop = gflop_per_pixel(plain) * box.array.shape[1] * float(padded.prod())
    return {
        "sliding window, 192 x 192": lambda: sliding_window(plain, whole, (WINDOW, WINDOW)),
        "sliding window, one per slice": lambda: sliding_window(plain, whole, size.tolist()),
        "torch fp32 channels_last": lambda: predict(whole, last, slices_per_batch=8),
        "ours": lambda: box.to_reference(
            predict(box.array, runner, slices_per_batch=settings.slices_per_batch)),
    }, runner, ready, gflop


def gflop_per_pixel(network: nn.Module) -> float:
    """Convolutions' multiplications and additions, in 1e9."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    channels = next(network.parameters()).shape[1]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, channels, 64, 64))
    return float(counter.get_total_flops()) / 64**2 / 1e9


def gemm_gflop_s(*, bf16: bool) -> float:
    """The best of eight products of 2048 x 2048 matrices, 1e9 operations a second."""
    import torch

    a, b = (torch.randn(2048, 2048).to(torch.bfloat16 if bf16 else torch.float32)
            for _ in range(2))
    return 2 * 2048**3 / 1e9 / min(_timed(lambda: a @ b)[0] for _ in range(8))


def _timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds and CPU seconds."""
    begun, spent = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - begun, time.process_time() - spent


def speed(subject: Examined, options: argparse.Namespace) -> bool:
    """Print the table; whether the bar is met."""
    contestants, runner, ready, gflop = ways(subject, options.models, LesionSettings())
    bf16 = runner.name.endswith("bf16")
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    gemm = []
    for _ in range(options.repeats + 1):  # the first turn warms up
        gemm.append(gemm_gflop_s(bf16=bf16))
        for name, call in contestants.items():
            took[name].append(_timed(call))
    middle = {name: np.median(each[1:], axis=0) for name, each in took.items()}
    middle["ours"] = middle["ours"] + ready
    print("| way | seconds / CPU seconds | times ours |\n|---|---|---|")
    for name, value in middle.items():
        label = f"ours: {runner.name}, brain's box, {ready:.1f} s to be ready" \
            if name == "ours" else name
        times = value / middle["ours"]
        print(f"| {label} | {value[0]:.2f} / {value[1]:.2f} | {times[0]:.1f} / {times[1]:.1f} |")
    limit = gflop / max(gemm)
    print(f"| limit: {gflop:.0f} GFLOP at the GEMM's {max(gemm):.0f} GFLOP/s | {limit:.2f} | "
          f"{limit / middle['ours'][0]:.2f} |\n")
    ratio = float(middle["sliding window, 192 x 192"][0] / middle["ours"][0])
    print(f"Sliding window / ours {ratio:.1f}, wanted {LEAST_RATIO:g}: "
          f"{_verdict(ratio >= LEAST_RATIO)}")
    return ratio >= LEAST_RATIO


def memory(options: argparse.Namespace) -> bool:
    """Peak memory of the whole lesion step, input arrays too, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.lesion_inference", "--once",
               "--models", str(options.models)]
    if options.volume:
        command += ["--volume", str(options.volume)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        cost, code = measure(command, threads=options.threads, log=log)
        if code:
            raise SystemExit(log.read_text(encoding="utf-8"))
    peak = cost.peak_mib or 0.0
    print(f"Lesion step in a process of its own: peak {peak:.0f} MiB, wanted < {MOST_MIB:.0f}: "
          f"{_verdict(0 < peak < MOST_MIB)}")
    return 0 < peak < MOST_MIB


def lesions(subject: Examined, models: Path, settings: LesionSettings) -> LesionMap:
    """The product's answer."""
    study, regions = as_study(subject)
    found = segment.segment_lesions(study, regions, bundle=models, settings=settings)
    if isinstance(found, NotAssessed):
        raise SystemExit(f"{subject.subject} was not assessed: {found.reason}")
    return found


def differences(ours: LesionMap, reference: LesionMap) -> list[str]:
    """Lesions of one list without a partner of the same class in the other, each in words.

    Partners share voxels, one to one, the largest overlap first.
    """
    pairs = match(reference.labels.array.astype(np.int64), ours.labels.array.astype(np.int64))
    there = {one.index: one for one in reference.lesions}
    same = {found: true for found, true in pairs.items()
            if ours.lesions[found - 1].kind is there[true].kind}
    alone = [("only here", one) for one in ours.lesions if one.index not in same]
    alone += [("only torch fp32", one) for index, one in there.items()
              if index not in same.values()]
    return [f"{where}: {one.kind.name.lower()} of {one.volume_mm3:.0f} mm3, probability "
            f"{one.probability:.3f}" for where, one in alone]


@contextmanager
def engine(name: str) -> Iterator[LesionSettings]:
    """Settings under which the product runs an engine, or the emulation."""
    if name != EMULATED:
        yield LesionSettings(engine=name)
        return
    with mock.patch.object(segment, "make_runner", lambda network, _: emulated(network)):
        yield LesionSettings()


def emulated(network: nn.Module) -> Runner:
    """torch with what goes into and comes out of every convolution rounded to bf16."""
    import torch

    def rounded(value: torch.Tensor) -> torch.Tensor:
        return value.bfloat16().float()

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data = rounded(layer.weight.data)
            layer.register_forward_pre_hook(lambda _, given: rounded(given[0]))
            layer.register_forward_hook(lambda _, __, out: rounded(out))
    return Runner(EMULATED, make_runner(network, "torch"))


def same_lesions(paths: Sequence[Path], models: Path) -> bool:
    """Compare each engine with torch fp32 on every subject; whether the product's own agrees."""
    counts: dict[str, int] = {}
    total, own = 0, ""
    print(f"\nLesions of {len(paths)} subjects, those of torch fp32 being right:")
    for path in paths:
        subject = load_examined(path)
        answers = list(_answers(subject, models))
        own = answers[0].engine
        reference = next(one for one in answers if one.engine == REFERENCE)
        total += len(reference.lesions)
        for answer in answers:
            found = differences(answer, reference)
            counts[answer.engine] = counts.get(answer.engine, 0) + len(found)
            for one in found:
                print(f"- {subject.subject}, {answer.engine}, {one}", flush=True)
    for name, count in counts.items():
        verdict = f", the default here, wanted 0: {_verdict(not count)}" if name == own else ""
        print(f"- **{name}: {count} differences** in {total} lesions{verdict}")
    return not counts[own]


def _answers(subject: Examined, models: Path) -> Iterator[LesionMap]:
    """The product's own first; then the other engines, each once."""
    own = lesions(subject, models, LesionSettings())
    yield own
    others = {"torch": own.engine != REFERENCE, "openvino": "OpenVINO" not in own.engine,
              EMULATED: "bf16" not in own.engine}
    for name in (one for one, wanted in others.items() if wanted):
        with engine(name) as settings:
            yield lesions(subject, models, settings)


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    """Print what was asked for; exit 1 where a bar is missed."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--volume", type=Path, help="a *.study.npz in the place of noise")
    parser.add_argument("--studies", type=Path, nargs="+", default=[], help="*.study.npz files")
    parser.add_argument("--models", type=Path, default=Path("models/lesion_segmenter"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--once", action="store_true", help="only run the lesion step once")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.once:
        lesions(_subject(options), options.models, LesionSettings())
        return
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f} at the start, medians of "
          f"{options.repeats}; torch {torch.__version__}\n")
    met = [speed(_subject(options), options), memory(options)]
    if options.studies:
        met.append(same_lesions(options.studies, options.models))
    raise SystemExit(not all(met))


def _subject(options: argparse.Namespace) -> Examined:
    return load_examined(options.volume) if options.volume else noise_volume()


if __name__ == "__main__":
    main()
