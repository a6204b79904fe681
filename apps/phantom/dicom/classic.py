"""A series as classic MR Image Storage objects, one per slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset
from pydicom.uid import MRImageStorage

from apps.phantom.dicom.header import (
    Geometry,
    Identity,
    common_header,
    copied,
    decimals,
    encoded,
    finish_file,
    real_world_mapping,
    time_of,
    window,
)
from apps.phantom.dicom.scan import Component, Contrast, Scan, StoredVolume, VendorStyle
from operators.types import AslKind

_HYDROGEN_MHZ_PER_T = 42.577
_ASL_LABEL_TYPE = {AslKind.LABEL: "LABEL", AslKind.CONTROL: "CONTROL"}


def classic_objects(scan: Scan, identity: Identity) -> Iterator[Dataset]:
    """Every slice of every volume as one object, in the order of InstanceNumber."""
    base = _series_header(scan, identity)
    number = 0
    for index, volume in enumerate(scan.volumes):
        shared = encoded(_volume_header(base, scan, index, identity))
        geometry = Geometry.of(volume.affine_lps_mm, len(volume.pixels))
        number = 0 if scan.restart_instances else number
        for position in range(len(volume.pixels)):
            number += 1
            yield _slice(shared, volume, geometry, _Place(position, number, (index, position)),
                         identity)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which slice: index along the volume, InstanceNumber, and what makes its UID unique."""

    position: int
    number: int
    key: tuple[int, int]


def _series_header(scan: Scan, identity: Identity) -> Dataset:
    header = common_header(identity, MRImageStorage, scan.description, scan.number)
    header.AcquisitionTime = time_of(scan.acquired_as or scan.number)
    sequence = scan.sequence
    header.ProtocolName = scan.description
    header.ScanningSequence = list(sequence.scanning)
    header.SequenceVariant = list(sequence.variant)
    header.ScanOptions = "PFP" if scan.contrast is Contrast.DWI else ""
    header.MRAcquisitionType = sequence.acquisition
    header.RepetitionTime, header.FlipAngle = decimals(
        [sequence.repetition_time_ms, sequence.flip_angle_deg]
    )
    header.EchoTrainLength = sequence.echo_train_length
    if sequence.inversion_time_ms is not None:
        header.InversionTime = decimals([sequence.inversion_time_ms])[0]
    header.MagneticFieldStrength, header.ImagingFrequency = decimals(
        [identity.field_strength_t, identity.field_strength_t * _HYDROGEN_MHZ_PER_T]
    )
    header.NumberOfAverages, header.ImagedNucleus = "1", "1H"
    header.AcquisitionNumber = 1
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = 16
    return header


def _volume_header(base: Dataset, scan: Scan, index: int, identity: Identity) -> Dataset:
    header = copied(base)
    volume = scan.volumes[index]
    header.ImageType = list(volume.image_type)
    header.EchoTime = decimals([volume.sample.echo_time_ms or scan.sequence.echo_time_ms])[0]
    header.EchoNumbers = volume.echo_number
    header.Rows, header.Columns = volume.pixels.shape[1:]
    header.AcquisitionMatrix = [volume.pixels.shape[1], 0, 0, volume.pixels.shape[2]]
    header.InPlanePhaseEncodingDirection = "COL"
    signed = volume.pixels.dtype == np.int16
    header.BitsStored = 16 if signed else 12
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(signed)
    if scan.volumes[0].temporal_index != scan.volumes[-1].temporal_index:
        header.TemporalPositionIdentifier = volume.temporal_index
        header.NumberOfTemporalPositions = len(scan.volumes)
    _rescale(header, volume)
    _diffusion(header, volume, identity.style)
    window(header, scan, index)
    _private(header, scan, volume, identity.style)
    return header


def _rescale(header: Dataset, volume: StoredVolume) -> None:
    if volume.scaling is None:
        return
    slope, intercept, kind = volume.scaling
    header.RescaleIntercept, header.RescaleSlope = decimals([intercept, slope])
    header.RescaleType = kind
    if volume.unit is not None:
        edges = (int(volume.pixels.min()), int(volume.pixels.max()))
        header.RealWorldValueMappingSequence = [real_world_mapping(
            volume.unit, slope, intercept,
            is_signed=volume.pixels.dtype == np.int16, stored=edges,
        )]


def _diffusion(header: Dataset, volume: StoredVolume, style: VendorStyle) -> None:
    """b-value in the standard attributes, and where this vendor alone looks for it."""
    b_value = volume.sample.b_value_s_mm2
    if b_value is None:
        return
    header.SequenceName = f"*ep_b{round(b_value)}"
    vector = volume.sample.b_vector_lps
    direction = None if vector is None or b_value == 0 else [float(part) for part in vector]
    if style is VendorStyle.SIEMENS:
        block = header.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", round(b_value))
        block.add_new(0x0D, "CS", "NONE" if direction is None else "DIRECTIONAL")
        if direction is not None:
            block.add_new(0x0E, "FD", direction)
        return
    header.DiffusionBValue = float(b_value)
    if style is VendorStyle.PHILIPS:
        header.private_block(0x2001, "Philips Imaging DD 001", create=True).add_new(
            0x03, "FL", float(b_value)
        )
    header.DiffusionGradientOrientation = direction or [0.0, 0.0, 0.0]


def _private(header: Dataset, scan: Scan, volume: StoredVolume, style: VendorStyle) -> None:
    """The private attributes without which a vendor's series cannot be told apart."""
    if style is VendorStyle.SIEMENS and "SequenceName" not in header:
        header.SequenceName = scan.sequence.name
    elif style is VendorStyle.GE:
        block = header.private_block(0x0043, "GEMS_PARM_01", create=True)
        block.add_new(0x2F, "SS", int(volume.component is Component.PHASE))
    elif style is VendorStyle.PHILIPS:
        slope, intercept, _ = volume.scaling or (1.0, 0.0, "")
        block = header.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0D, "FL", -intercept / slope)
        block.add_new(0x0E, "FL", 1.0 / slope)
        if volume.sample.asl in _ASL_LABEL_TYPE:
            labels = header.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            labels.add_new(0x29, "CS", _ASL_LABEL_TYPE[volume.sample.asl])


def _slice(
    shared: Dataset, volume: StoredVolume, geometry: Geometry, place: _Place, identity: Identity
) -> Dataset:
    dataset = copied(shared)
    dataset.SOPInstanceUID = identity.uid("image", shared.SeriesInstanceUID, *place.key)
    dataset.InstanceNumber = place.number
    dataset.ImagePositionPatient = geometry.positions_lps_mm[place.position]
    dataset.ImageOrientationPatient = geometry.orientation
    dataset.PixelSpacing = geometry.pixel_spacing_mm
    dataset.SliceThickness = geometry.slice_spacing_mm
    dataset.SpacingBetweenSlices = geometry.slice_spacing_mm
    pixels = volume.pixels[place.position].astype("<u2", copy=False)
    dataset.add_new("PixelData", "OW", pixels.tobytes())
    return finish_file(dataset)
