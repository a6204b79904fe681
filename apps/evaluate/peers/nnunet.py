"""nnU-Net v2 as a peer: trained on the same subjects within a stated time, its lesions as a list.

nnU-Net (Isensee et al., Nat Methods 2021;18:203-211) is no dependency of the product: it draws in
torchvision, which does not load beside a CPU-only torch. It runs in a Python of its own, see
`INSTALL`. Nothing of its method is changed but the length of the training and the number of
processes. It knows no missing contrast: one that is not there is 0.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.train.subjects import Examined, as_study
from operators.errors import ConfigurationError, InputError, StepFailed
from operators.labels import LesionClass
from operators.lesion_segmenter.components import LESION_CLASSES, Component, components
from operators.lesion_segmenter.location import locate
from operators.lesion_segmenter.normalise import CHANNELS
from operators.lesion_segmenter.segment import tracking_uid
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Lesion, LesionMap, ModelIdentity, Role

VERSION = "2.8.1"
INSTALL = (
    "Make a Python of its own: `python -m venv FOLDER`, `FOLDER/bin/pip install "
    f"nnunetv2=={VERSION}`, and give FOLDER/bin/python. Where torchvision does not load (CPU-only "
    "torch), install nnunetv2 and what it lacks with --no-deps, without timm and torchvision."
)
DATASET = "Dataset501_Lentiform"
NUMBERS = {LesionClass.MICROBLEED: 1, LesionClass.IRON_DEPOSIT: 2, LesionClass.CALCIFICATION: 3}
"""Labels of the raw data; all else is background."""
IDENTITY = ModelIdentity("nnU-Net", VERSION, "0" * 64, "the training subjects of the evaluation")
_TRAINING = Path(__file__).with_name("nnunet_training.py")


@dataclass(frozen=True, slots=True)
class NnUNet:
    """Where it works, what runs it, and what it may use.

    `folder` holds raw, preprocessed and results. `minutes` is the wall time of the training alone.
    `planned_gb` is the GPU memory that its planner sizes patches and batches for (its own default
    is 8); less makes batches that a CPU can do in the time.
    """

    folder: Path
    python: Path
    minutes: float
    configuration: str = "2d"
    device: str = "cpu"
    threads: int = 2
    iterations_per_epoch: int = 25
    planned_gb: float = 8.0

    def train(self, subjects: Iterable[Examined]) -> None:
        """Write the subjects as nnU-Net's raw data, plan, preprocess, train."""
        self._check()
        raw = self.folder / "raw" / DATASET
        names = [_write(subject, raw, "Tr", with_labels=True) for subject in subjects]
        if not names:
            raise InputError("nnU-Net has no subjects to train on. Give training subjects.")
        _write_description(raw, len(names))
        self._call("nnUNetv2_plan_and_preprocess", "-d", "501", "-c", self.configuration, "-np",
                   "1", "-npfp", "1", "-gpu_memory_target", str(self.planned_gb))
        self._call(str(_TRAINING), DATASET, "--configuration", self.configuration, "--minutes",
                   str(self.minutes), "--iterations", str(self.iterations_per_epoch),
                   "--device", self.device)

    @property
    def trained(self) -> bool:
        """Whether `folder` holds a finished training."""
        return any((self.folder / "results").rglob("checkpoint_final.pth"))

    def detect(
        self, subjects: Sequence[Examined], least: Mapping[LesionClass, float]
    ) -> list[LesionMap]:
        """The lesions of each subject: 26-connected, as the product makes them of its own network.

        `least` is the lowest probability of a lesion that is listed; 0 where it says nothing.
        """
        self._check()
        names = [_write(subject, self.folder, "Ts", with_labels=False) for subject in subjects]
        images, out = self.folder / "imagesTs", self.folder / "predicted"
        self._call("nnUNetv2_predict", "-i", str(images), "-o", str(out), "-d", "501", "-c",
                   self.configuration, "-f", "all", "-device", self.device, "-npp", "0", "-nps",
                   "0", "--save_probabilities")
        found = []
        for name, subject in zip(names, subjects, strict=True):
            with np.load(out / f"{name}.npz") as stored:
                maps = stored["probabilities"].astype(np.float32)
            found.append(lesion_map(subject, maps, least))
        for path in (*images.iterdir(), *out.iterdir()):
            path.unlink()
        return found

    def _check(self) -> None:
        if not self.python.is_file() or subprocess.run(
            [self.python, "-c", "import nnunetv2"], capture_output=True, check=False
        ).returncode:
            raise ConfigurationError(f"{self.python} has no nnunetv2. {INSTALL}")

    def _call(self, program: str, *arguments: str) -> None:
        """A program beside `python`, or a file for it, that knows nnU-Net's folders."""
        environment = os.environ | {
            f"nnUNet_{name}": str(self.folder / name) for name in ("raw", "preprocessed", "results")
        } | {"nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "1", "nnUNet_compile": "f",
             "OMP_NUM_THREADS": str(self.threads), "MPLBACKEND": "agg"}
        entry = program if program.endswith(".py") else str(self.python.with_name(program))
        done = subprocess.run([self.python, entry, *arguments], env=environment, check=False,
                              capture_output=True, text=True)
        if done.returncode:
            raise StepFailed(f"{Path(entry).name} failed: {(done.stderr or done.stdout)[-2000:]}")


def lesion_map(
    subject: Examined, maps: NDArray[np.float32], least: Mapping[LesionClass, float]
) -> LesionMap:
    """Lesions of the probabilities (background and `NUMBERS`, slice, row, column), by components.

    A lesion's class and probability are those of `components`; no other rule is applied.
    """
    settings = LesionSettings()
    study, _ = as_study(subject)
    grid = study.brain
    ordered = np.zeros((1 + max(LESION_CLASSES), *subject.brain.shape), np.float32)
    for kind, number in NUMBERS.items():
        ordered[kind] = maps[number]
    found = components(ordered, subject.brain, grid.spacing, min_volume_mm3=settings.min_volume_mm3,
                       voxel_probability=settings.voxel_probability)
    kept = [part for part in found if part.probability >= least.get(part.kind, 0.0)]
    labels = np.zeros(subject.brain.shape, np.uint16)
    for index, part in enumerate(kept, start=1):
        labels[part.index] = index
    centres = [grid.map_indices_to_reference(np.array([part.centroid]))[0] for part in kept]
    lesions = tuple(_lesion(subject, part, index, centre) for index, (part, centre)
                    in enumerate(zip(kept, centres, strict=True), start=1))
    return LesionMap(grid.with_array(labels), {}, lesions,
                     tuple(role for role in CHANNELS if role in subject.contrasts), IDENTITY)


def _lesion(subject: Examined, part: Component, index: int, centre_lps_mm: NDArray) -> Lesion:
    x, y, z = (float(value) for value in centre_lps_mm)
    place = None
    if subject.regions.any():
        spacing = [float(one) for one in np.linalg.norm(subject.affine[:3, :3], axis=0)]
        place = locate(part.centroid, subject.regions, spacing, reach_mm=3.0)
    qsm = subject.contrasts.get(Role.QSM)
    return Lesion(
        index=index, kind=part.kind, location=place, volume_mm3=part.volume_mm3,
        diameter_mm=part.diameter_mm, centroid_lps_mm=(x, y, z), peak_ppm=None, vesselness=0.0,
        mean_ppm=None if qsm is None else float(np.nanmean(qsm[part.index])),
        probability=part.probability, reason="nnU-Net",
        uid=tracking_uid("1.2.3", part.kind, (x, y, z)),
    )


def _write(subject: Examined, folder: Path, part: str, *, with_labels: bool) -> str:
    """SWI, QSM and T2w, 0 outside the brain and where unknown, and labels; the case name."""
    name = "".join(one if one.isalnum() else "-" for one in subject.subject)
    for channel, role in enumerate(CHANNELS):
        image = subject.contrasts.get(role, np.zeros(subject.brain.shape, np.float32))
        inside = np.where(subject.brain & np.isfinite(image), image, 0).astype(np.float32)
        _save(inside, subject, folder / f"images{part}" / f"{name}_{channel:04d}.nii.gz")
    if with_labels:
        classes = np.zeros(subject.brain.shape, np.uint8)
        for number, kind in subject.kinds.items():
            classes[(subject.truth == number) & subject.brain] = NUMBERS.get(kind, 0)
        _save(classes, subject, folder / f"labels{part}" / f"{name}.nii.gz")
    return name


def _save(array: NDArray, subject: Examined, path: Path) -> None:
    import SimpleITK as sitk

    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    spacing = np.linalg.norm(subject.affine[:3, :3], axis=0)
    image.SetSpacing([float(one) for one in spacing[::-1]])
    sitk.WriteImage(image, str(path))


def _write_description(folder: Path, cases: int) -> None:
    import json

    labels = {"background": 0} | {kind.name.lower(): number for kind, number in NUMBERS.items()}
    (folder / "dataset.json").write_text(json.dumps({
        "channel_names": {str(n): role.value for n, role in enumerate(CHANNELS)},
        "labels": labels, "numTraining": cases, "file_ending": ".nii.gz",
    }), encoding="utf-8")
