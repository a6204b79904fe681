"""Magnitude and phase of one scan, paired echo by echo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operators.errors import StepFailed
from operators.types import Series

if TYPE_CHECKING:
    from highdicom import Volume

_TOLERANCE_MS = 0.1
"""Echo times this near are one echo: headers round them."""


@dataclass(frozen=True, slots=True, eq=False)
class Echo:
    """One gradient echo: magnitude (any unit) and phase (radians) on one grid."""

    time_ms: float
    magnitude: Volume
    phase: Volume


def paired_echoes(magnitude: Series, phase: Series) -> tuple[Echo, ...]:
    """Echoes of which both images are there, ascending echo time; the first of repeated ones.

    Raises StepFailed when no echo time is known to both, or the grids differ.
    """
    for series, name in ((magnitude, "magnitude"), (phase, "phase")):
        if all(sample.echo_time_ms is None for sample in series.samples):
            raise StepFailed(
                f"The {name} series states no echo time; one is wanted for each echo, to pair "
                "magnitude with phase and to scale phase. Send the series with Echo Time "
                "(0018,0081)."
            )
    echoes: dict[float, Echo] = {}
    for angle, sample in zip(phase.volumes, phase.samples, strict=True):
        time = sample.echo_time_ms
        twin = _at(magnitude, time)
        if time is None or twin is None or any(abs(time - t) < _TOLERANCE_MS for t in echoes):
            continue
        if not twin.geometry_equal(angle, tol=1e-2):
            raise StepFailed(
                f"Magnitude and phase at {time:g} ms lie on different grids ({twin.spatial_shape} "
                f"and {angle.spatial_shape}). Send the two of one scan."
            )
        echoes[time] = Echo(time, twin, angle)
    if not echoes:
        raise StepFailed(
            f"No echo has both magnitude ({_times(magnitude)}) and phase ({_times(phase)}). Send "
            "the two of one scan."
        )
    return tuple(echoes[time] for time in sorted(echoes))


def _at(series: Series, time_ms: float | None) -> Volume | None:
    for volume, sample in zip(series.volumes, series.samples, strict=True):
        known = time_ms is not None and sample.echo_time_ms is not None
        if known and abs(sample.echo_time_ms - time_ms) < _TOLERANCE_MS:  # type: ignore[operator]
            return volume
    return None


def _times(series: Series) -> str:
    times = [sample.echo_time_ms for sample in series.samples]
    return ", ".join("echo time unknown" if t is None else f"{t:g} ms" for t in times)
