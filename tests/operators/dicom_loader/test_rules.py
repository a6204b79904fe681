"""Which header gets which role, and the words told for it; the settings themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from operators.dicom_loader.load import inspect_study
from operators.dicom_loader.settings import LoaderSettings, Match, Rule
from operators.types import Role

ROOT = Path(__file__).resolve().parents[3]
_M = ["ORIGINAL", "PRIMARY", "M", "ND"]


def _mr(**elements):
    return {"ImageType": _M, "ScanningSequence": "GR", "EchoTime": 20.0} | elements


CASES = {
    "Siemens SWI": (_mr(ImageType=["ORIGINAL", "PRIMARY", "M", "SWI", "ND", "NORM"],
                        SeriesDescription="SWI_Images"), Role.SWI, "processed"),
    "Siemens magnitude": (_mr(SeriesDescription="Mag_Images"), Role.MAGNITUDE, "20 ms at 3 T"),
    "Siemens sliding mIP": (_mr(ImageType=["ORIGINAL", "PRIMARY", "M", "MNIP", "ND"],
                                SeriesDescription="mIP_Images(SW)"), None, "projection"),
    "Siemens SWI from EPI": (_mr(ImageType=["ORIGINAL", "PRIMARY", "M", "SWI"],
                                 ScanningSequence="EP"), Role.SWI, "processed"),
    "Philips SWIp": (_mr(SeriesDescription="SWIp", Manufacturer="Philips"), Role.SWI, "processed"),
    "Philips magnitude": (_mr(ImageType=["ORIGINAL", "PRIMARY", "SW_M_FFE", "M", "FFE"],
                              Manufacturer="Philips"), Role.MAGNITUDE, "magnitude"),
    "Philips phase": (_mr(ImageType=["ORIGINAL", "PRIMARY", "SW_P_FFE", "SW_P", "FFE"],
                          Manufacturer="Philips"), Role.PHASE, "phase"),
    "Philips B0 map": (_mr(ImageType=["ORIGINAL", "PRIMARY", "FIELD_MAP", "R", "FFE"]),
                       None, "GRE field map"),
    "GE SWAN": (_mr(ImageType=["ORIGINAL", "PRIMARY", "OTHER"], SeriesDescription="Ax SWAN",
                    Manufacturer="GE MEDICAL SYSTEMS"), Role.SWI, "processed"),
    "GE minimum": (_mr(ImageType=["DERIVED", "SECONDARY", "REFORMATTED", "MIN IP"],
                       SeriesDescription="SWAN Min IP"), None, "projection"),
    "GRE at 1.5 T": (_mr(MagneticFieldStrength=1.5, EchoTime=25.0, MRAcquisitionType="2D"),
                     Role.MAGNITUDE, "25 ms at 1.5 T"),
    "QSM source called so": (_mr(SeriesDescription="qsm_6echo"), Role.MAGNITUDE, "magnitude"),
    "QSM map": (_mr(ImageType=["DERIVED", "SECONDARY", "OTHER"], SeriesDescription="QSM_chi_map"),
                Role.QSM, "susceptibility map"),
    "field map by name": (_mr(SeriesDescription="gre_field_mapping", EchoTime=7.38),
                          None, "GRE field map (longest echo 7.38 ms at 3 T, 1 mm pixels)"),
    "field map by sequence": (_mr(SequenceName="*fm2d2r", EchoTime=7.38), None, "GRE field map"),
    "field map without a name": (_mr(SeriesDescription="B0", EchoTime=4.6,
                                     PixelSpacing=[3.0, 3.0]), None,
                                 "longest echo of 4.6 ms at 3 T, with 3 mm pixels, is too short"),
    "coarse gradient echo": (_mr(PixelSpacing=[3.4, 3.4]), None, "too short or too coarse"),
    "MPRAGE": (_mr(ScanningSequence=["GR", "IR"], EchoTime=2.9, SeriesDescription="t1_mprage"),
               Role.T1W, "T1-weighted"),
    "inversion without a name": (_mr(ScanningSequence=["GR", "IR"], EchoTime=2.9,
                                     InversionTime=900.0), Role.T1W, "T1-weighted"),
    "MP2RAGE inversion image": (_mr(EchoTime=2.9, SeriesDescription="mp2rage_INV1"), None,
                                "MP2RAGE"),
    "T2": (_mr(ScanningSequence="SE", EchoTime=95.0, RepetitionTime=5000.0,
               SeriesDescription="t2_tse_tra"), Role.T2W, "echo 95 ms"),
    "FLAIR by name": (_mr(ScanningSequence=["SE", "IR"], EchoTime=120.0, RepetitionTime=9000.0,
                          SeriesDescription="t2_space_dark-fluid"), None, "FLAIR"),
    "FLAIR by inversion": (_mr(ScanningSequence=["SE", "IR"], EchoTime=120.0, InversionTime=2500.0,
                               RepetitionTime=9000.0), None, "FLAIR"),
    "angiogram": (_mr(EchoTime=3.4, SeriesDescription="TOF_3D_multi-slab"), None, "too short"),
    "angiogram at 7 T": (_mr(EchoTime=4.5, MagneticFieldStrength=7.0, PixelSpacing=[0.5, 0.5],
                             SeriesDescription="TOF_3D"), None, "gradient echo"),
    "BOLD": (_mr(ScanningSequence="EP", MRAcquisitionType="2D", EchoTime=30.0,
                 SeriesDescription="bold"), None, "echo-planar"),
    "ADC": (_mr(ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"],
                ScanningSequence="EP"), None, "derived diffusion map"),
    "FA": (_mr(ImageType=["ORIGINAL", "PRIMARY", "FA_SE", "FA", "SE"], ScanningSequence="SE"),
           Role.FA, "fractional anisotropy"),
    "colour FA": (_mr(ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "FA"],
                      PhotometricInterpretation="RGB"), None, "colour"),
    "Philips perfusion": (_mr(ImageType=["ORIGINAL", "PRIMARY", "PERFUSION_FFE", "PERFUSION",
                                         "FFE"]), Role.CBF, "used as relative CBF"),
    "blood volume": (_mr(ImageType=["DERIVED", "PRIMARY", "RCBV"], ScanningSequence="EP"), None,
                     "perfusion map that no step uses"),
    "ASL": (_mr(ImageType=["ORIGINAL", "PRIMARY", "ASL", "NONE"], ScanningSequence="EP"),
            Role.ASL, "arterial spin labelling"),
    "CT": (_mr(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), None,
           "CT object (CT Image Storage), not an MR image"),
    "screenshot": (_mr(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"), None, "Secondary Capture"),
    "own result": (_mr(Manufacturer="Lentiform"), None, "earlier run"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_header_gets_its_role_and_its_reason(bench, settings, name):
    elements, role, words = CASES[name]
    bench.series(**elements)
    (decision,) = inspect_study(bench.folder, settings=settings).decisions
    assert decision.role == role
    assert words in decision.reason
    assert decision.shape == (6, 12, 10)


def test_objects_without_an_image_are_told_and_not_loaded(bench, settings):
    bench.t1w()
    for uid, name in (
        ("1.2.840.10008.5.1.4.1.1.66", "Raw Data"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "Grayscale Softcopy Presentation State"),
        ("1.2.840.10008.5.1.4.1.1.88.11", "Basic Text SR"),
    ):
        header = bench.header(50 + len(name), SOPClassUID=uid)
        header.Modality = "SR" if "SR" in name else "MR"
        bench.save(header)
    decisions = inspect_study(bench.folder, settings=settings).decisions
    assert [d.role for d in decisions].count(None) == 3
    assert sum("Raw Data Storage: raw data" in d.reason for d in decisions) == 1
    assert sum("SR object (Basic Text SR Storage)" in d.reason for d in decisions) == 1
    assert all(d.shape is None for d in decisions if d.role is None)


def test_the_normalised_of_two_equal_series_wins_and_the_other_names_it(bench, settings):
    bench.t1w(number=3)
    bench.t1w(number=4, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])
    first, second = inspect_study(bench.folder, settings=settings).decisions
    assert first.role == Role.T1W
    assert second.reason == "T1-weighted; series 3 was taken as t1w instead"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"MRAcquisitionType": "3D"}, {"MRAcquisitionType": "2D"}),
        ({"PixelSpacing": [0.8, 0.8]}, {"PixelSpacing": [1.2, 1.2]}),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["DERIVED", "PRIMARY", "M"]}),
    ],
)
def test_the_better_series_wins_in_either_order(bench, settings, better, worse):
    bench.t1w(number=1, **better)
    bench.t1w(number=2, **worse)
    bench.t1w(number=3, **better)
    roles = [d.role for d in inspect_study(bench.folder, settings=settings).decisions]
    assert roles == [None, None, Role.T1W]


def test_a_rule_of_the_user_comes_before_the_others(bench, settings):
    rule = {"role": "swi", "because": "our own", "any_of": [{"description": "^susi$"}]}
    mine = LoaderSettings(rules=(Rule.model_validate(rule), *settings.rules))
    bench.series(**_mr(SeriesDescription="SuSi"))
    (decision,) = inspect_study(bench.folder, settings=mine).decisions
    assert (decision.role, decision.reason) == (Role.SWI, "our own")


def test_a_refused_field_map_is_told_once_and_a_localiser_is_not(bench, settings):
    bench.t1w(number=1)
    bench.series(number=2, **_mr(SeriesDescription="gre_field_mapping", EchoTime=7.38))
    bench.series(number=3, **_mr(SeriesDescription="localizer"))
    told = inspect_study(bench.folder, settings=settings).warnings
    assert len(told) == 1
    assert told[0].startswith("Series 2 was not used: GRE field map (longest echo 7.38 ms")


def test_a_study_that_no_rule_knows_says_so(bench):
    none = LoaderSettings(rules=())
    bench.t1w()
    assert inspect_study(bench.folder, settings=none).decisions[0].reason == (
        "no rule of app.yaml matches"
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"because": "x", "any_of": [{"description": "(("}]}, "not a regular expression"),
        ({"because": "{wrong}", "any_of": [{}]}, "names an unknown field"),
        ({"because": "x", "any_of": []}, "at least 1 item"),
        ({"because": "x", "any_of": [{"descripton": "a"}]}, "Extra inputs"),
        ({"role": "t3w", "because": "x", "any_of": [{}]}, "role"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_reason(rule, words):
    with pytest.raises(ValidationError, match=words):
        Rule.model_validate(rule)


def test_a_match_never_holds_on_what_the_header_does_not_say(bench, settings):
    """A gradient echo without echo time and field strength is not taken for SWI."""
    header = _mr()
    del header["EchoTime"]
    bench.series(**header, MagneticFieldStrength=None)
    (decision,) = inspect_study(bench.folder, settings=settings).decisions
    assert decision.role is None
    assert "unknown ms at unknown T" in decision.reason


def test_settings_are_frozen(settings):
    with pytest.raises(ValidationError, match="frozen"):
        settings.slice_spacing_tolerance_mm = 1.0
    assert Match().image is None
