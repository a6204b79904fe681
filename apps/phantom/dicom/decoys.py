"""Series that every session holds and that a reader of microbleeds must refuse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from apps.phantom.dicom.dialects import DIALECTS, SEQUENCES
from apps.phantom.dicom.reconstruction import (
    centre_of,
    centred_affine,
    resample,
    sliding_minimum,
)
from apps.phantom.dicom.scaling import encode, encode_phase
from apps.phantom.dicom.scan import (
    Component,
    Contrast,
    Scan,
    StoredVolume,
    VendorStyle,
)
from apps.phantom.types import Image, Subject
from operators.types import Role, Sample

FIELD_MAP_ECHOES_MS = (4.92, 7.38)
"""Water and fat in phase at 3 T: the two echoes of a Siemens field map."""
FIELD_MAP_SHAPE, FIELD_MAP_SPACING_MM = (64, 64), (3.6, 3.0, 3.0)
LOCALIZER_SHAPE, LOCALIZER_SPACING_MM = (3, 128, 128), (20.0, 2.0, 2.0)
_PLANES = {
    "axial": np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.float64),
    "coronal": np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], dtype=np.float64),
    "sagittal": np.array([[-1, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=np.float64),
}


def decoy_series(subject: Subject, style: VendorStyle) -> tuple[Scan, ...]:
    """Three-plane localiser, and a GRE field map where the subject has magnitude and phase."""
    decoys = [_localizer(subject, style)]
    if Role.MAGNITUDE in subject.images and Role.PHASE in subject.images:
        decoys += _field_map(subject, style)
    return tuple(decoys)


def projection(swi: Image) -> Image:
    """Sliding minimum projection of an SWI image: seven slices fewer, same in-plane grid."""
    from highdicom import Volume

    source = swi.volumes[0]
    array, affine = sliding_minimum(source.array, np.asarray(source.affine))
    volume = Volume(array, affine, coordinate_system=source.coordinate_system)
    return replace(swi, role=Role.MIP, volumes=(volume,))


def _localizer(subject: Subject, style: VendorStyle) -> Scan:
    """Sagittal, coronal and axial: three slices each, 20 mm apart, in one series."""
    role = Role.T1W if Role.T1W in subject.images else next(iter(subject.images))
    source = subject.images[role].volumes[0]
    affine, array = np.asarray(source.affine), np.abs(source.array)
    centre, peak = centre_of(affine, array.shape), float(np.max(array))
    words = DIALECTS[style]
    volumes = []
    for axes in _PLANES.values():
        plane = centred_affine(axes, LOCALIZER_SPACING_MM, LOCALIZER_SHAPE, centre)
        slices = np.asarray(resample(array, affine, plane, LOCALIZER_SHAPE), dtype=np.float32)
        stored = encode(slices, Contrast.LOCALIZER, style, peak)
        volumes.append(StoredVolume(
            stored.pixels, plane, words.image_type(Contrast.LOCALIZER, Component.MAGNITUDE),
            scaling=stored.scaling, gain=stored.gain,
        ))
    return Scan(
        0, Contrast.LOCALIZER, words.describe(Contrast.LOCALIZER),
        SEQUENCES[Contrast.LOCALIZER], tuple(volumes),
    )


def _field_map(subject: Subject, style: VendorStyle) -> list[Scan]:
    """Two short magnitude echoes and their phase difference, 64 x 64 at 3 mm."""
    magnitudes, affine = _field_map_magnitudes(subject, style)
    difference = _field_map_phase(subject, affine, magnitudes[0].pixels.shape)
    words = DIALECTS[style]
    last = Sample(echo_time_ms=FIELD_MAP_ECHOES_MS[1])
    if style is VendorStyle.GE:
        spacing_s = (FIELD_MAP_ECHOES_MS[1] - FIELD_MAP_ECHOES_MS[0]) * 1e-3
        hertz = np.rint(difference / (2 * math.pi * spacing_s)).astype(np.int16)
        image_type = words.image_type(Contrast.B0_MAP, Component.MAGNITUDE)
        phase = StoredVolume(hertz, affine, image_type, sample=last)
    else:
        stored = encode_phase(difference, style)
        contrast = Contrast.B0_MAP
        if style is VendorStyle.SIEMENS:
            image_type = words.image_type(contrast, Component.MAGNITUDE)
        else:
            image_type = words.image_type(contrast, Component.PHASE)
        phase = StoredVolume(
            stored.pixels, affine, image_type, Component.PHASE, stored.scaling, stored.unit,
            stored.gain, last, echo_number=2,
        )
    return _as_series(magnitudes, phase, style)


def _as_series(
    magnitudes: tuple[StoredVolume, ...], phase: StoredVolume, style: VendorStyle
) -> list[Scan]:
    words, sequence = DIALECTS[style], SEQUENCES[Contrast.FIELD_MAP]
    name = words.describe(Contrast.FIELD_MAP)
    if style in (VendorStyle.PHILIPS, VendorStyle.ENHANCED):
        return [Scan(0, Contrast.FIELD_MAP, name, sequence, (*magnitudes, phase))]
    b0_name = words.describe(Contrast.B0_MAP)
    return [
        Scan(0, Contrast.FIELD_MAP, name, sequence, magnitudes, restart_instances=True),
        Scan(0, Contrast.B0_MAP, b0_name, SEQUENCES[Contrast.B0_MAP], (phase,)),
    ]


def _field_map_magnitudes(
    subject: Subject, style: VendorStyle
) -> tuple[tuple[StoredVolume, ...], NDArray[np.float64]]:
    source = subject.images[Role.MAGNITUDE].volumes[0]
    affine, array = np.asarray(source.affine), source.array
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    thickness_mm = array.shape[0] * float(np.linalg.norm(affine[:3, 0]))
    shape = (max(4, round(thickness_mm / FIELD_MAP_SPACING_MM[0])), *FIELD_MAP_SHAPE)
    target = centred_affine(axes, FIELD_MAP_SPACING_MM, shape, centre_of(affine, array.shape))
    image = np.asarray(resample(array, affine, target, shape), dtype=np.float32)
    image_type = DIALECTS[style].image_type(Contrast.FIELD_MAP, Component.MAGNITUDE)
    volumes = []
    for echo, echo_time_ms in enumerate(FIELD_MAP_ECHOES_MS, start=1):
        decayed = image * np.float32(math.exp(-echo_time_ms / 50))
        stored = encode(decayed, Contrast.FIELD_MAP, style, float(np.max(image)))
        volumes.append(StoredVolume(
            stored.pixels, target, image_type, scaling=stored.scaling, gain=stored.gain,
            sample=Sample(echo_time_ms=echo_time_ms), echo_number=echo,
        ))
    return tuple(volumes), target


def _field_map_phase(
    subject: Subject, target: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Phase difference (radian) that the field map's two echoes would show."""
    image = subject.images[Role.PHASE]
    first, last = image.volumes[0], image.volumes[-1]
    echoes_ms = [sample.echo_time_ms or 1.0 for sample in image.samples]
    single = len(image.volumes) == 1
    span_ms = echoes_ms[0] if single else echoes_ms[-1] - echoes_ms[0]
    evolved = last.array if single else last.array - first.array
    rotated = np.exp(1j * evolved.astype(np.float64))
    three = (shape[0], shape[1], shape[2])
    coarse = resample(rotated, np.asarray(last.affine), target, three)
    step_ms = FIELD_MAP_ECHOES_MS[1] - FIELD_MAP_ECHOES_MS[0]
    return np.asarray(np.angle(coarse) * step_ms / span_ms, dtype=np.float32)
