"""A simulated subject as the list of series that one scanner session gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from apps.phantom.dicom.decoys import decoy_series, projection
from apps.phantom.dicom.dialects import DIALECTS, SEQUENCES
from apps.phantom.dicom.scaling import encode, encode_phase
from apps.phantom.dicom.scan import (
    Component,
    Contrast,
    PulseSequence,
    Scan,
    StoredVolume,
    StudyOptions,
    VendorStyle,
)
from apps.phantom.scanner_swi import susceptibility_weighted
from apps.phantom.types import Image, Subject
from operators.types import AslKind, Role, Unit

_SINGLE: dict[Role, Contrast] = {
    Role.T1W: Contrast.T1W, Role.T2W: Contrast.T2W, Role.QSM: Contrast.QSM,
    Role.DWI: Contrast.DWI, Role.FA: Contrast.FA, Role.MD: Contrast.MD, Role.CBF: Contrast.CBF,
}


# What a scanner makes of one gradient-echo acquisition.
_OF_ONE_ACQUISITION = frozenset({Contrast.GRE, Contrast.SWI, Contrast.MIP, Contrast.QSM})


def scans_of(subject: Subject, style: VendorStyle, options: StudyOptions) -> tuple[Scan, ...]:
    """All series of the session, numbered in the order of a usual protocol.

    Raises ValueError when absolute CBF is asked of a subject whose CBF is relative.
    """
    scanner = _Scanner(subject, style, options)
    scans = [*decoy_series(subject, style)] if options.decoys else []
    scans += scanner.gradient_echo()
    scans += scanner.susceptibility(with_projection=options.decoys)
    for role, contrast in _SINGLE.items():
        if role in subject.images:
            scans.append(scanner.single(subject.images[role], contrast))
    scans += scanner.labelled()
    step, offset = (100, 1) if style in (VendorStyle.PHILIPS, VendorStyle.ENHANCED) else (1, 0)
    numbered = [
        replace(scan, number=index * step + offset) for index, scan in enumerate(scans, start=1)
    ]
    echoes = min((s.number for s in numbered if s.contrast in _OF_ONE_ACQUISITION), default=0)
    return tuple(
        replace(scan, acquired_as=echoes) if scan.contrast in _OF_ONE_ACQUISITION else scan
        for scan in numbered
    )


@dataclass(frozen=True, slots=True)
class _Scanner:
    """One session: what all its series share."""

    subject: Subject
    style: VendorStyle
    options: StudyOptions

    def gradient_echo(self) -> list[Scan]:
        """Magnitude and phase of all echoes, together or apart as the vendor does."""
        parts = {
            component: self._gre_volumes(component, self.subject.images[role])
            for component, role in (
                (Component.MAGNITUDE, Role.MAGNITUDE), (Component.PHASE, Role.PHASE),
            )
            if role in self.subject.images
        }
        if not parts:
            return []
        if self.style is not VendorStyle.SIEMENS:
            together = tuple(volume for volumes in parts.values() for volume in volumes)
            return [self._scan(Contrast.GRE, together)]
        words = DIALECTS[self.style]
        return [
            replace(
                self._scan(Contrast.GRE, volumes),
                description=words.describe(Contrast.GRE, component),
            )
            for component, volumes in parts.items()
        ]

    def susceptibility(self, *, with_projection: bool) -> list[Scan]:
        """The scanner's own SWI, and its sliding minimum projection."""
        image = self.subject.images.get(Role.SWI) or self._scanner_swi()
        if image is None:
            return []
        scans = []
        if self.options.swi or Role.SWI in self.subject.images:
            scans.append(self.single(image, Contrast.SWI))
        if with_projection:
            scans.append(self.single(projection(image), Contrast.MIP))
        return scans

    def labelled(self) -> list[Scan]:
        """ASL source volumes; Siemens and GE send M0 as a series of its own."""
        image = self.subject.images.get(Role.ASL)
        if image is None:
            return []
        whole = self.single(image, Contrast.ASL)
        calibration = [v for v in whole.volumes if v.sample.asl is AslKind.M0]
        labels = [v for v in whole.volumes if v.sample.asl is not AslKind.M0]
        if self.style not in (VendorStyle.SIEMENS, VendorStyle.GE):
            return [whole]
        scans = []
        if calibration:
            name = f"{whole.description}_M0"
            scans.append(replace(whole, description=name, volumes=_counted(calibration)))
        if labels:
            scans.append(replace(whole, volumes=_counted(labels)))
        return scans

    def single(self, image: Image, contrast: Contrast) -> Scan:
        """One real-valued contrast, all volumes of it, as one series."""
        absolute = contrast is Contrast.CBF and self.options.absolute_cbf
        if absolute and image.unit is not Unit.ABSOLUTE_CBF:
            raise ValueError(
                f"absolute CBF asked for, but the subject's CBF is in {image.unit.value!r}"
            )
        peak = max(float(np.max(volume.array)) for volume in image.volumes)
        image_type = DIALECTS[self.style].image_type(contrast, Component.MAGNITUDE)
        if absolute:
            image_type = tuple(_ABSOLUTE.get(word, word) for word in image_type)
        volumes = []
        for volume, sample in zip(image.volumes, image.samples, strict=True):
            stored = encode(volume.array, contrast, self.style, peak, absolute_cbf=absolute)
            volumes.append(StoredVolume(
                stored.pixels, np.asarray(volume.affine), image_type,
                scaling=stored.scaling, unit=stored.unit, gain=stored.gain, sample=sample,
            ))
        scan = self._scan(contrast, _counted(volumes))
        return replace(scan, description=f"CBF {scan.description}") if absolute else scan

    def _gre_volumes(self, component: Component, image: Image) -> tuple[StoredVolume, ...]:
        image_type = DIALECTS[self.style].image_type(Contrast.GRE, component)
        peak = max(float(np.max(volume.array)) for volume in image.volumes)
        volumes = []
        for echo, (volume, sample) in enumerate(
            zip(image.volumes, image.samples, strict=True), start=1
        ):
            stored = (
                encode_phase(volume.array, self.style)
                if component is Component.PHASE
                else encode(volume.array, Contrast.GRE, self.style, peak)
            )
            volumes.append(StoredVolume(
                stored.pixels, np.asarray(volume.affine), image_type, component,
                stored.scaling, stored.unit, stored.gain, sample, echo,
            ))
        return tuple(volumes)

    def _scan(self, contrast: Contrast, volumes: tuple[StoredVolume, ...]) -> Scan:
        description = DIALECTS[self.style].describe(contrast)
        return Scan(0, contrast, description, self._sequence(contrast), volumes)

    def _sequence(self, contrast: Contrast) -> PulseSequence:
        sequence = SEQUENCES[contrast]
        if self.style is VendorStyle.PHILIPS and sequence.scanning == ("EP",):
            return replace(sequence, scanning=("SE",))
        if contrast not in (Contrast.GRE, Contrast.SWI, Contrast.MIP, Contrast.QSM):
            return sequence
        protocol = self.subject.protocol
        return replace(
            sequence,
            scanning=("RM",) if self.style is VendorStyle.GE else sequence.scanning,
            name=sequence.name.format(echoes=len(protocol.echo_times_ms)),
            repetition_time_ms=protocol.repetition_time_ms,
            echo_time_ms=protocol.echo_times_ms[-1],
            flip_angle_deg=protocol.flip_angle_deg,
            echo_train_length=len(protocol.echo_times_ms),
        )

    def _scanner_swi(self) -> Image | None:
        """SWI of the last echo."""
        images = self.subject.images
        if Role.MAGNITUDE not in images or Role.PHASE not in images:
            return None
        magnitude, phase = images[Role.MAGNITUDE], images[Role.PHASE]
        signal = magnitude.volumes[-1].array * np.exp(1j * phase.volumes[-1].array)
        array = susceptibility_weighted(signal.astype(np.complex64))
        volume = magnitude.volumes[-1].with_array(array)
        return Image(Role.SWI, (volume,), magnitude.samples[-1:], Unit.ARBITRARY)


_ABSOLUTE = {"RELCBF": "CBF", "RCBF": "CBF", "PERFUSION_FFE": "CBF_FFE", "PERFUSION": "CBF"}


def _counted(volumes: list[StoredVolume]) -> tuple[StoredVolume, ...]:
    return tuple(
        replace(volume, temporal_index=index) for index, volume in enumerate(volumes, start=1)
    )
