"""Multi-frame objects: frames told apart by their functional groups."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from operators.dicom_loader.load import inspect_study, load_study
from operators.types import Role, Unit

ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
ECHOES = (8.0, 16.0, 24.0)


def _item(**elements):
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return Sequence([item])


def _unit_mapping(slope, intercept, explanation):
    code = _item(CodeValue="1", CodingSchemeDesignator="UCUM", CodeMeaning="no units")
    return _item(
        RealWorldValueSlope=slope, RealWorldValueIntercept=intercept, LUTExplanation=explanation,
        MeasurementUnitsCodeSequence=code, LUTLabel="Philips",
    )  # fmt: skip


def _frame(echo, index, component):
    phase = component == "PHASE"
    kind = "P" if phase else "M"
    slope, intercept = (1.5, -3142.0) if phase else (2.0, 0.0)
    frame = Dataset()
    frame.MREchoSequence = _item(EffectiveEchoTime=echo)
    frame.MRImageFrameTypeSequence = _item(
        FrameType=["ORIGINAL", "PRIMARY", "T2_STAR", kind], ComplexImageComponent=component
    )
    frame.PlanePositionSequence = _item(ImagePositionPatient=[-5.0, -6.0, 2.0 * index])
    frame.PixelValueTransformationSequence = _item(
        RescaleSlope=slope, RescaleIntercept=intercept, RescaleType="US"
    )
    words = "Real World Value Mapping for " + ("milliradian" if phase else "normalized")
    frame.RealWorldValueMappingSequence = _unit_mapping(slope, intercept, words)
    return frame


def _write(bench, *, shuffle=7):
    """One object with three echoes of magnitude and phase, 36 frames in random order."""
    frames, planes = [], []
    for k, echo in enumerate(ECHOES):
        for component in ("MAGNITUDE", "PHASE"):
            for index in range(6):
                frames.append(_frame(echo, index, component))
                planes.append(bench.ramp(start=100 * k + (component == "PHASE") * 50)[index])
    order = np.random.default_rng(shuffle).permutation(len(frames))
    header = bench.header(
        3, SOPClassUID=ENHANCED_MR, Manufacturer="Philips", SeriesDescription="mFFE",
        ImageType=["ORIGINAL", "PRIMARY", "T2_STAR", "MIXED"], ComplexImageComponent="MIXED",
        EchoPulseSequence="GRADIENT", EchoPlanarPulseSequence="NO",
    )  # fmt: skip
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "RepetitionTime"):
        del header[keyword]
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelMeasuresSequence = _item(PixelSpacing=[1.0, 0.9], SliceThickness=2.0)
    shared.MRTimingAndRelatedParametersSequence = _item(RepetitionTime=31.0, FlipAngle=17.0)
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    header.PerFrameFunctionalGroupsSequence = Sequence([frames[i] for i in order])
    header.NumberOfFrames = len(frames)
    header.Rows, header.Columns = 12, 10
    header.PixelData = np.stack([planes[i] for i in order]).astype("<u2").tobytes()
    header["PixelData"].VR = "OW"
    header.InstanceNumber = 1
    return bench.save(header)


def test_one_object_gives_magnitude_and_phase_of_every_echo(bench, settings):
    _write(bench)
    study = load_study(bench.folder, settings=settings)
    magnitude, phase = study.series[Role.MAGNITUDE], study.series[Role.PHASE]
    assert [s.echo_time_ms for s in magnitude.samples] == list(ECHOES)
    assert [s.echo_time_ms for s in phase.samples] == list(ECHOES)
    for k in range(3):
        np.testing.assert_allclose(
            magnitude.volumes[k].array[::-1], bench.ramp(start=100 * k) * 2.0
        )
        np.testing.assert_allclose(
            phase.volumes[k].array[::-1], (bench.ramp(start=100 * k + 50) * 1.5 - 3142) / 1000,
            atol=1e-5,
        )  # fmt: skip
    assert phase.unit == Unit.RADIAN
    assert study.warnings == ()


def test_settings_come_from_the_shared_groups(bench, settings):
    _write(bench)
    series = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE]
    assert series.acquisition.repetition_time_ms == 31.0
    assert series.acquisition.flip_angle_deg == 17.0
    assert series.acquisition.slice_thickness_mm == 2.0
    assert series.volumes[0].spacing == pytest.approx((2.0, 1.0, 0.9))
    assert len(series.headers) == 1
    assert len(series.headers[0].PerFrameFunctionalGroupsSequence) == 36
    assert "PixelData" not in series.headers[0]


def test_compressed_frames_come_back_value_for_value(bench, settings):
    path = _write(bench)
    before = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes
    dataset = dcmread(path)
    dataset.compress("1.2.840.10008.1.2.4.80")
    dataset.save_as(path)
    after = load_study(bench.folder, settings=settings).series[Role.MAGNITUDE].volumes
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.array, other.array)


def test_a_truncated_object_names_its_bytes(bench, settings):
    path = _write(bench)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(Exception, match="7640 bytes found, 8640 wanted"):
        load_study(bench.folder, settings=settings)


def test_lost_functional_groups_are_told(bench, settings):
    path = _write(bench)
    dataset = dcmread(path)
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:30]
    dataset.save_as(path)
    bench.t1w()
    decisions = inspect_study(bench.folder, settings=settings).decisions
    (lost,) = (d for d in decisions if d.series_number == 3)
    assert lost.role is None
    assert "30 per-frame functional groups found, 36 wanted" in lost.reason
