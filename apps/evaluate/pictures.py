"""The pictures of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.evaluate.examination import Examination
from apps.evaluate.statistics import agreement, froc, reliability, tally
from operators.labels import LESIONS, LesionClass

SHOWN = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
_SIZE_INCHES = (6.4, 3.2)


def draw(
    listed: Sequence[Examination], candidates: Sequence[Examination], folder: Path, label: str
) -> Mapping[str, str]:
    """Write froc.png, calibration.png and bland-altman.png; title -> file name.

    `label` says on every picture what the scans are. Curves are over `candidates`.
    """
    pictures: dict[str, tuple[str, Sequence[Examination], Callable[..., None]]] = {
        "Free-response ROC": ("froc.png", candidates, _froc),
        "Calibration": ("calibration.png", candidates, _calibration),
        "Bland-Altman of counts": ("bland-altman.png", listed, _bland_altman),
    }
    for file, examinations, paint in pictures.values():
        _figure(examinations, paint, folder / file, label)
    return {title: file for title, (file, *_) in pictures.items()}


def _figure(
    examinations: Sequence[Examination], paint: Callable[..., None], path: Path, label: str
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE_INCHES, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(label, fontsize=8)
    for axes, kind in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
        axes.set_title(LESIONS[kind].name, fontsize=9)
        axes.tick_params(labelsize=7)
        paint(axes, examinations, kind)
    figure.savefig(path, metadata={"Software": None})


def _froc(axes: Any, examinations: Sequence[Examination], kind: LesionClass) -> None:
    points = froc(examinations, kind)
    axes.plot([one.false_per_scan for one in points], [one.sensitivity for one in points],
              drawstyle="steps-post")
    axes.set(ylim=(0, 1), xlim=(0, None), xlabel="false positives per scan", ylabel="sensitivity")


def _calibration(axes: Any, examinations: Sequence[Examination], kind: LesionClass) -> None:
    bins, _ = reliability(examinations, kind)
    axes.plot((0, 1), (0, 1), color="0.7", linewidth=1)
    axes.plot([one.mean_probability for one in bins], [one.share_true for one in bins], "o-")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability", ylabel="share that is true")


def _bland_altman(axes: Any, examinations: Sequence[Examination], kind: LesionClass) -> None:
    tallies = [tally(one, kind) for one in examinations]
    known, listed = [one.known for one in tallies], [one.listed for one in tallies]
    lines = agreement(known, listed)
    axes.plot([(a + b) / 2 for a, b in zip(known, listed, strict=True)],
              [b - a for a, b in zip(known, listed, strict=True)], "o", alpha=0.5)
    for height, style in ((lines.difference, "-"), (lines.low, "--"), (lines.high, "--")):
        axes.axhline(height, color="0.5", linestyle=style, linewidth=1)
    axes.set(xlabel="mean of listed and known", ylabel="listed minus known")
