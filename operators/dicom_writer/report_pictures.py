"""Key pictures of the report, as PNG: radiological display, patient's right on the left."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from operators.labels import LESIONS, LNC_NAMES, STRUCTURES, LesionClass
from operators.types import CoregisteredStudy, Lesion, LesionMap, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume

_HALF_FIELD_MM = 22.0
_MARGIN_MM = 8.0
_NAMES = {
    Role.SWI: "SWI", Role.QSM: "QSM", Role.T2W: "T2", Role.MAGNITUDE: "GRE", Role.T1W: "T1",
    Role.FA: "FA", Role.CBF: "CBF",
}
_PANELS = (Role.SWI, Role.QSM, Role.T2W, Role.MAGNITUDE)
_WINDOWS: dict[Role, tuple[float, float]] = {
    Role.QSM: (-0.15, 0.25),
    Role.FA: (0.0, 0.8),
}
"""Fixed display windows, in the unit of the contrast; the others follow the brain's percentiles."""


def key_lesions(lesions: LesionMap, limit: int) -> tuple[Lesion, ...]:
    """The lesions worth a picture: microbleeds, then iron, then mimics, each largest first."""
    order = list(LesionClass)
    ranked = sorted(lesions.lesions, key=lambda x: (order.index(x.kind), -x.volume_mm3))
    return tuple(ranked[:limit])


def lesion_picture(study: CoregisteredStudy, lesions: LesionMap, lesion: Lesion) -> bytes:
    """One lesion at its centre slice in every susceptibility contrast, outlined in its colour."""
    present = [role for role in _PANELS if role in study.contrasts][:3] or [study.reference]
    upright = _upright(lesions.labels)
    centre = upright.map_reference_to_indices(
        np.array([lesion.centroid_lps_mm]), round_output=True
    )[0]
    window = _crop(upright, centre)
    outline = np.asarray(upright.array[window] == lesion.index)
    figure, axes = _figure(len(present), width=1.5)
    colour = np.array(LESIONS[lesion.kind].rgb) / 255
    for axis, role in zip(axes, present, strict=True):
        image = _upright(study.contrasts[role])
        low, high = _window(role, image.array)
        _show(axis, np.asarray(image.array[window]), upright, (low, high))
        axis.contour(outline, levels=[0.5], colors=[colour], linewidths=0.8)
        axis.set_title(_NAMES.get(role, role.value), fontsize=6, pad=2)
    return _png(figure)


def region_picture(study: CoregisteredStudy, regions: RegionMap) -> bytes:
    """LNC regions on T1 (or the reference), with FA and CBF beside it, through the putamina."""
    labels = _upright(regions.labels)
    numbers = [n for n, structure in STRUCTURES.items() if structure.name in LNC_NAMES]
    inside = np.isin(labels.array, numbers)
    level = int(np.argmax(inside.sum(axis=(1, 2))))
    base = Role.T1W if Role.T1W in study.contrasts else study.reference
    present = [base, *(r for r in (Role.FA, Role.CBF, Role.QSM) if r in study.contrasts)][:3]
    window = (level, *_brain_box(_upright(regions.brain), level))
    figure, axes = _figure(len(present), width=2.3)
    for axis, role in zip(axes, present, strict=True):
        image = _upright(study.contrasts[role])
        _show(axis, np.asarray(image.array[window]), labels, _window(role, image.array))
        _outline_regions(axis, np.asarray(labels.array[window]), numbers)
        axis.set_title(_NAMES.get(role, role.value), fontsize=7, pad=2)
        _mark_sides(axis)
    return _png(figure)


SALIENCY_PANELS = 3


def saliency_picture(
    study: CoregisteredStudy, regions: RegionMap, maps: Mapping[str, Volume]
) -> bytes:
    """A panel per map, at most three, over T1w in the slice in which they are strongest."""
    shown = dict(list(maps.items())[:SALIENCY_PANELS])
    upright = {name: _upright(one) for name, one in shown.items()}
    level = int(np.argmax(sum(one.array.sum(axis=(1, 2)) for one in upright.values())))
    base = Role.T1W if Role.T1W in study.contrasts else study.reference
    image, labels = _upright(study.contrasts[base]), _upright(regions.labels)
    numbers = [n for n, structure in STRUCTURES.items() if structure.name in LNC_NAMES]
    window = (level, *_brain_box(_upright(regions.brain), level))
    figure, axes = _figure(len(shown), width=2.3)
    for axis, (name, one) in zip(axes, upright.items(), strict=True):
        _show(axis, np.asarray(image.array[window]), labels, _window(base, image.array))
        plane = np.asarray(one.array[window])
        axis.imshow(np.ma.masked_less(plane, 0.1), cmap="inferno", vmin=0, vmax=1, alpha=0.55,
                    aspect=labels.spacing[1] / labels.spacing[2], interpolation="bilinear")
        _outline_regions(axis, np.asarray(labels.array[window]), numbers)
        axis.set_title(name, fontsize=7, pad=2)
        _mark_sides(axis)
    return _png(figure)


def _brain_box(brain: Volume, level: int) -> tuple[slice, slice]:
    """Rows and columns of the brain in a slice, with a margin; all of them without a brain."""
    sides = []
    for axis in (0, 1):
        where = np.flatnonzero(np.asarray(brain.array[level]).any(axis=1 - axis))
        size, step_mm = brain.spatial_shape[1 + axis], brain.spacing[1 + axis]
        margin = round(_MARGIN_MM / step_mm)
        first, last = (where[0], where[-1]) if where.size else (0, size)
        sides.append(slice(max(0, first - margin), min(size, last + margin + 1)))
    return sides[0], sides[1]


def _outline_regions(axis: Any, labels: NDArray[Any], numbers: Sequence[int]) -> None:
    for number in numbers:
        if (labels == number).any():
            colour = np.array(STRUCTURES[number].rgb) / 255
            axis.contour(labels == number, levels=[0.5], colors=[colour], linewidths=0.7)


def _upright(volume: Volume) -> Volume:
    """Axes turned to foot-head, front-back, right-left: a radiologist's axial view."""
    return volume.to_patient_orientation("HPL")


def _crop(volume: Volume, centre: NDArray[Any]) -> tuple[int | slice, ...]:
    rows, columns = (round(_HALF_FIELD_MM / mm) for mm in volume.spacing[1:])
    middle = [int(np.clip(c, 0, n - 1)) for c, n in zip(centre, volume.spatial_shape, strict=True)]
    return (
        middle[0],
        slice(max(middle[1] - rows, 0), middle[1] + rows + 1),
        slice(max(middle[2] - columns, 0), middle[2] + columns + 1),
    )


def _window(role: Role, array: NDArray[Any]) -> tuple[float, float]:
    if role in _WINDOWS:
        return _WINDOWS[role]
    finite = array[np.isfinite(array) & (array > 0)]
    if finite.size == 0:
        return 0.0, 1.0
    return 0.0, float(np.percentile(finite, 99))


def _figure(count: int, *, width: float) -> tuple[Any, Sequence[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * count, width * 1.12), dpi=200, facecolor="black")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.01, top=0.9, wspace=0.03)
    return figure, axes


def _show(
    axis: Any, plane: NDArray[Any], grid: Volume, window: tuple[float, float]
) -> None:
    aspect = grid.spacing[1] / grid.spacing[2]
    shown = np.nan_to_num(plane, nan=window[0])
    axis.imshow(shown, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect,
                interpolation="bilinear")
    axis.set_axis_off()
    axis.title.set_color("white")


def _mark_sides(axis: Any) -> None:
    for x, letter in ((0.04, "R"), (0.93, "L")):
        axis.text(x, 0.5, letter, color="white", fontsize=6, transform=axis.transAxes)


def _png(figure: Any) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", facecolor="black")
    return stream.getvalue()
