"""The recipe of the default lesion model: simulate, train, choose on validation, judge on test.

    python -m apps.train.default --workdir DIR --label-maps DIR [--out models/lesion_segmenter]

Resumes where it was broken off. Label maps: NIfTI, FreeSurfer numbers with extra-cerebral classes.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.train.cohort import SPLITS, Split, case_paths, make_cohort, plan, study_paths
from apps.train.publish import publish
from apps.train.scoring import table
from operators.lesion_segmenter.training import TrainingSettings, train

SEED = 20260
COUNTS: dict[Split, int] = {"train": 40, "validation": 10, "test": 12}
PATCHES = TrainingSettings(steps=1500, patch=64, batch=8, learning_rate=2e-3, validate_every=1500)
"""The first stage, on small patches around lesions."""
SLICES = TrainingSettings(steps=4000, validate_every=1000)
"""The second stage, on whole slices, from the weights of the first."""

_log = logging.getLogger("apps.train")


def main(
    workdir: Annotated[Path, typer.Option(help="Folder for subjects and checkpoints (3 GB).")],
    label_maps: Annotated[Path, typer.Option(help="Folder of FreeSurfer-numbered label maps.")],
    out: Annotated[Path, typer.Option(help="The bundle.")] = Path("models/lesion_segmenter"),
    seed: Annotated[int, typer.Option(help="Of heads, subjects and training.")] = SEED,
) -> None:
    """Make the default lesion model."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    plans = plan(sorted(label_maps.rglob("*.nii*")), COUNTS, seed)
    cohort = workdir / "cohort"
    make_cohort(plans, cohort)
    files = {split: case_paths(plans, cohort, split) for split in SPLITS}
    patches = PATCHES.model_copy(update={"seed": seed})
    slices = SLICES.model_copy(update={"seed": seed})
    train(files["train"], workdir / "patches", patches, validation=files["validation"])
    best = train(files["train"], workdir / "slices", slices, validation=files["validation"],
                 initial=workdir / "patches" / "model.pt")
    _log.info("best weights: step %d", best.step)
    recipe: dict[str, Any] = {
        "seed": seed, "subjects": dict(COUNTS), "chosen_step": best.step,
        "training": [patches.model_dump(), slices.model_dump()],
    }
    results = publish(workdir / "slices" / "model.pt", out, recipe,
                      study_paths(plans, cohort, "validation"), study_paths(plans, cohort, "test"))
    typer.echo(table(results))


if __name__ == "__main__":
    typer.run(main)
