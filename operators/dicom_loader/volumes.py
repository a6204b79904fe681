"""From frames to volumes on one grid: order, completeness and spacing, without any pixel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.elements import number_of
from operators.dicom_loader.enhanced import group_of_first_frame
from operators.dicom_loader.frames import Frame
from operators.errors import BrokenSeries
from operators.types import Sample

# Own choice: wider than any gap that a brain protocol leaves.
_WIDEST_GAP = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Frames of a series arranged as volumes.

    Attributes
    ----------
    volumes : per volume its frames in slice order.
    samples : one per volume.
    affine_lps_mm : (4, 4), maps (slice, row, column) to LPS mm; right-handed, the direction in
        which highdicom stacks slices.
    """

    volumes: tuple[tuple[Frame, ...], ...]
    samples: tuple[Sample, ...]
    affine_lps_mm: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        plane = self.volumes[0][0].plane
        return len(self.volumes[0]), plane.rows, plane.columns

    def select(self, keep: Sequence[int]) -> Layout:
        """The same grid with some of the volumes, in the order given."""
        return replace(
            self,
            volumes=tuple(self.volumes[i] for i in keep),
            samples=tuple(self.samples[i] for i in keep),
        )

    def followed_by(self, other: Layout) -> Layout:
        """The volumes of both, on this grid; the caller has seen that the grids agree."""
        return replace(
            self,
            volumes=self.volumes + other.volumes,
            samples=self.samples + other.samples,
        )


def arrange(frames: Sequence[Frame], *, spacing_mm: float, shift_mm: float) -> Layout:
    """Split frames into volumes by echo, diffusion, labelling and repetition; check the grid.

    `spacing_mm` is the tolerance on slice steps, `shift_mm` on sideways shifts. Volumes are sorted
    by b-value, echo time (ASL: not) and acquisition order. Raises BrokenSeries
    for missing or doubled slices, uneven spacing, and slices not stacked along their normal; the
    message names the file.
    """
    parts: dict[tuple[object, ...], list[Frame]] = {}
    for frame in frames:
        parts.setdefault(_contrast(frame.sample), []).append(frame)
    volumes: list[list[Frame]] = []
    for part in parts.values():
        volumes += _repetitions(part, spacing_mm)
    volumes = [sorted(v, key=_along) for v in volumes]
    volumes.sort(key=_volume_order)
    reference = max(volumes, key=len)
    _check_spacing(reference, spacing_mm)
    for volume in volumes:
        _check_same_positions(volume, reference, spacing_mm)
        _check_spacing(volume, spacing_mm)
        _check_stacking(volume, shift_mm)
    _check_stated_step(reference, frames, spacing_mm)
    return Layout(
        tuple(tuple(volume) for volume in volumes), _samples(volumes), _affine(reference)
    )


def same_grid(one: Layout, other: Layout, *, tolerance_mm: float) -> bool:
    """Whether two layouts have the same shape and their affines agree within the tolerance."""
    return one.shape == other.shape and bool(
        np.abs(one.affine_lps_mm - other.affine_lps_mm).max() <= tolerance_mm
    )


def _contrast(sample: Sample) -> tuple[object, ...]:
    echo = None if sample.echo_time_ms is None else round(sample.echo_time_ms, 3)
    b = None if sample.b_value_s_mm2 is None else round(sample.b_value_s_mm2)
    vector = sample.b_vector_lps
    return echo, b, None if vector is None else tuple(round(v, 3) for v in vector), sample.asl


def _normal(frame: Frame) -> NDArray[np.float64]:
    """Direction in which slices are stacked: column direction x row direction (right-handed)."""
    ux, uy, uz, vx, vy, vz = frame.plane.orientation
    return np.array([vy * uz - vz * uy, vz * ux - vx * uz, vx * uy - vy * ux])


def _along(frame: Frame) -> float:
    """Place of a slice along the stacking direction, mm. Plain numbers: called per slice."""
    ux, uy, uz, vx, vy, vz = frame.plane.orientation
    x, y, z = frame.plane.position_mm
    return x * (vy * uz - vz * uy) + y * (vz * ux - vx * uz) + z * (vx * uy - vy * ux)


def _volume_order(volume: list[Frame]) -> tuple[object, ...]:
    """By b-value, then echo (not within ASL, a time series), then as acquired."""
    sample = volume[0].sample
    echo = 0.0 if sample.asl is not None else sample.echo_time_ms or 0.0
    first = min(volume, key=lambda frame: (frame.order, frame.number))
    return (sample.b_value_s_mm2 or 0.0, echo, sample.repetition, first.order, first.number)


def _repetitions(part: list[Frame], spacing_mm: float) -> list[list[Frame]]:
    """Frames of one contrast as one volume per repetition."""
    stacks = _by_position(part, spacing_mm)
    counts = [len(stack) for stack in stacks]
    most = max(counts)
    if most == 1:
        return [part]
    if min(counts) == most:
        ordered = [sorted(stack, key=_acquired) for stack in stacks]
        return [list(volume) for volume in zip(*ordered, strict=True)]
    stated = {frame.sample.repetition for frame in part}
    if len(stated) == most:
        gathered = (
            [f for f in part if f.sample.repetition == repetition] for repetition in sorted(stated)
        )
        return list(gathered)
    doubled = stacks[int(np.argmax(counts))]
    names = " and ".join(frame.instance.name for frame in doubled[:2])
    raise BrokenSeries(
        f"Doubled slice: {names} lie at the same position ({most} slices found there, "
        f"{min(counts)} wanted). Remove the copy."
    )


def _acquired(frame: Frame) -> tuple[object, ...]:
    return frame.sample.repetition, frame.order, frame.number


def _by_position(part: list[Frame], spacing_mm: float) -> list[list[Frame]]:
    stacks: list[list[Frame]] = []
    previous = -np.inf
    for frame in sorted(part, key=_along):
        here = _along(frame)
        if here - previous > spacing_mm:
            stacks.append([])
            previous = here
        stacks[-1].append(frame)
    return stacks


def _check_spacing(volume: list[Frame], spacing_mm: float) -> None:
    if len(volume) < 3:
        return
    places = np.array([_along(frame) for frame in volume])
    steps = np.diff(places)
    usual = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[worst] - usual) <= spacing_mm:
        return
    before, after = volume[worst].instance.name, volume[worst + 1].instance.name
    missing = round(float(steps[worst]) / usual) - 1
    whole = abs(steps[worst] - (missing + 1) * usual) <= spacing_mm * (missing + 1)
    kind = f"{missing} slice(s) missing" if missing >= 1 and whole else "Uneven slice spacing"
    raise BrokenSeries(
        f"{kind} between {before} and {after}: step of {steps[worst]:.3g} mm found, "
        f"{usual:.3g} mm wanted. Send the series again, complete."
    )


def _check_stated_step(
    volume: list[Frame], series: Sequence[Frame], spacing_mm: float
) -> None:
    """Every second slice lost leaves an even spacing: held against what the header says of it.

    Spacing Between Slices, centre to centre; some exporters write the gap there, so below the slice
    thickness it is believed for 3D alone. Without it the slices of an original 3D acquisition touch
    (overlap is possible, a gap is not). Headers err: where the instance numbers of the series are
    consecutive, nothing was lost. Beyond five thicknesses original slices make no volume at all.
    """
    if len(volume) < 2:
        return
    first, second = volume[:2]
    step = _along(second) - _along(first)
    stated, thickness = (_stated(first, k) for k in ("SpacingBetweenSlices", "SliceThickness"))
    acquired = str(first.instance.header.get("MRAcquisitionType", ""))
    is_original = "ORIGINAL" in first.tokens
    is_3d = acquired == "3D" and is_original
    if thickness and is_original and step > _WIDEST_GAP * thickness:
        raise BrokenSeries(
            f"Slices missing: {first.instance.name} and {second.instance.name} lie {step:.3g} mm "
            f"apart, slices are {thickness:.3g} mm thick. Send the series again, complete."
        )
    if stated and stated > 0 and (is_3d or stated >= 0.99 * (thickness or 0.0)):
        wanted, source = stated, "Spacing Between Slices"
    elif thickness and is_3d:
        wanted, source = thickness, "Slice Thickness of a 3D acquisition"
    else:
        return
    numbers = {frame.order[1] for frame in series}
    consecutive = len(numbers) == len(series) == max(numbers) - min(numbers) + 1
    times = round(step / wanted)
    if times > 1 and not consecutive and abs(step - times * wanted) <= spacing_mm * times:
        raise BrokenSeries(
            f"Slices missing throughout: {first.instance.name} and {second.instance.name} lie "
            f"{step:.3g} mm apart, {wanted:.3g} mm wanted ({source}). Send the series again, "
            "complete."
        )


def _check_same_positions(
    volume: list[Frame], reference: list[Frame], spacing_mm: float
) -> None:
    ours = np.array([_along(frame) for frame in volume])
    for frame in reference:
        if np.abs(ours - _along(frame)).min() > spacing_mm:
            raise BrokenSeries(
                f"Slice missing: the volume of {volume[0].instance.name} has {len(volume)} slices, "
                f"{len(reference)} wanted; none at the position of {frame.instance.name}. "
                "Send the series again, complete."
            )


def _check_stacking(volume: list[Frame], shift_mm: float) -> None:
    first = volume[0]
    normal = _normal(first)
    start = np.array(first.plane.position_mm)
    for frame in volume[1:]:
        offset = np.array(frame.plane.position_mm) - start
        sideways = float(np.linalg.norm(offset - np.dot(offset, normal) * normal))
        if sideways > shift_mm:
            raise BrokenSeries(
                f"Slices are not stacked along their normal: {frame.instance.name} is shifted by "
                f"{sideways:.3g} mm against {first.instance.name}, at most {shift_mm:g} mm wanted. "
                "Send the series without gantry tilt or reformatting."
            )


def _samples(volumes: Iterable[list[Frame]]) -> tuple[Sample, ...]:
    """Samples of the volumes, equal contrasts numbered from 0."""
    seen: dict[tuple[object, ...], int] = {}
    samples = []
    for volume in volumes:
        key = _contrast(volume[0].sample)
        count = seen.get(key, 0)
        seen[key] = count + 1
        samples.append(replace(volume[0].sample, repetition=count))
    return tuple(samples)


def _affine(volume: list[Frame]) -> NDArray[np.float64]:
    first, last = volume[0].plane, volume[-1].plane
    axes = np.array(first.orientation)
    start, end = np.array(first.position_mm), np.array(last.position_mm)
    if len(volume) > 1:
        step = _normal(volume[0]) * (np.dot(_normal(volume[0]), end - start) / (len(volume) - 1))
    else:
        step = _normal(volume[0]) * _stated_step(volume[0])
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = axes[3:] * first.spacing_mm[0]
    affine[:3, 2] = axes[:3] * first.spacing_mm[1]
    affine[:3, 3] = start
    return affine


def _stated_step(frame: Frame) -> float:
    stated = _stated(frame, "SpacingBetweenSlices") or _stated(frame, "SliceThickness")
    return abs(stated or 1.0)


def _stated(frame: Frame, keyword: str) -> float | None:
    """A length of the header, mm, wherever the object keeps it."""
    header = frame.instance.header
    measures = group_of_first_frame(header, "PixelMeasuresSequence")
    value = number_of(header, keyword)
    return number_of(measures, keyword) if value is None else value
