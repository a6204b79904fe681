"""Values in the unit of the role: FA, QSM, CBF, ASL."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from operators.dicom_loader.load import load_study
from operators.dicom_loader.perfusion import asl_timing, assumed_kinds
from operators.errors import BrokenSeries
from operators.types import AslKind, AslTiming, Role, Unit

FA = {
    "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "FA", "ND"], "ScanningSequence": "EP",
    "SeriesDescription": "ep2d_FA", "EchoTime": 70.0,
}  # fmt: skip
QSM = {
    "ImageType": ["DERIVED", "SECONDARY", "QSM"], "ScanningSequence": "GR", "EchoTime": 20.0,
    "PixelRepresentation": 1, "BitsStored": 16, "HighBit": 15,
}  # fmt: skip
CBF = {
    "ImageType": ["DERIVED", "PRIMARY", "ASL", "RCBF"], "ScanningSequence": "EP", "EchoTime": 12.0,
    "SeriesDescription": "relCBF",
}  # fmt: skip
ASL = {
    "ImageType": ["ORIGINAL", "PRIMARY", "ASL", "NONE", "ND"], "ScanningSequence": "EP",
    "EchoTime": 12.0,
}  # fmt: skip


def _mapping(unit, slope, *, explanation=""):
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.MeasurementUnitsCodeSequence = Sequence([code])
    item.RealWorldValueSlope, item.RealWorldValueIntercept = float(slope), 0.0
    item.LUTExplanation, item.LUTLabel = explanation, "x"
    return Sequence([item])


def _only(bench, settings, role):
    study = load_study(bench.folder, settings=settings)
    return study.series[role], study.warnings


def test_fa_stored_up_to_a_thousand_is_a_ratio(bench, settings):
    bench.series(bench.ramp(), **FA)
    series, warnings = _only(bench, settings, Role.FA)
    assert series.unit == Unit.RATIO
    np.testing.assert_allclose(series.volumes[0].array[::-1], bench.ramp() / 1000, rtol=1e-6)
    assert warnings == ()


def test_fa_stored_as_a_ratio_is_left(bench, settings):
    bench.series(bench.ramp(), RescaleSlope=0.001, RescaleIntercept=0, **FA)
    series, _ = _only(bench, settings, Role.FA)
    assert series.volumes[0].array.max() == pytest.approx(0.719)


@pytest.mark.parametrize(("slope", "shift"), [(1, 700), (1 / 7.2, 0)], ids=["too high", "percent"])
def test_values_that_no_fa_map_has_are_refused(bench, settings, slope, shift):
    bench.series(bench.ramp() + shift, RescaleSlope=round(slope, 6), RescaleIntercept=0, **FA)
    with pytest.raises(BrokenSeries, match=r"% of its values lie outside 0 to 1"):
        _only(bench, settings, Role.FA)


@pytest.mark.parametrize(
    ("slope", "elements", "said"),
    [
        (1.0, {"SeriesDescription": "QSM (ppb)"}, ()),
        (0.001, {"SeriesDescription": "QSM_ppm"}, ()),
        (1.0, {"SeriesDescription": "QSM"}, ("Unit of QSM not stated: ppb assumed",)),
        (0.001, {"SeriesDescription": "QSM"}, ("Unit of QSM not stated: ppm assumed",)),
    ],
)
def test_susceptibility_is_in_ppm(bench, settings, slope, elements, said):
    values = bench.ramp().astype(np.int16) - 300
    bench.series(values, RescaleSlope=slope, RescaleIntercept=0, **(QSM | elements))
    series, warnings = _only(bench, settings, Role.QSM)
    assert series.unit == Unit.PPM
    np.testing.assert_allclose(series.volumes[0].array[::-1], values / 1000, atol=1e-6)
    assert len(warnings) == len(said)
    assert all(warning.startswith(start) for warning, start in zip(warnings, said, strict=True))


def test_a_susceptibility_map_that_lost_its_intercept_is_refused(bench, settings):
    bench.series(bench.ramp() + 2048, SeriesDescription="QSM_ppb", **QSM)
    with pytest.raises(BrokenSeries, match="a susceptibility map lies about 0"):
        _only(bench, settings, Role.QSM)


def test_a_mapped_unit_of_susceptibility_decides(bench, settings):
    values = bench.ramp().astype(np.int16)
    bench.series(
        values, SeriesDescription="chi", RealWorldValueMappingSequence=_mapping("[ppb]", 0.5), **QSM
    )
    series, warnings = _only(bench, settings, Role.QSM)
    assert series.volumes[0].array.max() == pytest.approx(719 * 0.5 / 1000)
    assert warnings == ()


def test_cbf_without_a_unit_is_relative(bench, settings):
    bench.series(bench.ramp(), RescaleSlope=2.00024, RescaleIntercept=-4096, **CBF)
    series, _ = _only(bench, settings, Role.CBF)
    assert series.unit == Unit.RELATIVE_CBF
    assert series.volumes[0].array.min() == pytest.approx(-4096)


@pytest.mark.parametrize("unit", ["ml/(100.g.min)", "mL/min/100g", "ml/[100]g/min"])
def test_cbf_is_absolute_only_by_its_unit_code(bench, settings, unit):
    bench.series(bench.ramp(), RealWorldValueMappingSequence=_mapping(unit, 0.1), **CBF)
    series, _ = _only(bench, settings, Role.CBF)
    assert series.unit == Unit.ABSOLUTE_CBF
    assert series.volumes[0].array.max() == pytest.approx(71.9)


def test_relative_cbf_is_preferred_over_the_perfusion_weighted_map(bench, settings):
    bench.series(number=7, **CBF)
    bench.series(
        number=8, **(CBF | {"ImageType": ["DERIVED", "PRIMARY", "ASL", "SUBTRACTION"],
                            "SeriesDescription": "Perfusion_Weighted"}),
    )  # fmt: skip
    study = load_study(bench.folder, settings=settings)
    assert [d.role for d in study.decisions] == [Role.CBF, None]
    assert "series 7 was taken as cbf instead" in study.decisions[1].reason


def _asl(bench, levels, *, number=5, **elements):
    for k, level in enumerate(levels):
        values = np.full((6, 12, 10), level, dtype=np.uint16)
        values[:, :4] = 0
        bench.series(
            values, number=number, AcquisitionNumber=k + 1, first_instance=6 * k + 1,
            SeriesDescription="asl_3d_tra", **(ASL | elements),
        )  # fmt: skip


def test_unlabelled_asl_pairs_are_told_apart_by_brightness_and_said_so(bench, settings):
    _asl(bench, [2000, 400, 410, 401, 411])
    series, warnings = _only(bench, settings, Role.ASL)
    kinds = [sample.asl for sample in series.samples]
    pair = [AslKind.LABEL, AslKind.CONTROL]
    assert kinds == [AslKind.M0, *pair, *pair]
    assert [v.array.max() for v in series.volumes] == [2000, 400, 410, 401, 411]
    assert "label and control assumed" in warnings[0]


def test_two_volumes_of_very_different_brightness_are_m0_and_difference():
    assert assumed_kinds([12.0, 900.0], others_stated=False)[0] == (AslKind.DIFFERENCE, AslKind.M0)
    assert assumed_kinds([410.0, 400.0], others_stated=False)[0] == (
        AslKind.CONTROL, AslKind.LABEL,
    )  # fmt: skip
    assert assumed_kinds([410.0], others_stated=False) is None
    assert assumed_kinds([900.0], others_stated=True)[0] == (AslKind.M0,)


def test_an_m0_series_of_its_own_joins_the_labelled_one(bench, settings):
    _asl(bench, [400, 410])
    bench.series(
        np.full((6, 12, 10), 3000, dtype=np.uint16), number=6, SeriesDescription="asl_3d_tra_M0",
        **ASL,
    )  # fmt: skip
    study = load_study(bench.folder, settings=settings)
    series = study.series[Role.ASL]
    assert [s.asl for s in series.samples] == [AslKind.M0, AslKind.LABEL, AslKind.CONTROL]
    assert series.volumes[0].array.max() == 3000
    assert [d.role for d in study.decisions] == [Role.ASL, Role.ASL]
    assert study.decisions[1].reason == "M0 of series 5, joined to it"
    assert len(series.headers) == 18


def test_an_m0_on_another_grid_stays_out(bench, settings):
    _asl(bench, [400, 410])
    bench.series(number=6, SeriesDescription="asl_M0", PixelSpacing=[3.0, 3.0], **ASL)
    study = load_study(bench.folder, settings=settings)
    assert [d.role for d in study.decisions] == [Role.ASL, None]


def test_a_lone_m0_is_kept_only_to_carry_a_cbf_map(bench, settings):
    bench.series(number=6, SeriesDescription="asl_M0", **ASL)
    bench.t1w(number=9)
    study = load_study(bench.folder, settings=settings)
    assert Role.ASL not in study.series
    assert study.decisions[0].reason == (
        "CBF needs label and control images (M0 alone found), and there is no cbf map"
    )
    bench.series(number=7, **CBF)
    study = load_study(bench.folder, settings=settings)
    assert [s.asl for s in study.series[Role.ASL].samples] == [AslKind.M0]


def _labelling(**elements):
    header = Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return header


def test_labelling_is_read_where_the_header_states_it():
    slab, item = Dataset(), Dataset()
    slab.ASLPulseTrainDuration = 1800
    item.ASLSlabSequence = Sequence([slab])
    header = _labelling(ArterialSpinLabelingContrast="PSEUDOCONTINUOUS", Manufacturer="Siemens")
    protocol = "sAsl.ulLabelingDuration\t = \t1500000\nsAsl.sPostLabelingDelay[0]\t = \t2000000\n"
    assert asl_timing(header, item, "") == AslTiming("pcasl", 1800.0, None)
    assert asl_timing(header, item, protocol) == AslTiming("pcasl", 1500.0, 2000.0)


def test_pulsed_labelling_has_inversion_time_and_bolus_duration():
    cut, item = Dataset(), Dataset()
    cut.ASLBolusCutoffDelayTime = 700
    item.ASLBolusCutoffTimingSequence = Sequence([cut])
    header = _labelling(ArterialSpinLabelingContrast="PULSED", InversionTime=1990.0)
    assert asl_timing(header, item, "") == AslTiming("pasl", 700.0, 1990.0)


def test_ge_states_labelling_in_private_elements():
    header = _labelling(Manufacturer="GE MEDICAL SYSTEMS", InversionTime=2025.0)
    block = header.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0xA4, "LO", "3D pulsed continuous ASL technique")
    block.add_new(0xA5, "IS", 1450)
    assert asl_timing(header, None, "") == AslTiming("pcasl", 1450.0, 2025.0)


def test_a_silent_header_states_no_labelling():
    assert asl_timing(_labelling(Manufacturer="Philips"), None, "") is None
