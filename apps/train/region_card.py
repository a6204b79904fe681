"""The region networks' bundle: weights, metadata and model card, written from the figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from apps.train.appearance import KINDS
from operators.region_segmenter.bundle import HEAD, METADATA, NUCLEI, Metadata
from operators.region_segmenter.classes import HeadClass, NucleusClass

_CARD = """\
# Lentiform region segmenter

Regions of the brain on T1w, or on T2w and gradient echo where there is no T1w. **Learned from
images synthesised from label maps of {learned} real heads, in contrasts drawn at random; not
validated on patients. Research software, not a medical device.**

## Model overview

Two U-Nets (2.4 and 2.8 million weights, stored in 16 bits). The first sees the whole head in voxels
of 3 mm and tells nuclei of both sides, white matter, cortex, corpus callosum, ventricles, brain
stem, cerebellum and the rest of the brain. By the nuclei it finds, the head is turned onto the
atlas; the second sees 60 x 100 x 60 mm of each side in voxels of 1.25 mm, the right one mirrored,
and draws caudate nucleus, putamen, pallidum, thalamus and the edges of the ventricles. The internal
capsule is the white matter between the nuclei; lobes come from the atlas, placed by landmarks
(docs/regions.md). How far the two looks agree on the nuclei is the quality; below
`region_segmenter.min_agreement` the template is registered instead.

## Data

Label maps of real heads in FreeSurfer numbers, published with SynthSeg (Apache-2.0): {learned} to
learn from, {held} to choose the weights on,
the others for `python -m benchmarks.region_dice`. Images are drawn from them after the idea of
SynthSeg (Billot et al., Med Image Anal 2023;86:102789): deformed, one brightness per tissue,
blurred, with bias fields, slices of up to 6 mm, noise, cut fields of view, with and without skull.
Each network learned in two cycles, the learning rate falling in each: first on contrasts like T1w
and on any, then like T2w and gradient echo too, the second network in more and coarser noise. No
real image was learned from.

## Performance

On synthetic images of the validation heads, which chose the weights: Dice of the nuclei seen
coarsely {head_t1w:.3f} on contrasts like T1w, {head_t2w:.3f} like T2w and {head_any:.3f} on any
(step {head_step}), finely {nuclei_t1w:.3f}, {nuclei_t2w:.3f} and {nuclei_any:.3f} (step
{nuclei_step}). Classes, like T1w, coarse: {coarse}.
Fine: {fine}. On heads that neither training nor choice saw, and on real T1w: docs/regions.md.

## Recipe

    python -m apps.train.regions --label-maps DIR --workdir DIR

Lentiform {software}; SHA-256:

{digests}

```json
{settings}
```

Licence: Apache-2.0, as the project.
"""


def write_bundle(
    out: Path, workdir: Path, learned: Sequence[str], held: Sequence[str],
    training: Mapping[Any, BaseModel],
) -> None:
    """The bundle of the weights in `workdir`: networks, metadata, card.

    `learned`, `held`: names of the heads that were learned from, and that chose the weights;
    `training`: settings of each network.
    """
    about = Metadata(
        name="Lentiform region networks", version=version("lentiform"),
        training_data="images synthesised from label maps of real heads")
    figures = {which: json.loads((workdir / f"{which}.json").read_text()) for which in training}
    weights = {HEAD: (workdir / "head.pt").read_bytes(),
               NUCLEI: (workdir / "nuclei.pt").read_bytes()}
    digests = "\n".join(f"- `{path}`: `{hashlib.sha256(content).hexdigest()}`"
                        for path, content in weights.items())
    card = _CARD.format(
        learned=len(learned), held=", ".join(held), digests=digests,
        software=about.version, coarse=_classes(figures["head"], HeadClass),
        fine=_classes(figures["nuclei"], NucleusClass), **{
            f"{which}_{key}": figures[which][key] for which in training
            for key in ("step", *KINDS)},
        settings=json.dumps({which: one.model_dump() for which, one in training.items()}, indent=1))
    contents = weights | {METADATA: (about.model_dump_json(indent=1) + "\n").encode(),
                          Path("docs") / "README.md": card.encode()}
    for path, content in contents.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)


def _classes(figures: dict[str, Any], names: type[IntEnum]) -> str:
    return ", ".join(f"{name.name.lower().replace('_', ' ')} {value:.2f}"
                     for name, value in zip(names, figures["classes"], strict=True))
