"""How deep features stand beside the baselines, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from apps.lnc.scores import Classification, Regression
from apps.lnc.study import ANATOMY, DEEP, PLAIN, LabelResult, QuantityResult

_COLOURS = {DEEP: "#1f5fa8", ANATOMY: "#c26a00", PLAIN: "#5c8a3a"}


def draw(
    quantities: Sequence[QuantityResult], labels: Sequence[LabelResult], path: Path
) -> None:
    """R2 of every quantity and balanced accuracy of every label, with intervals, to a PNG."""
    from matplotlib.figure import Figure

    rows: list[tuple[str, Mapping[str, Regression | Classification]]] = [
        (f"{one.role.value.upper()} {one.region}", dict(one.sets)) for one in quantities]
    rows += [(f"label {one.name}", dict(one.sets)) for one in labels]
    figure = Figure(figsize=(7, 1.2 + 0.5 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for row, (_, sets) in enumerate(rows):
        for place, (name, colour) in enumerate(_COLOURS.items()):
            own = sets[name]
            one = own.r2 if isinstance(own, Regression) else own.balanced_accuracy
            height = row + 0.22 * (place - 1)
            axes.plot((one.low, one.high), (height, height), color=colour)
            axes.plot(one.value, height, "o", color=colour, ms=5, label=name if row == 0 else None)
    axes.axvline(0, color="0.6", lw=0.8)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.invert_yaxis()
    axes.set_xlim(left=max(axes.get_xlim()[0], -1))
    axes.set_xlabel("R² of FA and CBF, balanced accuracy of labels")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    partial = path.with_suffix(".partial.png")
    figure.savefig(partial, dpi=110)
    partial.replace(path)
