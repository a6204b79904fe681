"""The lesion model's bundle: metadata and model card written from the figures, never by hand."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from apps.train.scoring import table
from operators.labels import LESIONS, LesionClass
from operators.lesion_segmenter.bundle import (
    CALIBRATION,
    CANDIDATES,
    METADATA,
    OPERATING_POINT,
    WEIGHTS,
    WITHOUT_QSM,
    weights_digest,
)
from operators.lesion_segmenter.calibration import Logistic
from operators.lesion_segmenter.components import LESION_CLASSES

NAME, VERSION = "Lentiform lesion segmenter", "0.1.0"
TRAINING_DATA = "simulated subjects only; not validated on patients"
UNTRIED = 0.5

_CARD = """\
# {name} {version}

Finds cerebral microbleeds, non-haemorrhagic iron deposits and calcifications on SWI, QSM and T2w
MR images. **Trained on simulation. Not validated on patients. Research software, not a medical
device.**

## Model overview

A 2.5D U-Net with seven levels (1.75 million parameters) sees a slice and its two neighbours of
SWI, QSM and T2w, and gives the probability of background, microbleed, iron deposit, calcification
and vessel for every pixel of the slice. The idea of a deep multi-contrast U-Net for microbleeds
and iron is that of DEEPMIR (Rashid et al., Scientific Reports 2021;11:14124); network, training
and code are our own. Half-way through training the statistics of batch normalisation stay as they
are, so that the network learns as the function that inference runs. The vessel class stands for
every other dark mimic: veins, flow voids, siderosis, cavernomas. Of these only what might be a
microbleed is listed, as a vessel.

## Data

{subjects}
Heads are parted before anything is simulated: no head and no seed is in two splits. The simulator
(`apps/phantom`, docs/simulation.md) plants microbleeds, iron deposits, calcifications, veins, flow
voids, siderosis, cavernomas, perivascular spaces and white-matter lesions; scanner settings vary
(1.5, 3 and 7 T, single and multiple echoes, slices of 0.8 to 4 mm, oblique slabs, Gibbs ringing,
motion). SWI and QSM are computed from the simulated magnitude and phase as the application computes
them. Labels are what differs visibly from the same scan without the lesion.

Anatomy: label maps of real heads in FreeSurfer numbers, published with SynthSeg (Apache-2.0).

## Input and output

Input: `swi`, `qsm` (ppm), `t2w` on one grid, inside the brain mask; intensities divided by their
local mean in the brain, QSM in units of 0.15 ppm from the brain's median; about 1 mm in plane.
QSM and T2w may be missing (zero): training left them out at times. A gradient-echo magnitude may
stand for SWI. Output: five probabilities per pixel.

A second stage, a 3D network of 0.38 million parameters, looks at 24 mm about each candidate, faint
ones too, and says what it is, if anything; it learned from what the first found in the training
subjects. A lesion's probability comes from the log-odds of both and the lesion's volume,
susceptibility, shape and depth by one logistic regression per class (a vessel's is the second
stage's own, uncalibrated), fitted on the validation subjects (simulated, half of them with more
lesions than the population has), and by another for studies without QSM, fitted on the same
subjects without theirs. Operating point per class, chosen on the same subjects for the best F1 at
no more than 0.5 false lesions of a class per scan: {points}.

## Performance

On simulated test subjects (other heads, other seeds, other scanners), from DICOM through the
application's steps, and beside published figures: docs/lesion-model/evaluation.md, which
`lentiform evaluate` writes.

On the validation subjects, through `segment_lesions` with the true regions, T2w misaligned by 0.3
mm, and a brain mask that is true, a pixel off, or, in half of the subjects, like the one that the
application makes. These subjects chose weights, calibration and operating points, so new ones will
show less. A listed lesion counts as found when it shares a voxel with a planted object of its own
class, one to one, largest overlap first.

{table}

These are figures on simulated lesions. They say nothing about sensitivity in patients.

## Limits

- Never trained on, and never tested against, real microbleeds.
- No stroke, haemorrhage larger than a microbleed, tumour or metastasis in training.
- Without QSM, calcification cannot be told from a microbleed by its sign. The second stage learned
  what candidates look like without QSM, but on candidates that were found with it.
- Slices thicker than 4 mm were not in training.
- One seed: small differences mean nothing.

## Recipe

    python -m apps.train.default --workdir DIR --label-maps DIR

{remarks}
Seed {seed}; simulator and recipe of Lentiform {software}; SHA-256 of `models/model.pt`
and `models/candidates.pt`, one after the other: `{digest}`.

Training settings per stage:

```json
{training}
```

## Licence

Apache-2.0, as the project.
"""


_OWN_CARD = """\
# {name} {version}, trained further

Finds cerebral microbleeds, non-haemorrhagic iron deposits and calcifications on SWI, QSM and T2w
MR images. **{warning}Research software, not a medical device.** {remarks}

## Data

{subjects} No subject is in two splits.

## Performance on the validation scans

The same scans chose the weights, the calibration and the operating point of each class ({points}),
so new scans will show less.

{table}

## Recipe

`lentiform train`, seed {seed}, Lentiform {software}; SHA-256 of the files in
`models`, one after the other: `{digest}`.

```json
{training}
```
"""


@dataclass(frozen=True, slots=True)
class Publication:
    """What is told about a set of weights besides the weights: how they came about, how they act.

    `recipe` has "seed", "subjects" (count per split) and "training" (settings); `results` are
    scores on the validation subjects. `own_data` names the scans of a user's own model, `simulated`
    tells whether those scores are of simulated lesions.
    """

    recipe: Mapping[str, Any]
    points: Mapping[LesionClass, float] = field(default_factory=dict)
    calibration: Mapping[LesionClass, Logistic] = field(default_factory=dict)
    calibration_without_qsm: Mapping[LesionClass, Logistic] = field(default_factory=dict)
    results: Mapping[str, float] = field(default_factory=dict)
    own_data: str = ""
    simulated: bool = True

    @property
    def scored_on(self) -> str:
        """What the scores are of, in words."""
        if not self.own_data:
            return "simulated subjects"
        return f"{'simulated' if self.simulated else 'annotated'} validation scans"

    def operating_point(self) -> dict[str, float]:
        """Least probability per class name, as metadata.json holds it."""
        return {kind.name.lower(): round(self.points.get(kind, UNTRIED), 3)
                for kind in LESION_CLASSES}


def write_bundle(
    out: Path, weights: Path, what: Publication, candidates: Path | None = None
) -> None:
    """Copy the weights into the bundle and write metadata.json and the model card around them.

    `candidates`: weights of the second stage; None leaves the bundle without one.
    """
    for part in ("configs", "models", "docs"):
        (out / part).mkdir(parents=True, exist_ok=True)
    if candidates is None:
        (out / CANDIDATES).unlink(missing_ok=True)
    for source, target in ((weights, WEIGHTS), (candidates, CANDIDATES)):
        if source is not None and source.resolve() != (out / target).resolve():
            shutil.copyfile(source, out / target)
    (out / METADATA).write_text(json.dumps(_metadata(what), indent=2) + "\n", encoding="utf-8")
    (out / "docs/README.md").write_text(_card(out, what), encoding="utf-8")


def _card(out: Path, what: Publication) -> str:
    recipe, chosen = what.recipe, what.operating_point()
    template = _OWN_CARD if what.own_data else _CARD
    where = what.own_data or "Simulated subjects"
    subjects = ", ".join(f"{count} {split}" for split, count in recipe["subjects"].items())
    return template.format(
        name=NAME, version=VERSION, subjects=f"{where[0].upper()}{where[1:]}: {subjects}.",
        points=", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in chosen.items()),
        table=table(what.results, what.scored_on), seed=recipe["seed"],
        software=version("lentiform"),
        digest=weights_digest(out),
        warning="Trained on simulation. Not validated on patients. " * what.simulated,
        training=json.dumps(recipe["training"], indent=1), remarks=recipe.get("remarks", ""),
    )


def _metadata(what: Publication) -> dict[str, Any]:
    classes = {"0": "background"} | {str(int(k)): v.name for k, v in LESIONS.items()}
    return {
        "schema": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/"
                  "0.8.1/meta_schema_20240725.json",
        "name": NAME, "version": VERSION,
        "changelog": {VERSION: f"trained on {what.own_data or 'simulated subjects'}"},
        "monai_version": version("monai"), "pytorch_version": version("torch").split("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"scipy": version("scipy")},
        "task": "Segmentation of cerebral microbleeds, iron deposits and calcifications",
        "description": "2.5D U-Net on SWI, QSM and T2w MR images of the brain. Trained on "
                       f"{what.own_data or TRAINING_DATA}.",
        "authors": "The Lentiform authors", "copyright": "The Lentiform authors",
        "data_source": what.own_data or "simulated (apps/phantom)", "data_type": "numpy",
        "intended_use": "Research software, not a medical device.",
        "training_data": what.own_data or TRAINING_DATA, OPERATING_POINT: what.operating_point(),
        CALIBRATION: _plain(what.calibration),
        WITHOUT_QSM: _plain(what.calibration_without_qsm),
        "recipe": dict(what.recipe),
        "eval_metrics": {f"{'simulated_' if what.simulated else ''}validation_{name}": value
                         for name, value in what.results.items() if math.isfinite(value)},
        "network_data_format": {
            "inputs": {"image": {
                "type": "image", "format": "magnitude", "modality": "MR", "num_channels": 9,
                "spatial_shape": ["64*n", "64*n"], "dtype": "float32", "value_range": [-6, 6],
                "is_patch_data": False,
                "channel_def": {str(3 * i + j): f"{name} slice {j - 1:+d}"
                                for i, name in enumerate(("swi", "qsm", "t2w")) for j in range(3)},
            }},
            "outputs": {"pred": {
                "type": "image", "format": "segmentation", "num_channels": 5,
                "spatial_shape": ["64*n", "64*n"], "dtype": "float32", "value_range": [],
                "is_patch_data": False, "channel_def": classes,
            }},
        },
    }


def _plain(models: Mapping[LesionClass, Logistic]) -> dict[str, dict[str, float]]:
    return {kind.name.lower(): model.as_plain() for kind, model in models.items()}
