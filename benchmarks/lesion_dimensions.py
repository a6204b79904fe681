"""2.5D or 3D: the product's network against MONAI's 3D DynUNet, in the same CPU time, three seeds.

    python -m benchmarks.lesion_dimensions CASES VALIDATION --workdir DIR [--steps 1200] [--seeds 3]

CASES and VALIDATION are folders of case files (`cohort/train` and `cohort/validation` of
`python -m apps.train.default`). The 2.5D network takes its steps; the 3D one is then given the CPU
time that those took, with patches of about as many voxels. Both are scored alike: best F1 of
lesions over the validation cases after the last step, no second stage. Writes dimensions.md.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from operators.labels import LesionClass
from operators.lesion_segmenter.cases import Case, load_case
from operators.lesion_segmenter.inference import make_runner, predict
from operators.lesion_segmenter.losses import CLASS_WEIGHTS
from operators.lesion_segmenter.network import LesionNet
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.runs import progress, running_mean, schedule
from operators.lesion_segmenter.sampling import SHARES
from operators.lesion_segmenter.training import WEIGHTS, TrainingSettings, lesion_scores, train

PATCH = (16, 64, 64)
BATCH = 2
CLASSES = len(LesionClass) + 1


def three_d() -> torch.nn.Module:
    """MONAI's DynUNet, nnU-Net's network, with about as many weights as the product's."""
    from monai.networks.nets import DynUNet

    strides = [1, (1, 2, 2), 2, 2]
    return DynUNet(
        3, len(CHANNELS), CLASSES, kernel_size=[3] * len(strides), strides=strides,
        upsample_kernel_size=strides[1:], filters=(16, 32, 64, 128), norm_name="instance")


def patches(cases: Sequence[Case], seed: int) -> Any:
    """An endless row of batches, centred on the classes in the shares of the product's sampler."""
    from monai.transforms import (
        Compose,
        RandCropByLabelClassesd,
        RandFlipd,
        RandGaussianNoised,
        RandScaleIntensityd,
        SpatialPadd,
    )

    shares = [SHARES[None], *(SHARES[kind] for kind in LesionClass)]
    vary = Compose([
        SpatialPadd(("image", "label"), PATCH),
        RandCropByLabelClassesd(("image", "label"), "label", PATCH, ratios=shares,
                                num_classes=CLASSES, num_samples=1, warn=False),
        *(RandFlipd(("image", "label"), prob=0.5, spatial_axis=axis) for axis in range(3)),
        RandScaleIntensityd("image", factors=0.25, prob=1.0, channel_wise=True),
        RandGaussianNoised("image", prob=0.5, std=0.06),
    ]).set_random_state(seed)
    choice = np.random.default_rng(seed)
    while True:
        drawn = []
        for _ in range(BATCH):
            case = cases[choice.integers(len(cases))]
            drawn += vary({"image": case.inputs[: len(CHANNELS)].astype(np.float32),
                           "label": case.classes[None]})
        yield (torch.stack([torch.as_tensor(one["image"]) for one in drawn]),
               torch.stack([torch.as_tensor(one["label"]) for one in drawn]))


def train_three_d(
    cases: Sequence[Case], seconds: float, settings: TrainingSettings
) -> tuple[torch.nn.Module, int]:
    """Train for that much CPU time; the running mean of the weights and the steps it took."""
    from monai.losses import DiceCELoss

    torch.manual_seed(settings.seed)
    network = three_d()
    mean = running_mean(network, settings.average)
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate,
                                  weight_decay=settings.weight_decay)
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True, include_background=False,
                         weight=torch.tensor(CLASS_WEIGHTS))
    begin, step = time.process_time(), 0
    for image, label in patches(cases, settings.seed):
        spent = (time.process_time() - begin) / seconds
        if spent >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * schedule(int(spent * 1000), 1000)
        loss = loss_of(network(image), label)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        mean.update_parameters(network)
        step += 1
    return mean.module.eval(), step


def maps_of(network: torch.nn.Module) -> Any:
    """From contrasts to class probabilities, by MONAI's sliding window."""
    from monai.inferers import SlidingWindowInferer

    window = SlidingWindowInferer((16, 128, 128), sw_batch_size=1, overlap=0.25, mode="gaussian")

    def run(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            scores = window(torch.from_numpy(inputs)[None], network)
        return np.asarray(scores.softmax(dim=1)[0].numpy(), np.float32)

    return run


def one_seed(train_files: list[Path], held: list[Case], out: Path, steps: int, seed: int) -> Any:
    """Both networks with one seed: name -> steps, CPU seconds, F1 per class."""
    # A run that was broken off would tell too little of the time that the other is given.
    shutil.rmtree(out / f"flat-{seed}", ignore_errors=True)
    begin = time.process_time()
    settings = TrainingSettings(seed=seed, steps=steps, validate_every=steps)
    train(train_files, out / f"flat-{seed}", settings, validation=[_first(out, held)])
    spent = time.process_time() - begin
    flat = LesionNet(contrasts=len(CHANNELS), classes=CLASSES)
    flat.load_state_dict(torch.load(out / f"flat-{seed}" / WEIGHTS, weights_only=True))
    runner = make_runner(flat)
    rows = {"2.5D": _row(lambda inputs: predict(inputs, runner, slices_per_batch=2), held,
                         steps, spent, flat)}
    deep, taken = train_three_d([load_case(path) for path in train_files], spent, settings)
    rows["3D"] = _row(maps_of(deep), held, taken, spent, deep)
    return rows


def _first(out: Path, held: list[Case]) -> Path:
    """The smallest validation case as a file: `train` asks for one, its score is not used."""
    from operators.lesion_segmenter.cases import save_case

    path = out / "one.case.npz"
    save_case(min(held, key=lambda case: case.brain.size), path)
    return path


def _row(maps: Any, held: list[Case], steps: int, seconds: float, network: torch.nn.Module) -> Any:
    begin = time.process_time()
    scores = lesion_scores(maps, held)
    return {"steps": steps, "training_s": seconds,
            "inference_s": (time.process_time() - begin) / len(held),
            "parameters": sum(weight.numel() for weight in network.parameters()),
            "f1": {name: value for name, (_, value) in scores.items()}}


def page(rows: dict[int, Any], command: str, subjects: tuple[int, int]) -> str:
    """The Markdown page."""
    lines = [
        "# 2.5D against 3D (simulated subjects)", "",
        f"Trained on {subjects[0]} and scored on {subjects[1]} simulated validation subjects, no "
        "second stage; best F1 per class, which is optimistic for both alike. Same CPU time for "
        f"both networks of a seed. `{command}`", "",
        "| network | parameters | seed | steps | CPU s, training | CPU s a scan | microbleed F1 | "
        "iron F1 | calcification F1 |", "|---|---|---|---|---|---|---|---|---|"]
    names = ("microbleed", "iron_deposit", "calcification")
    for kind in ("2.5D", "3D"):
        for seed, both in rows.items():
            one = both[kind]
            lines.append(f"| {kind} | {one['parameters'] / 1e6:.2f} M | {seed} | {one['steps']} | "
                         f"{one['training_s']:.0f} | {one['inference_s']:.1f} | "
                         + " | ".join(f"{one['f1'][name]:.3f}" for name in names) + " |")
        every = np.array([[both[kind]["f1"][name] for name in names] for both in rows.values()])
        if len(every) > 1:
            lines.append(f"| **{kind}**, mean ± standard deviation | | | | | | " + " | ".join(
                f"{a:.3f} ± {b:.3f}" for a, b in zip(every.mean(0), every.std(0, ddof=1),
                                                      strict=True)) + " |")
    return "\n".join(lines) + "\n"


def main(
    cases: Annotated[Path, typer.Argument(help="Folder of training cases.")],
    validation: Annotated[Path, typer.Argument(help="Folder of validation cases.")],
    workdir: Annotated[Path, typer.Option(help="For runs and results.")],
    steps: Annotated[int, typer.Option(help="Of the 2.5D network.")] = 1200,
    seeds: Annotated[int, typer.Option(help="How many.")] = 3,
) -> None:
    """Compare 2.5D with 3D."""
    torch.set_num_threads(1)
    files = sorted(cases.glob("*.case.npz"))
    held = [load_case(path) for path in sorted(validation.glob("*.case.npz"))]
    workdir.mkdir(parents=True, exist_ok=True)
    rows: dict[int, Any] = {}
    for number in progress(0, seeds):
        store = workdir / f"seed-{number + 1}.json"
        if not store.exists():
            done = one_seed(files, held, workdir, steps, number + 1)
            store.write_text(json.dumps(done), encoding="utf-8")
        rows[number + 1] = json.loads(store.read_text(encoding="utf-8"))
        command = f"python -m benchmarks.lesion_dimensions CASES VALIDATION --steps {steps}"
        (workdir / "dimensions.md").write_text(
            page(rows, command, (len(files), len(held))), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
