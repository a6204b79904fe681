"""Train the lesion model further on a user's annotated scans, or from scratch on them alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from apps.evaluate.pairing import SCORED
from apps.evaluate.store import make_folder
from apps.evaluate.tree import read_tree
from apps.map.settings import DEFAULT_MODELS
from apps.train.publish import publish
from apps.train.scoring import table
from apps.train.subjects import Examined, as_case, save_examined
from operators.errors import ConfigurationError, InputError, OutputError
from operators.labels import LESIONS
from operators.lesion_segmenter.bundle import (
    CANDIDATE_DEF,
    CANDIDATES,
    INFERENCE,
    WEIGHTS,
    load_bundle,
)
from operators.lesion_segmenter.candidate_training import WEIGHTS as SECOND
from operators.lesion_segmenter.candidate_training import CandidateSettings, train_candidates
from operators.lesion_segmenter.cases import save_case
from operators.lesion_segmenter.training import WEIGHTS as MODEL
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
    known_as = load_bundle(default).identity
    work, bundle = out / "work", out / "lesion_segmenter"
    if bundle.resolve() == default.resolve():
        raise OutputError(
            f"{out} holds the model that training starts from. Give another folder with -o."
        )
    held, studies, cases, simulated = _prepare(dataset, work, seed)
    _must_be_same_run(work, [path for _, path in cases], "" if scratch else known_as.sha256)
    settings = TrainingSettings(
        seed=seed, steps=steps, validate_every=max(1, min(300, steps // 4)),
        learning_rate=1e-3 if scratch else 3e-4,
    )
    learn = [path for head, path in cases if head not in held]
    validate = [path for head, path in cases if head in held]
    best = train(learn, work / "run", settings, validation=validate,
                 initial=None if scratch else default / WEIGHTS)
    _log.info("best weights: step %d", best.step)
    again = CandidateSettings(
        seed=seed, steps=max(1, steps // 3), learning_rate=2e-3 if scratch else 5e-4)
    known = None if scratch or not (default / CANDIDATES).is_file() else default / CANDIDATES
    candidates = _second_stage(learn, validate, work / "run", again, known)
    (bundle / INFERENCE).parent.mkdir(parents=True, exist_ok=True)
    _write_inference(default, bundle)
    subjects = {"train": _subjects(learn), "validation": _subjects(validate)}
    start = "from scratch" if scratch else (
        f"from the weights of {known_as.name} {known_as.version} (SHA-256 "
        f"{known_as.sha256[:12]}...), which learned from: {known_as.training_data}")
    recipe: dict[str, Any] = {
        "seed": seed, "subjects": subjects,
        "chosen_step": best.step, "training": [settings.model_dump()] + (
            [again.model_dump()] if candidates == work / "run" / SECOND else []),
        "remarks": f"Trained {start}.",
    }
    kind = "simulated" if simulated else "annotated"
    data = f"{kind} scans of {sum(subjects.values())} subjects, {start}"
    validation = [path for head, path in studies if head in held]
    results = publish(work / "run" / MODEL, bundle, recipe, validation,
                      candidates=candidates, own_data=data, simulated=simulated)
    return table(results, f"{kind} validation scans")


def _write_inference(default: Path, bundle: Path) -> None:
    """The default's configuration; one from before there was a second stage learns of it."""
    shipped = json.loads((DEFAULT_MODELS / "lesion_segmenter" / INFERENCE).read_text())
    own = json.loads((default / INFERENCE).read_text())
    own.setdefault(CANDIDATE_DEF, shipped[CANDIDATE_DEF])
    (bundle / INFERENCE).write_text(json.dumps(own, indent=2) + "\n", encoding="utf-8")


def _subjects(cases: list[Path]) -> int:
    """How many subjects the case files are of: names begin with sub-..., sessions follow."""
    return len({path.name.split(".")[0].partition("_")[0] for path in cases})


def _second_stage(
    learn: list[Path], held: list[Path], run: Path, settings: CandidateSettings,
    initial: Path | None,
) -> Path | None:
    """Weights of the second stage; `initial` where the scans give it nothing to learn from."""
    try:
        train_candidates(learn, run, settings, first_stage=run / MODEL, validation=held,
                         initial=initial)
    except InputError as error:
        _log.warning("The second stage was not trained: %s", error)
        return initial
    return run / SECOND


def _must_be_same_run(work: Path, cases: list[Path], start: str) -> None:
    """A run goes on only with what it began with: scans, and the digest of what it started from."""
    files = b"".join(sha256(path.read_bytes()).digest() for path in cases)
    digest = sha256(files + start.encode()).hexdigest()
    known = work / "scans.sha256"
    if known.exists() and known.read_text() != digest:
        raise ConfigurationError(
            f"{work} holds a run on other scans, on earlier masks, or from other weights. Give "
            "another folder with -o."
        )
    known.write_text(digest)


def _prepare(
    dataset: Path, work: Path, seed: int
) -> tuple[set[str], list[tuple[str, Path]], list[tuple[str, Path]], bool]:
    """Heads kept for validation, study and case files of all scans by head, whether simulated.

    A head is a subject, or what participants.tsv calls the anatomy that simulated ones share.
    """
    tree = read_tree(dataset)
    scans = [scan.read() for scan in tree.scans]
    heads = sorted({one.anatomy for one in scans})
    if len(heads) < 2:
        raise InputError(
            f"{dataset} holds {len(heads)} subject; training takes at least 2, one of them to "
            "validate on. Annotate more."
        )
    held = _held_back(scans, heads, seed)
    make_folder(work)
    studies, cases = [], []
    for one in scans:
        study, case = (work / f"{one.subject}.{kind}.npz" for kind in ("study", "case"))
        save_examined(one, study)
        save_case(as_case(one), case)
        studies.append((one.anatomy, study))
        cases.append((one.anatomy, case))
    return held, studies, cases, tree.simulated


def _held_back(scans: Sequence[Examined], heads: Sequence[str], seed: int) -> set[str]:
    """A fifth of the heads, by the seed; one with a lesion among them, which chooses the weights.

    Warns of a class that none of them has: nothing then chooses its operating point.
    """
    order = [heads[i] for i in np.random.default_rng(seed).permutation(len(heads))]
    with_lesions = {one.anatomy for one in scans if set(one.kinds.values()) & set(SCORED)}
    first = next((head for head in order if head in with_lesions), order[0])
    held = {first, *[head for head in order if head != first][: max(1, round(len(heads) / 5)) - 1]}
    there = {kind for one in scans if one.anatomy in held for kind in one.kinds.values()}
    for kind in SCORED:
        if kind not in there:
            _log.warning("No %s in the scans kept for validation: its operating point stays 0.5, "
                         "uncalibrated. Annotate more, or try another --seed.",
                         LESIONS[kind].name.lower())
    return held
