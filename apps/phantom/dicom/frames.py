"""Functional groups of an enhanced MR object: what all frames share, and what each one says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from apps.phantom.dicom.header import (
    STUDY_DATE,
    Geometry,
    coded,
    copied,
    decimals,
    real_world_mapping,
    window,
)
from apps.phantom.dicom.scan import Component, Contrast, Scan, StoredVolume
from operators.labels import BRAIN
from operators.types import AslKind

_ASL_CONTEXT = {
    AslKind.LABEL: "LABEL", AslKind.CONTROL: "CONTROL", AslKind.M0: "M_ZERO_SCAN",
    AslKind.DIFFERENCE: "LABEL",
}


def group(**attributes: object) -> Dataset:
    """A dataset of the given keywords."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def shared_groups(scan: Scan) -> Dataset:
    """The functional groups that every frame of a series shares."""
    sequence = scan.sequence
    rows, columns = (int(size) for size in scan.volumes[0].pixels.shape[1:])
    return group(
        MRTimingAndRelatedParametersSequence=[_timing(scan)],
        MRFOVGeometrySequence=[group(
            InPlanePhaseEncodingDirection="COLUMN", MRAcquisitionFrequencyEncodingSteps=columns,
            MRAcquisitionPhaseEncodingStepsInPlane=rows, PercentSampling="100",
            PercentPhaseFieldOfView="100",
            **({"MRAcquisitionPhaseEncodingStepsOutOfPlane": len(scan.volumes[0].pixels)}
               if sequence.acquisition == "3D" else {}),
        )],
        MRImagingModifierSequence=[group(
            MagnetizationTransfer="NONE", BloodSignalNulling="NO", Tagging="NONE",
            TransmitterFrequency=127.7, PixelBandwidth="240",
        )],
        MRModifierSequence=[_modifier(scan)],
        MRReceiveCoilSequence=[group(
            ReceiveCoilName="HEAD", ReceiveCoilType="VOLUME", QuadratureReceiveCoil="YES",
            ReceiveCoilManufacturerName="",
        )],
        MRTransmitCoilSequence=[group(
            TransmitCoilName="BODY", TransmitCoilType="BODY", TransmitCoilManufacturerName="",
        )],
        MRAveragesSequence=[group(NumberOfAverages="1")],
        FrameAnatomySequence=[group(
            AnatomicRegionSequence=[coded(BRAIN)], FrameLaterality="U"
        )],
    )


def _timing(scan: Scan) -> Dataset:
    sequence = scan.sequence
    repetition, flip = decimals([sequence.repetition_time_ms, sequence.flip_angle_deg])
    is_spin_echo = "SE" in sequence.scanning
    return group(
        RepetitionTime=repetition, FlipAngle=flip,
        EchoTrainLength=sequence.echo_train_length,
        RFEchoTrainLength=sequence.echo_train_length if is_spin_echo else 0,
        GradientEchoTrainLength=0 if is_spin_echo else sequence.echo_train_length,
        SpecificAbsorptionRateSequence=[group(
            SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=0.1,
        )],
        GradientOutputType="DB_DT", GradientOutput=50.0,
        OperatingModeSequence=[group(
            OperatingModeType="STATIC FIELD", OperatingMode="IEC_NORMAL"
        )],
    )


def _modifier(scan: Scan) -> Dataset:
    inversion = scan.sequence.inversion_time_ms
    modifier = group(
        InversionRecovery="NO" if inversion is None else "YES", FlowCompensation="NONE",
        Spoiling="RF", T2Preparation="NO", SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE", PartialFourier="NO", ParallelAcquisition="NO",
    )
    if inversion is not None:
        modifier.InversionTimes = [inversion]
    return modifier


@dataclass(frozen=True, slots=True)
class _Indices:
    """Where a volume lies on the dimensions: stack, echo, component, time; from 1."""

    stack: int
    echo: int
    component: int
    time: int


def frame_groups(scan: Scan) -> list[Dataset]:
    """One item per frame, volume after volume, slice after slice."""
    stacks: list[bytes] = []
    items = []
    for index, volume in enumerate(scan.volumes):
        grid = volume.affine_lps_mm.tobytes()
        if grid not in stacks:
            stacks.append(grid)
        indices = _Indices(
            stacks.index(grid) + 1, volume.echo_number,
            1 + (volume.component is Component.PHASE), volume.temporal_index,
        )
        items += _volume_frames(scan, index, indices)
    return items


def _volume_frames(scan: Scan, index: int, indices: _Indices) -> list[Dataset]:
    volume = scan.volumes[index]
    geometry = Geometry.of(volume.affine_lps_mm, len(volume.pixels))
    base = _volume_groups(scan, index)
    base.PlaneOrientationSequence = [group(ImageOrientationPatient=geometry.orientation)]
    base.PixelMeasuresSequence = [group(
        PixelSpacing=geometry.pixel_spacing_mm, SliceThickness=geometry.slice_spacing_mm,
        SpacingBetweenSlices=geometry.slice_spacing_mm,
    )]
    frames = []
    for position, place in enumerate(geometry.positions_lps_mm, start=1):
        frame = copied(base)
        frame.PlanePositionSequence = [group(ImagePositionPatient=place)]
        frame.FrameContentSequence = [group(
            FrameAcquisitionDateTime=f"{STUDY_DATE}093000",
            FrameReferenceDateTime=f"{STUDY_DATE}093000",
            FrameAcquisitionDuration=240000.0,
            StackID=str(indices.stack), InStackPositionNumber=position,
            TemporalPositionIndex=indices.time,
            DimensionIndexValues=[
                indices.stack, position, indices.echo, indices.component, indices.time
            ],
        )]
        frames.append(frame)
    return frames


def _volume_groups(scan: Scan, index: int) -> Dataset:
    """What all frames of one volume say."""
    volume = scan.volumes[index]
    slope, intercept, _ = volume.scaling or (1.0, 0.0, "US")
    intercept_ds, slope_ds = decimals([intercept, slope])
    view = group()
    window(view, scan, index)
    frame = group(
        MRImageFrameTypeSequence=[_frame_type(scan, volume)],
        MREchoSequence=[group(
            EffectiveEchoTime=float(volume.sample.echo_time_ms or scan.sequence.echo_time_ms)
        )],
        PixelValueTransformationSequence=[group(
            RescaleIntercept=intercept_ds, RescaleSlope=slope_ds, RescaleType="US"
        )],
        FrameVOILUTSequence=[view],
    )
    if volume.unit is not None:
        edges = (int(volume.pixels.min()), int(volume.pixels.max()))
        frame.RealWorldValueMappingSequence = [real_world_mapping(
            volume.unit, slope, intercept,
            is_signed=volume.pixels.dtype == np.int16, stored=edges,
        )]
    if scan.is_derived:
        frame.DerivationImageSequence = []
    if scan.contrast in (Contrast.DWI, Contrast.FA, Contrast.MD):
        frame.MRDiffusionSequence = [_diffusion(volume)]
    if scan.contrast in (Contrast.ASL, Contrast.CBF):
        frame.MRArterialSpinLabelingSequence = [_labelling(volume.sample.asl)]
    return frame


def _frame_type(scan: Scan, volume: StoredVolume) -> Dataset:
    from apps.phantom.dicom.enhanced import acquisition_contrast

    return group(
        FrameType=list(volume.image_type), PixelPresentation="MONOCHROME",
        VolumetricProperties="VOLUME",
        VolumeBasedCalculationTechnique="MIN_IP" if scan.contrast is Contrast.MIP else "NONE",
        ComplexImageComponent=volume.component.value,
        AcquisitionContrast=acquisition_contrast(scan.contrast),
    )


def _diffusion(volume: StoredVolume) -> Dataset:
    b_value, vector = volume.sample.b_value_s_mm2, volume.sample.b_vector_lps
    if b_value is None:
        anisotropy = {"FA": "FRACTIONAL"}.get(volume.image_type[-1])
        derived = group(DiffusionDirectionality="ISOTROPIC", DiffusionBValue=1000.0)
        if anisotropy:
            derived.DiffusionAnisotropyType = anisotropy
        return derived
    if b_value == 0 or vector is None:
        return group(DiffusionDirectionality="NONE", DiffusionBValue=float(b_value))
    return group(
        DiffusionDirectionality="DIRECTIONAL", DiffusionBValue=float(b_value),
        DiffusionGradientDirectionSequence=[group(
            DiffusionGradientOrientation=[float(part) for part in vector]
        )],
    )


def _labelling(kind: AslKind | None) -> Dataset:
    labelling = group(
        ASLCrusherFlag="NO", ASLBolusCutoffFlag="NO",
        ASLTechniqueDescription="simulated pCASL",
        ASLSlabSequence=[group(
            ASLSlabNumber=1, ASLSlabThickness=20.0, ASLSlabOrientation=[0.0, 0.0, 1.0],
            ASLMidSlabPosition=[0.0, 0.0, -80.0], ASLPulseTrainDuration=1800,
        )],
    )
    if kind is not None:
        labelling.ASLContext = _ASL_CONTEXT[kind]
    return labelling
