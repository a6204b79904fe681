"""DEEPMIR's design on one's own scans: four inputs, single and multi-class, K folds by subject."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from apps.evaluate.arms import ARMS, Bench, Outcome, run_arm
from apps.evaluate.command import Request, prepare
from apps.evaluate.deepmir_page import Study, comparisons, page
from apps.evaluate.folds import Fold, part
from apps.evaluate.plain import as_plain
from apps.evaluate.progress import shown
from apps.evaluate.store import fingerprint, place, write_text
from apps.evaluate.tree import Scan
from apps.map.settings import REPOSITORY
from apps.train.subjects import as_case, save_examined
from operators.lesion_segmenter.bundle import INFERENCE
from operators.lesion_segmenter.cases import save_case
from operators.lesion_segmenter.settings import LesionSettings
from operators.lesion_segmenter.training import TrainingSettings

SUBJECTS = 24
"""As many as DEEPMIR had."""
_CODE = ("operators/lesion_segmenter/cases.py", "operators/lesion_segmenter/normalise.py",
         "apps/train/subjects.py", "apps/train/annotated.py")

_log = logging.getLogger("apps.evaluate")


@dataclass(frozen=True, slots=True)
class Design:
    """How the networks are parted and trained; `scans` at most are taken, the first by name.

    Whatever `training` says, no contrast is left out at random: the arms say what is seen.
    """

    training: TrainingSettings
    folds: int = 4
    scans: int = SUBJECTS

    @property
    def settings(self) -> TrainingSettings:
        """The training as the arms do it."""
        return self.training.model_copy(
            update={"drop_qsm": 0.0, "drop_t2w": 0.0, "use_magnitude": 0.0})

    @classmethod
    def of(cls, *, folds: int, steps: int, seed: int) -> Design:
        """The design with that many folds, optimiser steps and that seed."""
        settings = TrainingSettings(
            seed=seed, steps=steps, validate_every=max(1, min(300, steps // 4)))
        return cls(settings, folds)


def run_deepmir(request: Request, design: Design) -> Path:
    """Train and test every arm in every fold and write deepmir.md and .json; the page's path.

    Resumable: what is done of it is taken from `request.out`/work. InputError where the scans
    cannot be parted.
    """
    settings, model, tree = prepare(request)
    scans = tree.scans[: design.scans]
    folds = part(scans, design.folds, design.training.seed)
    bench = _bench(scans, request.out / "work", model.folder / INFERENCE, design.settings,
                   settings.lesion_segmenter)
    outcomes = tuple(_outcomes(folds, bench))
    study = Study(outcomes, tuple(folds), tree.simulated, len(scans),
                  len({scan.anatomy for scan in scans}), design.settings, version("lentiform"),
                  request.command)
    write_text(request.out / "deepmir.json", json.dumps(as_plain(
        {"training": design.settings.model_dump(), "comparisons": comparisons(study),
         "simulated": study.simulated, "software": study.software, "command": study.command,
         "folds": study.folds, "outcomes": outcomes}), indent=1) + "\n")
    path = request.out / "deepmir.md"
    write_text(path, page(study))
    return path


def _outcomes(folds: Sequence[Fold], bench: Bench) -> Iterator[Outcome]:
    pieces = [(arm, fold) for fold in folds for arm in ARMS]

    def work() -> Iterator[Outcome]:
        for arm, fold in pieces:
            _log.info("fold %d, %s, %s", fold.number, arm.contrasts, arm.classes)
            yield run_arm(arm, fold, bench)
    return shown(work(), len(pieces), "network")


def _bench(
    scans: Sequence[Scan], work: Path, inference: Path, training: TrainingSettings,
    lesions: LesionSettings,
) -> Bench:
    """Study and case files of the scans, those on disk as they are."""
    studies, cases, keys = {}, {}, []
    for scan in shown(scans, len(scans), "scan"):
        key = fingerprint(str(asdict(scan) | {"files": (), "study": None}), *scan.contents(),
                          *(REPOSITORY / part for part in _CODE))
        study, case = (place(work / "scans", f"{scan.name}-{kind}", key, ".npz")
                       for kind in ("study", "case"))
        if not (study.exists() and case.exists()):
            examined = scan.read()
            save_examined(examined, study)
            save_case(as_case(examined), case)
        studies[scan.name], cases[scan.name] = study, case
        keys.append(key)
    return Bench(work, studies, cases, inference, training, lesions, fingerprint(*keys))
