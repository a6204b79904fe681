"""Train the lesion model further on a user's annotated scans, or from scratch on them alone."""

from __future__ import annotations

import logging
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from apps.train.annotated import read_annotated
from apps.train.publish import publish
from apps.train.scoring import table
from apps.train.subjects import as_case, save_examined
from operators.errors import ConfigurationError, InputError, OutputError
from operators.lesion_segmenter.bundle import INFERENCE, WEIGHTS, load_bundle
from operators.lesion_segmenter.cases import save_case
from operators.lesion_segmenter.training import TrainingSettings, train

_log = logging.getLogger("apps.train")


def train_on(
    dataset: Path, out: Path, *, default: Path, scratch: bool, steps: int, seed: int
) -> str:
    """Train on annotated scans; the bundle goes to `out`/lesion_segmenter, the table comes back.

    Starts from the weights of the bundle `default` unless `scratch`. A fifth of the subjects, at
    least one, is kept for validation. Broken off, it goes on where it stopped when called again.
    InputError where the scans are not as docs/training.md says, or of fewer than two subjects;
    ConfigurationError where `default` is no bundle or `out` holds a run on other scans; OutputError
    where `out` holds `default` itself or cannot be written.
    """
    load_bundle(default)
    work, bundle = out / "work", out / "lesion_segmenter"
    if bundle.resolve() == default.resolve():
        raise OutputError(
            f"{out} holds the model that training starts from. Give another folder with -o."
        )
    held, studies, cases = _prepare(dataset, work, seed)
    _must_be_same_scans(work, [path for _, path in cases])
    settings = TrainingSettings(
        seed=seed, steps=steps, validate_every=max(1, min(300, steps // 4)),
        learning_rate=1e-3 if scratch else 3e-4,
    )
    best = train(
        [path for subject, path in cases if subject not in held], work / "run", settings,
        validation=[path for subject, path in cases if subject in held],
        initial=None if scratch else default / WEIGHTS,
    )
    _log.info("best weights: step %d", best.step)
    (bundle / INFERENCE).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(default / INFERENCE, bundle / INFERENCE)
    count = len({subject for subject, _ in cases})
    start = "from scratch" if scratch else "from default weights, which learned from simulation"
    recipe: dict[str, Any] = {
        "seed": seed, "subjects": {"train": count - len(held), "validation": len(held)},
        "chosen_step": best.step, "training": [settings.model_dump()],
        "remarks": f"Trained {start}.",
    }
    data = f"annotated scans of {count} subjects, {start}"
    validation = [path for subject, path in studies if subject in held]
    results = publish(work / "run" / "model.pt", bundle, recipe, validation, own_data=data)
    return table(results, "annotated validation scans")


def _must_be_same_scans(work: Path, cases: list[Path]) -> None:
    """A run goes on only with what it began with."""
    digest = sha256(b"".join(sha256(path.read_bytes()).digest() for path in cases)).hexdigest()
    known = work / "scans.sha256"
    if known.exists() and known.read_text() != digest:
        raise ConfigurationError(
            f"{work} holds a run on other scans, or on earlier masks. Give another folder with -o."
        )
    known.write_text(digest)


def _prepare(
    dataset: Path, work: Path, seed: int
) -> tuple[set[str], list[tuple[str, Path]], list[tuple[str, Path]]]:
    """Study and case files of all scans by subject, and the subjects kept for validation."""
    scans = read_annotated(dataset)
    subjects = sorted({one.anatomy for one in scans})
    if len(subjects) < 2:
        raise InputError(
            f"{dataset} holds {len(subjects)} subject; training takes at least 2, one of them to "
            "validate on. Annotate more."
        )
    order = np.random.default_rng(seed).permutation(len(subjects))
    held = {subjects[i] for i in order[: max(1, round(len(subjects) / 5))]}
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{work} cannot be made ({error.strerror}). Give another folder with -o."
        ) from error
    studies, cases = [], []
    for one in scans:
        study, case = (work / f"{one.subject}.{kind}.npz" for kind in ("study", "case"))
        save_examined(one, study)
        save_case(as_case(one), case)
        studies.append((one.anatomy, study))
        cases.append((one.anatomy, case))
    return held, studies, cases
