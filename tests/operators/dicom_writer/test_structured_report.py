"""The SR says what was found, what was looked for in vain, and what nobody looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from highdicom.seg import segread
from highdicom.sr import MeasurementReport, srread

from operators.dicom_writer.status import exit_code
from operators.errors import ExitCode
from operators.labels import LESION_COUNT, LESIONS, LNC, NOT_EVALUATED, LesionClass
from operators.types import Findings, NotAssessed, Role

NO_SWI = NotAssessed("no susceptibility-weighted series")
NO_T1 = NotAssessed("no T1-weighted series")


def _content(out: Path) -> MeasurementReport:
    return srread(out / "dicom" / "SR_findings.dcm").content


def _groups(out: Path) -> dict[str, object]:
    content = _content(out)
    groups = [
        *content.get_image_measurement_groups(),
        *content.get_volumetric_roi_measurement_groups(),
    ]
    return {group.tracking_identifier: group for group in groups}


def _numbers(group: object) -> dict[tuple[str, str | None, str], float]:
    """(concept, derivation, unit) -> value."""
    return {
        (m.name.meaning, m.derivation.meaning if m.derivation else None, m.unit.value): m.value
        for m in group.get_measurements()
    }


def _answers(group: object) -> dict[str, str]:
    return {e.name.value: e.value.value for e in group.get_qualitative_evaluations()}


def _comment(group: object) -> str:
    return next(item.value for item in group[0].ContentSequence if item.name.value == "121106")


def test_a_lesion_group_repeats_the_lesion_s_measurements(written: Callable[..., Path]) -> None:
    group = _groups(written())["CMB 2"]
    numbers = _numbers(group)
    assert numbers["Volume", None, "mm3"] == pytest.approx(12 * 2.0 * 0.9 * 0.8)
    assert numbers["Diameter", None, "mm"] == 3.0
    assert numbers["Magnetic Susceptibility", "Mean", "ppm"] == pytest.approx(0.12)
    assert numbers["Magnetic Susceptibility", "Maximum", "ppm"] == pytest.approx(0.24)
    assert numbers["Probability", None, "1"] == pytest.approx(0.93)
    site = group.finding_sites[0]
    assert (site.value.meaning, site.laterality.meaning) == ("Putamen", "Right")


def test_the_peak_of_calcium_is_a_negative_minimum(written: Callable[..., Path]) -> None:
    numbers = _numbers(_groups(written())["CALC 4"])
    assert numbers["Magnetic Susceptibility", "Minimum", "ppm"] == pytest.approx(-0.42)


def test_tracking_pairs_and_segment_numbers_agree_with_the_seg(
    written: Callable[..., Path]
) -> None:
    out = written()
    pairs = {}
    for name in ("SEG_lesions", "SEG_regions"):
        seg = segread(out / "dicom" / f"{name}.dcm")
        for item in seg.SegmentSequence:
            key = (item.TrackingID, item.TrackingUID)
            pairs[key] = (seg.SOPInstanceUID, item.SegmentNumber)
    groups = _content(out).get_volumetric_roi_measurement_groups()
    assert len(groups) == 5
    for group in groups:
        uid, number = pairs[group.tracking_identifier, group.tracking_uid]
        reference = group.referenced_segment
        assert reference[0].referenced_sop_instance_uid == uid
        assert reference[0].referenced_segment_numbers == [number]


def test_each_class_has_a_count_and_no_lesion_is_a_count_of_zero(
    written: Callable[..., Path]
) -> None:
    groups = _groups(written())
    counts = {name: groups[f"{name} total"] for name in ("CMB", "NHID", "CALC", "VESSEL")}
    key = (LESION_COUNT.meaning, None, "1")
    assert [_numbers(group)[key] for group in counts.values()] == [2, 0, 1, 0]
    microbleed = LESIONS[LesionClass.MICROBLEED].code.value
    assert _answers(counts["CMB"])[microbleed] == "52101004"
    assert _answers(counts["CMB"])["PATTERN"] == "MIXED"


def test_not_assessed_has_no_count_but_its_reason(written: Callable[..., Path]) -> None:
    groups = _groups(written(lesions=NO_SWI))
    total = groups["CMB total"]
    assert _numbers(total) == {}
    microbleed = LESIONS[LesionClass.MICROBLEED].code.value
    assert _answers(total) == {microbleed: NOT_EVALUATED.value}
    assert _comment(total) == NO_SWI.reason
    assert "CMB 1" not in groups


def test_lnc_statistics_keep_their_quantity_unit_and_coverage(
    written: Callable[..., Path]
) -> None:
    groups = _groups(written())
    left, right = _numbers(groups["left putamen"]), _numbers(groups["right putamen"])
    assert left["Fractional Anisotropy", "Mean", "{ratio}"] == pytest.approx(0.21)
    assert left["Fractional Anisotropy", "Median", "{ratio}"] == pytest.approx(0.20)
    assert left["Relative Regional Blood Flow", "Mean", "1"] == pytest.approx(0.8)
    share = "Share of the region measured"
    assert left["Relative Regional Blood Flow", share, "%"] == 50
    assert left["Magnetic Susceptibility", share, "%"] == 0
    assert ("Magnetic Susceptibility", "Mean", "ppm") not in left
    assert right["Magnetic Susceptibility", "Mean", "ppm"] == pytest.approx(0.04)
    assert not any("Absolute" in name for name, _, _ in left)


def test_lnc_notes_and_asymmetries_stand_in_the_lnc_group(written: Callable[..., Path]) -> None:
    group = _groups(written())["LNC total"]
    numbers = _numbers(group)
    derivation = "Left minus right over their mean"
    assert numbers["Fractional Anisotropy", derivation, "%"] == pytest.approx(-17.4)
    assert numbers["Volume", derivation, "%"] == pytest.approx(2.0)
    assert "Perfusion is relative." in _comment(group)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({}, ExitCode.COMPLETE),
        ({"lesions": NO_SWI}, ExitCode.LESIONS_NOT_ASSESSED),
        ({"lnc": NO_T1}, ExitCode.LNC_NOT_ASSESSED),
        ({"lesions": NO_SWI, "lnc": NO_T1, "regions": NO_T1}, ExitCode.NEITHER_ASSESSED),
    ],
)
def test_exit_code_and_report_agree_on_what_was_assessed(
    written: Callable[..., Path], make_findings: Callable[..., Findings],
    parts: dict[str, NotAssessed], code: ExitCode,
) -> None:
    findings = make_findings(**parts)
    assert exit_code(findings) is code
    groups = _groups(written(**parts))
    for kind in LESIONS.values():
        refused = _answers(groups[f"{kind.abbreviation} total"])[kind.code.value]
        assert (refused == NOT_EVALUATED.value) is ("lesions" in parts)
    refused = _answers(groups["LNC total"]).get(LNC.value) == NOT_EVALUATED.value
    assert refused is ("lnc" in parts)


def test_the_report_names_every_source_object_and_both_segmentations(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    findings = make_findings()
    out = written()
    evidence = {uid for _, _, uid, _ in srread(out / "dicom" / "SR_findings.dcm").get_evidence()}
    series = findings.study.study.series
    expected = {h.SOPInstanceUID for role in (Role.MAGNITUDE, Role.T1W)
                for h in series[role].headers}
    for name in ("SEG_lesions", "SEG_regions"):
        expected.add(segread(out / "dicom" / f"{name}.dcm").SOPInstanceUID)
    assert evidence == expected
