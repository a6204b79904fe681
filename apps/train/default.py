"""The recipe of the default lesion model: simulate, train, choose on validation.

    python -m apps.train.default --workdir DIR --label-maps DIR [--out models/lesion_segmenter]

Resumes where it was broken off. Label maps: NIfTI, FreeSurfer numbers with extra-cerebral classes.
It is judged on other heads and scanners: `lentiform simulate --split test`, `lentiform evaluate`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.train.cohort import Split, case_paths, make_cohort, plan, study_paths
from apps.train.publish import publish
from apps.train.scoring import table
from operators.errors import told_and_left
from operators.lesion_segmenter.candidate_training import CandidateSettings, train_candidates
from operators.lesion_segmenter.training import TrainingSettings, train

SEED = 50000
COUNTS: dict[Split, int] = {"train": 96, "validation": 18, "test": 0}
TRAINING = TrainingSettings(steps=12900, validate_every=1750)
SECOND_STAGE = CandidateSettings(steps=2000)

_log = logging.getLogger("apps.train")


def main(
    workdir: Annotated[Path, typer.Option(help="Folder for subjects and checkpoints (5 GB).")],
    label_maps: Annotated[Path, typer.Option(help="Folder of FreeSurfer-numbered label maps.")],
    out: Annotated[Path, typer.Option(help="The bundle.")] = Path("models/lesion_segmenter"),
    seed: Annotated[int, typer.Option(help="Of heads, subjects and training.")] = SEED,
) -> None:
    """Make the default lesion model."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    plans = plan(sorted(label_maps.rglob("*.nii*")), COUNTS, seed)
    cohort = workdir / "cohort"
    make_cohort(plans, cohort)
    settings = TRAINING.model_copy(update={"seed": seed})
    best = train(case_paths(plans, cohort, "train"), workdir / "run", settings,
                 validation=case_paths(plans, cohort, "validation"))
    _log.info("best weights: step %d", best.step)
    again = SECOND_STAGE.model_copy(update={"seed": seed})
    train_candidates(case_paths(plans, cohort, "train"), workdir / "run", again,
                     first_stage=workdir / "run" / "model.pt",
                     validation=case_paths(plans, cohort, "validation"))
    recipe: dict[str, Any] = {
        "seed": seed, "subjects": {"train": COUNTS["train"], "validation": COUNTS["validation"]},
        "chosen_step": best.step, "training": [settings.model_dump(), again.model_dump()],
    }
    results = publish(workdir / "run" / "model.pt", out, recipe,
                      study_paths(plans, cohort, "validation"),
                      candidates=workdir / "run" / "candidates.pt")
    typer.echo(table(results))


if __name__ == "__main__":
    with told_and_left():
        typer.run(main)
