"""A series as one Enhanced MR Image object: all volumes, one frame per slice."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import EnhancedMRImageStorage

from apps.phantom.dicom.frames import frame_groups, shared_groups
from apps.phantom.dicom.header import (
    STUDY_DATE,
    Identity,
    common_header,
    decimals,
    finish_file,
    time_of,
)
from apps.phantom.dicom.scan import Contrast, Scan

_DIMENSIONS = (
    ("StackID", "FrameContentSequence"),
    ("InStackPositionNumber", "FrameContentSequence"),
    ("EffectiveEchoTime", "MREchoSequence"),
    ("ComplexImageComponent", "MRImageFrameTypeSequence"),
    ("TemporalPositionIndex", "FrameContentSequence"),
)
_PULSE_SEQUENCE: dict[str, object] = {
    "MultiPlanarExcitation": "NO",
    "PhaseContrast": "NO",
    "TimeOfFlightContrast": "NO",
    "SteadyStatePulseSequence": "NONE",
    "SaturationRecovery": "NO",
    "SpectrallySelectedSuppression": "NONE",
    "OversamplingPhase": "NONE",
    "GeometryOfKSpaceTraversal": "RECTILINEAR",
    "SegmentedKSpaceTraversal": "SINGLE",
    "RectilinearPhaseEncodeReordering": "LINEAR",
    "NumberOfKSpaceTrajectories": 1,
}
_FIXED: dict[str, object] = {
    "ResonantNucleus": "1H",
    "KSpaceFiltering": "NONE",
    "ApplicableSafetyStandardAgency": "IEC",
    "IsocenterPosition": [0.0, 0.0, 0.0],
}


def enhanced_object(scan: Scan, identity: Identity) -> Dataset:
    """All frames of a series, volume after volume."""
    dataset = common_header(identity, EnhancedMRImageStorage, scan.description, scan.number)
    dataset.SOPInstanceUID = identity.uid("image", dataset.SeriesInstanceUID)
    dataset.InstanceNumber = 1
    _describe_image(dataset, scan)
    _describe_sequence(dataset, scan, identity)
    _describe_dimensions(dataset, identity)
    dataset.SharedFunctionalGroupsSequence = [shared_groups(scan)]
    dataset.PerFrameFunctionalGroupsSequence = frame_groups(scan)
    dataset.PixelData = b"".join(
        volume.pixels.astype("<u2", copy=False).tobytes() for volume in scan.volumes
    )
    return finish_file(dataset)


def _describe_image(dataset: Dataset, scan: Scan) -> None:
    """Pixel, frame type and acquisition context modules; MIXED where frames differ."""
    first = scan.volumes[0]
    components = {volume.component.value for volume in scan.volumes}
    dataset.ImageType = list(first.image_type)
    dataset.ComplexImageComponent = "MIXED" if len(components) > 1 else components.pop()
    dataset.PixelPresentation = "MONOCHROME"
    is_projection = scan.contrast is Contrast.MIP
    dataset.VolumetricProperties = "VOLUME"
    dataset.VolumeBasedCalculationTechnique = "MIN_IP" if is_projection else "NONE"
    dataset.AcquisitionContrast = acquisition_contrast(scan.contrast)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames = sum(len(volume.pixels) for volume in scan.volumes)
    dataset.Rows, dataset.Columns = first.pixels.shape[1:]
    signed = first.pixels.dtype == np.int16
    dataset.BitsAllocated, dataset.BitsStored = 16, 16 if signed else 12
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(signed)
    dataset.LossyImageCompression, dataset.BurnedInAnnotation = "00", "NO"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.AcquisitionContextSequence = []


def _describe_sequence(dataset: Dataset, scan: Scan, identity: Identity) -> None:
    """MR pulse sequence module."""
    sequence = scan.sequence
    dataset.ProtocolName = scan.description
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionDateTime = STUDY_DATE + time_of(scan.acquired_as or scan.number)
    del dataset.AcquisitionDate, dataset.AcquisitionTime
    dataset.AcquisitionDuration = 240.0
    dataset.ContentQualification = "RESEARCH"
    dataset.MagneticFieldStrength = decimals([identity.field_strength_t])[0]
    for keyword, value in _FIXED.items():
        setattr(dataset, keyword, value)
    if scan.contrast in (Contrast.ASL, Contrast.CBF):
        dataset.ArterialSpinLabelingContrast = "PSEUDOCONTINUOUS"
    if scan.is_derived:
        return
    dataset.MRAcquisitionType = sequence.acquisition
    dataset.PulseSequenceName = sequence.name[:16]
    is_spin_echo = "SE" in sequence.scanning
    dataset.EchoPulseSequence = "SPIN" if is_spin_echo else "GRADIENT"
    if is_spin_echo:
        dataset.MultipleSpinEcho = "NO"
    if sequence.acquisition == "3D":
        dataset.CoverageOfKSpace = "FULL"
    dataset.EchoPlanarPulseSequence = "YES" if "EP" in sequence.scanning else "NO"
    for keyword, value in _PULSE_SEQUENCE.items():
        setattr(dataset, keyword, value)


def _describe_dimensions(dataset: Dataset, identity: Identity) -> None:
    """Stack, position, echo, complex component and time, in this order."""
    organization = identity.uid("dimensions", dataset.SeriesInstanceUID)
    item = Dataset()
    item.DimensionOrganizationUID = organization
    dataset.DimensionOrganizationSequence = [item]
    indices = []
    for keyword, group in _DIMENSIONS:
        index = Dataset()
        index.DimensionOrganizationUID = organization
        index.DimensionIndexPointer = _tag(keyword)
        index.FunctionalGroupPointer = _tag(group)
        index.DimensionDescriptionLabel = keyword
        indices.append(index)
    dataset.DimensionIndexSequence = indices


def acquisition_contrast(contrast: Contrast) -> str:
    """Value of AcquisitionContrast (0008,9209)."""
    return {
        Contrast.T1W: "T1", Contrast.T2W: "T2", Contrast.GRE: "T2_STAR", Contrast.SWI: "T2_STAR",
        Contrast.MIP: "T2_STAR", Contrast.DWI: "DIFFUSION", Contrast.FA: "DIFFUSION",
        Contrast.MD: "DIFFUSION", Contrast.CBF: "PERFUSION", Contrast.ASL: "PERFUSION",
    }.get(contrast, "UNKNOWN")


def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)
