"""One arm of a cross-validation: a network of its own contrasts and classes, trained and tested."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from apps.evaluate.examination import Examination, examine_all, listing_all
from apps.evaluate.folds import Fold
from apps.evaluate.store import fingerprint, place, write_text
from apps.map.settings import REPOSITORY
from apps.train.publish import write_fitted
from apps.train.subjects import Examined, load_examined
from operators.labels import LesionClass
from operators.lesion_segmenter.bundle import INFERENCE
from operators.lesion_segmenter.cases import CASE_CHANNELS, Case, load_case, save_case
from operators.lesion_segmenter.settings import LesionSettings
from operators.lesion_segmenter.training import CHECKPOINT, WEIGHTS, TrainingSettings, train
from operators.types import Role

CONTRASTS: Mapping[str, tuple[Role, ...]] = {
    "SWI": (Role.SWI,), "SWI+QSM": (Role.SWI, Role.QSM), "SWI+T2w": (Role.SWI, Role.T2W),
    "SWI+QSM+T2w": (Role.SWI, Role.QSM, Role.T2W),
}
CLASSES: Mapping[str, tuple[LesionClass, ...]] = {
    "microbleed": (LesionClass.MICROBLEED,), "iron": (LesionClass.IRON_DEPOSIT,),
    "multi": tuple(LesionClass),
}
COMPARED = ("SWI", "SWI+QSM")
"""The multi-class arms compared subject by subject; only theirs are all candidates listed."""
_CODE = ("operators/lesion_segmenter", "apps/train/publish.py", "apps/train/scoring.py",
         "apps/train/subjects.py", "apps/evaluate/examination.py", "apps/evaluate/pairing.py",
         "apps/evaluate/conspicuity.py", "apps/evaluate/arms.py")


@dataclass(frozen=True, slots=True)
class Arm:
    """What one network sees and learns: keys of `CONTRASTS` and `CLASSES`."""

    contrasts: str
    classes: str

    @property
    def compared(self) -> bool:
        return self.classes == "multi" and self.contrasts in COMPARED


ARMS = tuple(Arm(contrasts, classes) for classes in CLASSES for contrasts in CONTRASTS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an arm lists in the held subjects of a fold; `candidates` only where compared."""

    arm: Arm
    fold: int
    step: int
    listed: tuple[Examination, ...]
    candidates: tuple[Examination, ...] = ()


@dataclass(frozen=True, slots=True)
class Bench:
    """Where and how arms are trained: study and case files by scan, the network's configuration.

    `scans` is a fingerprint of the scans themselves.
    """

    work: Path
    studies: Mapping[str, Path]
    cases: Mapping[str, Path]
    inference: Path
    training: TrainingSettings
    lesions: LesionSettings
    scans: str


def run_arm(arm: Arm, fold: Fold, bench: Bench) -> Outcome:
    """Train on the fold, choose on its validation scans, test on its held ones.

    Kept in the bench's folder; a training that was broken off goes on.
    """
    key = fingerprint(repr((arm, fold)), bench.training.model_dump_json(), bench.inference,
                      bench.lesions.model_dump_json(), bench.scans,
                      *(REPOSITORY / part for part in _CODE))
    folder = bench.work / f"fold{fold.number}-{arm.contrasts}-{arm.classes}"
    path, adapter = place(folder, "outcome", key, ".json"), TypeAdapter(Outcome)
    if path.exists():
        return adapter.validate_json(path.read_bytes())
    outcome = _train_and_test(arm, fold, bench, folder / key)
    write_text(path, adapter.dump_json(outcome, indent=1).decode())
    (folder / key / "run" / CHECKPOINT).unlink(missing_ok=True)
    return outcome


def _train_and_test(
    arm: Arm, fold: Fold, bench: Bench, folder: Path
) -> Outcome:
    settings, cases = bench.training, folder / "cases"
    best = train(_cases(fold.train, arm, bench, cases), folder / "run", settings,
                 validation=_cases(fold.validation, arm, bench, cases))
    shutil.rmtree(cases)
    bundle = folder / "lesion_segmenter"
    (bundle / INFERENCE).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bench.inference, bundle / INFERENCE)
    recipe = {"seed": settings.seed, "training": [settings.model_dump()],
              "chosen_step": best.step, "remarks": f"{arm.contrasts}, {arm.classes}.",
              "subjects": {"train": len(fold.train), "validation": len(fold.validation)}}
    write_fitted(folder / "run" / WEIGHTS, bundle, recipe,
                 _seen(fold.validation, arm, bench), own_data=f"fold {fold.number}")
    listed = examine_all(_seen(fold.test, arm, bench), bundle, bench.lesions)
    every = examine_all(_seen(fold.test, arm, bench), bundle, listing_all(bench.lesions)) \
        if arm.compared else []
    return Outcome(arm, fold.number, best.step, tuple(listed), tuple(every))


def _seen(scans: Sequence[str], arm: Arm, bench: Bench) -> Iterator[Examined]:
    """The scans with the arm's contrasts alone; the truth keeps all its classes."""
    for scan in scans:
        whole = load_examined(bench.studies[scan])
        yield replace(whole, contrasts={role: image for role, image in whole.contrasts.items()
                                        if role in CONTRASTS[arm.contrasts]})


def _cases(scans: Sequence[str], arm: Arm, bench: Bench, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    out = []
    for scan in scans:
        path = folder / f"{scan}.case.npz"
        save_case(restrict(load_case(bench.cases[scan]), arm), path)
        out.append(path)
    return out


def restrict(case: Case, arm: Arm) -> Case:
    """The case with the arm's contrasts, others 0, and its classes, others background."""
    kept = np.isin(case.classes, CLASSES[arm.classes])
    shown = np.array([role in CONTRASTS[arm.contrasts] for role in CASE_CHANNELS])
    return replace(
        case, inputs=np.where(shown[:, None, None, None], case.inputs, np.float16(0)),
        present=case.present & shown, classes=np.where(kept, case.classes, 0).astype(np.uint8),
        instances=np.where(kept, case.instances, 0).astype(np.uint16),
    )
