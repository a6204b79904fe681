"""What the lesion segmenter raises on real images: every candidate counted, and drawn to be judged.

    python -m benchmarks.real_candidates [--data ../shared/data] [--out docs/images/...png]

Two 7 T crops (0.47 x 0.47 x 1 mm, the project's own SWI and QSM, the whole crop taken for brain)
and the longest echo of three GRE magnitudes of whole heads at 3 T (about 3 mm voxels), which the
product itself refuses as field maps: here they take the place of SWI. Nothing is known about true
lesions in any of them. Counted per class: listed at the model's operating points / every candidate
of a probability over 0.05. Drawn, the likeliest first: each candidate outlined in its slice,
near by, outlined across the slices, and on QSM where there is one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.evaluate.examination import LEAST, listing_all
from apps.train.subjects import Examined, as_study
from benchmarks.qsm_7t import CROPS, DATA, maps, read_crop
from operators.brain_mask import brain_mask
from operators.dicom_loader.load import load_study
from operators.dicom_loader.settings import LoaderSettings, Match, Rule
from operators.labels import LESIONS, LesionClass
from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import Lesion, LesionMap, NotAssessed, Role

HEADS = ("siemens_gre_dual_echo/In", "siemens_xa30_enhanced/In", "philips_elition/In/cl")
FIELD_MAPS = Rule(
    role=Role.MAGNITUDE, because="GRE magnitude, though a field map",
    any_of=(Match(component=("magnitude",), scanning=("GR", "RM"), description="field"),),
)
MOST_DRAWN = 24
REACH_MM, REACH_VOXELS = 12.0, 8
QSM_PPM = 0.15


@dataclass(frozen=True, slots=True)
class Candidate:
    """One lesion of one image, and whether it is listed at the operating point."""

    subject: Examined
    labels: NDArray
    lesion: Lesion
    listed: bool


def subjects(data: Path) -> Iterator[Examined]:
    """The images in the place of SWI, with QSM where there is one."""
    for name in CROPS:
        magnitudes, phases = read_crop(data / name)
        swi, chi = maps(magnitudes, phases)
        yield _examined(name, {Role.SWI: swi, Role.QSM: chi}, np.ones(swi.shape, bool),
                        magnitudes[0].affine)
    for folder in HEADS:
        loader = LoaderSettings(rules=(FIELD_MAPS,))
        echo = load_study(data / folder, settings=loader).series[Role.MAGNITUDE].volumes[-1]
        brain = np.asarray(brain_mask(echo, role=Role.MAGNITUDE).array, bool)
        yield _examined(folder.split("/")[0], {Role.SWI: np.asarray(echo.array, np.float32)},
                        brain, echo.affine)


def _examined(
    name: str, contrasts: dict[Role, NDArray], brain: NDArray, affine: NDArray
) -> Examined:
    nothing = np.zeros(brain.shape, np.uint16)
    return Examined(name, name, None, contrasts, brain, nothing.astype(np.uint8), nothing, {}, {},
                    affine, "1.2.3")


def candidates(subject: Examined, models: Path) -> list[Candidate]:
    """Every candidate over 0.05, and what is listed, the likeliest first."""
    every, usual = (_lesions(subject, models, settings)
                    for settings in (listing_all(), LesionSettings()))
    found = [Candidate(subject, usual.labels.array, one, True) for one in usual.lesions]
    found += [Candidate(subject, every.labels.array, one, False) for one in every.lesions
              if not usual.labels.array[every.labels.array == one.index].any()]
    return sorted(found, key=lambda one: -one.lesion.probability)


def _lesions(subject: Examined, models: Path, settings: LesionSettings) -> LesionMap:
    study, regions = as_study(subject)
    found = segment_lesions(study, regions, bundle=models, settings=settings)
    if isinstance(found, NotAssessed):
        raise SystemExit(f"{subject.subject} was not assessed: {found.reason}")
    return found


def table(found: dict[str, list[Candidate]]) -> str:
    """Markdown: listed / all candidates per image and class."""
    kinds = [kind for kind in LESIONS if kind is not LesionClass.VESSEL] + [LesionClass.VESSEL]
    head = " | ".join(LESIONS[kind].abbreviation for kind in kinds)
    lines = [f"| image | {head} |", "|---|" + "---|" * len(kinds)]
    for name, each in found.items():
        of = {kind: [one.listed for one in each if one.lesion.kind is kind] for kind in kinds}
        cells = " | ".join(f"{sum(of[kind])} / {len(of[kind])}" for kind in kinds)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def draw(found: Sequence[Candidate], path: Path) -> None:
    """Two candidates a row: whole slice, near by, across the slices, QSM."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, -(-len(found) // 2))
    figure = Figure(figsize=(14, 2.05 * rows))
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 8, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for place, one in enumerate(found):
        first = 4 * (place % 2)
        _draw_one(one, axes[place // 2, first:first + 4])
    figure.tight_layout(pad=0.4)
    figure.savefig(path, dpi=90)


def _draw_one(one: Candidate, axes: NDArray) -> None:
    subject, lesion = one.subject, one.lesion
    mask = one.labels == lesion.index
    spacing = np.linalg.norm(subject.affine[:3, :3], axis=0)
    centre = np.argwhere(mask).mean(axis=0).round().astype(int)
    reach = np.maximum(REACH_MM / spacing, REACH_VOXELS)
    plane, *near = (slice(max(0, int(c - r)), int(c + r) + 1)
                    for c, r in zip(centre, reach, strict=True))
    whole, zoom = (centre[0], slice(None), slice(None)), (centre[0], *near)
    swi, upright = subject.contrasts[Role.SWI], (plane, centre[1], near[1])
    chi = subject.contrasts.get(Role.QSM)
    for axis, image, view in zip(axes, (swi, swi, swi, chi), (whole, zoom, upright, zoom),
                                 strict=True):
        if image is None:
            continue
        step = spacing[0] if view is upright else spacing[1]
        low, high = (-QSM_PPM, QSM_PPM) if image is chi else (
            0.0, float(np.percentile(image[view], 99)))
        axis.imshow(image[view], cmap="gray", vmin=low, vmax=high, aspect=step / spacing[2],
                    origin="lower" if view is upright else "upper")
        if view is not zoom and mask[view].any():
            axis.contour(mask[view], [0.5], colors="tab:orange", linewidths=0.8)
    axes[0].set_title(subject.subject.replace("_", " "), fontsize=7)
    axes[1].set_title(f"{LESIONS[lesion.kind].abbreviation} {lesion.probability:.2f}"
                      f"{', LISTED' if one.listed else ''}", fontsize=7)
    axes[2].set_title(f"{lesion.volume_mm3:.0f} mm3", fontsize=7)
    axes[3].set_title("no QSM" if lesion.mean_ppm is None else f"{lesion.mean_ppm:+.2f} ppm",
                      fontsize=7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--models", type=Path, default=Path("models/lesion_segmenter"))
    parser.add_argument("--out", type=Path, default=Path("docs/images/real-candidates.png"))
    options = parser.parse_args()
    found = {one.subject: candidates(one, options.models) for one in subjects(options.data)}
    print(f"Listed at the operating points / probability over {LEAST}:\n\n{table(found)}")
    everything = sorted((one for each in found.values() for one in each),
                        key=lambda one: (not one.listed, -one.lesion.probability))
    if len(everything) > MOST_DRAWN:
        print(f"\nDrawn: {MOST_DRAWN} of {len(everything)}, the listed and then the likeliest.")
    draw(everything[:MOST_DRAWN], options.out)


if __name__ == "__main__":
    main()
