"""Chosen candidates to series: which volumes are kept, and values in their unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from operators.dicom_loader.candidate import Candidate
from operators.dicom_loader.elements import number_of
from operators.dicom_loader.frames import Scaling
from operators.dicom_loader.perfusion import assumed_kinds, cbf_unit
from operators.dicom_loader.phase import complex_to_phase, phase_to_radians, without_alternation
from operators.dicom_loader.pixels import read_arrays
from operators.dicom_loader.volumes import Layout
from operators.errors import BrokenSeries
from operators.types import AslKind, Role, Sample, Unit

Arrays = list[NDArray[np.float32]]

# An image without direction above this b is isotropic (trace or ADC); scanners write b0 as 0 to 5.
_B0_LIMIT = 50.0
_STRAY_SHARE = 0.01  # own choice: filters ring a little below zero, noise lifts FA above 1


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Arrays of the kept volumes in `unit`, their samples, the layout kept, and remarks."""

    arrays: Arrays
    samples: tuple[Sample, ...]
    layout: Layout
    unit: Unit
    remarks: tuple[str, ...] = ()


def read_values(candidate: Candidate, *, as_carrier: bool = False) -> Values:
    """Read the pixels of a chosen candidate and bring them to the unit of its role.

    `as_carrier` reads only what carries a map into registration: b = 0 of DWI, M0 of ASL. Raises
    BrokenSeries for a candidate whose slices make no volume.
    """
    if candidate.layout is None:
        raise BrokenSeries(f"{candidate.name} ({candidate.role.value}): {candidate.broken}")
    keep, remarks = _kept(candidate.layout.samples, candidate.role)
    if as_carrier:
        keep = _carrier(candidate.layout.samples, keep, candidate.role)
    layout = candidate.layout.select(keep)
    if candidate.role != Role.DWI:
        layout = _plain_samples(layout)
    imaginary = None if candidate.imaginary is None else candidate.imaginary.select(keep)
    reduced = replace(candidate, layout=layout, imaginary=imaginary)
    values = _READERS.get(candidate.role, _plain)(reduced, layout)
    if all(np.ptp(array) == 0 for array in values.arrays):
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): every voxel has the same value, an image "
            "is wanted. Export the series again."
        )
    if candidate.role in {Role.MAGNITUDE, Role.SWI}:
        _must_not_be_signed(candidate, values)
    return replace(values, remarks=remarks + values.remarks)


def _must_not_be_signed(candidate: Candidate, values: Values) -> None:
    """GE tells magnitude from phase in a private element alone; exports that lose it mix them."""
    negative = max(float((array < 0).mean()) for array in values.arrays)
    if negative > _STRAY_SHARE:
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): {100 * negative:.0f} % of its values are "
            "negative, a magnitude is wanted: it is phase, real or imaginary that does not say so. "
            "Export the series again with its private elements."
        )


def _kept(samples: Sequence[Sample], role: Role) -> tuple[list[int], tuple[str, ...]]:
    """Without isotropic volumes of DWI, repetitions and shorter echoes of single contrasts."""
    everything = list(range(len(samples)))
    if role == Role.ASL:
        return everything, ()
    if role == Role.DWI:
        keep = [i for i in everything if not _is_isotropic(samples[i])]
        what = "isotropic (trace or ADC) volume(s) appended to the diffusion series"
    elif role in {Role.MAGNITUDE, Role.PHASE}:
        keep = [i for i in everything if samples[i].repetition == 0]
        what = "repetition(s) of the gradient-echo series"
    else:
        longest = max(sample.echo_time_ms or 0.0 for sample in samples)
        keep = [i for i in everything if (samples[i].echo_time_ms or 0.0) == longest][:1]
        what = f"shorter echo(es) or repetition(s) of the {role.value} series"
    dropped = len(samples) - len(keep)
    return keep, (f"{dropped} {what} left out.",) if dropped else ()


def _carrier(samples: Sequence[Sample], keep: list[int], role: Role) -> list[int]:
    """b = 0 or M0 volumes; all that are kept where the header tells of none."""
    carrying = [
        i
        for i in keep
        if (samples[i].asl is AslKind.M0)
        or (role == Role.DWI and (samples[i].b_value_s_mm2 or 0.0) <= _B0_LIMIT)
    ]
    return carrying or keep


def _is_isotropic(sample: Sample) -> bool:
    return (sample.b_value_s_mm2 or 0.0) > _B0_LIMIT and sample.b_vector_lps is None


def _plain_samples(layout: Layout) -> Layout:
    """Without b-values: Philips writes b = 0 into every series."""
    plain = (replace(s, b_value_s_mm2=None, b_vector_lps=None) for s in layout.samples)
    return replace(layout, samples=tuple(plain))


def _plain(candidate: Candidate, layout: Layout) -> Values:
    arrays = read_arrays(layout)
    if candidate.imaginary is not None:
        imaginary = read_arrays(candidate.imaginary)
        arrays = [np.hypot(a, b) for a, b in zip(arrays, imaginary, strict=True)]
    return Values(arrays, layout.samples, layout, Unit.ARBITRARY)


def _labelling(candidate: Candidate, layout: Layout) -> Values:
    """ASL volumes; those whose kind is not stated get it from order and brightness, said so."""
    arrays = read_arrays(layout)
    unknown = [i for i, sample in enumerate(layout.samples) if sample.asl is None]
    stated = len(unknown) < len(arrays)
    assumed = assumed_kinds([_head_level(arrays[i]) for i in unknown], others_stated=stated)
    if assumed is None:
        return Values(arrays, layout.samples, layout, Unit.ARBITRARY)
    kinds = dict(zip(unknown, assumed[0], strict=True))
    samples = tuple(
        replace(sample, asl=kinds.get(i, sample.asl)) for i, sample in enumerate(layout.samples)
    )
    remark = f"ASL {candidate.name} does not state its volumes: {assumed[1]}."
    return Values(arrays, samples, layout, Unit.ARBITRARY, (remark,))


def _head_level(array: NDArray[np.float32]) -> float:
    """Mean of the brighter half: air does not count."""
    return float(array[array >= np.median(array)].mean())


def _phase(candidate: Candidate, layout: Layout) -> Values:
    header = candidate.group.header
    maker = str(header.get("Manufacturer", ""))
    arrays = read_arrays(layout)
    magnitudes: Sequence[NDArray[np.float32] | None] = [None] * len(arrays)
    remarks: list[str] = []
    if candidate.imaginary is not None:
        imaginary = read_arrays(candidate.imaginary)
        magnitudes = [np.hypot(a, b) for a, b in zip(arrays, imaginary, strict=True)]
        _must_be_signed(candidate, arrays + imaginary)
        arrays = [
            complex_to_phase(a, b, manufacturer=maker)
            for a, b in zip(arrays, imaginary, strict=True)
        ]
    else:
        arrays, how = phase_to_radians(
            arrays,
            scaling=_one_scaling(candidate, layout),
            manufacturer=maker,
            bits_stored=int(number_of(header, "BitsStored") or 12),
            signed=bool(number_of(header, "PixelRepresentation")),
        )
        if "assumed" in how:
            remarks.append(f"Unit of phase not stated: {how}.")
    if maker.upper().startswith("GE"):
        fixed = [without_alternation(a, m) for a, m in zip(arrays, magnitudes, strict=True)]
        arrays = [array for array, _ in fixed]
        if any(found for _, found in fixed):
            remarks.append("GE phase alternated by pi between slices; corrected.")
    if "FILT_PHA" in str(header.get("SeriesDescription", "")).upper():
        remarks.append("Phase was high-pass filtered by the scanner: QSM underestimates.")
    return Values(arrays, layout.samples, layout, Unit.RADIAN, tuple(remarks))


def _must_be_signed(candidate: Candidate, parts: Arrays) -> None:
    """Real and imaginary parts lie about 0; stored from 0 on, they need their rescale."""
    if max(float((part < 0).mean()) for part in parts) < _STRAY_SHARE:
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): real and imaginary parts have no negative "
            "value, signed ones are wanted: their rescale intercept is lost. Export them with it."
        )


def _one_scaling(candidate: Candidate, layout: Layout) -> Scaling:
    """The scaling of all slices; where it differs, the unit must be stated to make sense of it."""
    found = {frame.scaling for volume in layout.volumes for frame in volume}
    first = layout.volumes[0][0].scaling
    if len(found) > 1 and not (first.unit and len({one.unit for one in found}) == 1):
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): {len(found)} different rescale slopes and "
            "intercepts found and no unit, one pair wanted: one turn of phase would differ between "
            "slices. Export the series as the scanner wrote it."
        )
    return first


def _anisotropy(candidate: Candidate, layout: Layout) -> Values:
    """FA as a ratio: Siemens and others store it x1000, so values above 400 mean that.

    Noise may lift FA above 1: with negative eigenvalues it reaches sqrt(3/2).
    """
    arrays = read_arrays(layout)
    largest = float(np.nanmax(arrays[0]))
    remarks: tuple[str, ...] = ()
    if largest > 400.0:
        arrays = [array / np.float32(1000.0) for array in arrays]
        if largest > 1500.0:
            remarks = (f"FA map reaches {largest:.4g}, above 1000: unit assumed x1000.",)
    outside = float(((arrays[0] < -0.01) | (arrays[0] > 1.25)).mean())
    if outside > _STRAY_SHARE:
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): {100 * outside:.0f} % of its values lie "
            "outside 0 to 1 (or 0 to 1000), an FA map is wanted. Export the scanner's FA map, or "
            "the diffusion series from which it is computed."
        )
    return Values(arrays, layout.samples, layout, Unit.RATIO, remarks)


def _susceptibility(candidate: Candidate, layout: Layout) -> Values:
    """QSM in ppm. ppb is known from the unit or the description, else from values above 10."""
    arrays = read_arrays(layout)
    stated = layout.volumes[0][0].scaling.unit
    words = " ".join((stated, *candidate.facts.descriptions)).lower()
    remarks: tuple[str, ...] = ()
    if "ppb" in words:
        factor = 1e-3
    elif "ppm" in words:
        factor = 1.0
    else:
        # Tissue lies within +-1 ppm and blood or calcium within a few: typical magnitude decides.
        known = arrays[0][arrays[0] != 0]
        typical = float(np.percentile(np.abs(known), 99.0)) if known.size else 0.0
        factor = 1e-3 if typical > 10.0 else 1.0
        unit = "ppb" if factor < 1 else "ppm"
        remarks = (f"Unit of QSM not stated: {unit} assumed from values up to {typical:.3g}.",)
    arrays = [array * np.float32(factor) for array in arrays]
    middle = float(np.median(arrays[0][arrays[0] != 0])) if arrays[0].any() else 0.0
    if abs(middle) > 1.0:
        raise BrokenSeries(
            f"{candidate.name} ({candidate.role.value}): half of its values are beyond "
            f"{middle:.3g} ppm, a susceptibility map lies about 0. Export it with its rescale "
            "slope and intercept."
        )
    return Values(arrays, layout.samples, layout, Unit.PPM, remarks)


def _blood_flow(_: Candidate, layout: Layout) -> Values:
    unit = cbf_unit(layout.volumes[0][0].scaling.unit)
    return Values(read_arrays(layout), layout.samples, layout, unit)


_READERS: dict[Role, Callable[[Candidate, Layout], Values]] = {
    Role.PHASE: _phase,
    Role.ASL: _labelling,
    Role.FA: _anisotropy,
    Role.QSM: _susceptibility,
    Role.CBF: _blood_flow,
}
