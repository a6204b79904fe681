"""UIDs, patient, study and equipment are the same story in every object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from operators.dicom_writer.imprint import Imprint
from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.write import write_results
from operators.labels import RESEARCH_NOTICE
from operators.types import Findings, Provenance, Role


def _objects(out: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted((out / "dicom").rglob("*.dcm"))]


@pytest.fixture
def make_imprint(
    make_findings: Callable[..., Findings], provenance: Provenance
) -> Callable[[str], Imprint]:
    def make(started: str) -> Imprint:
        return Imprint.of(
            make_findings(), provenance=replace(provenance, started=started),
            now=datetime(2026, 3, 4), first_series_number=9000,
        )

    return make


def test_uids_are_new_for_each_run_and_tracking_uids_are_not(
    make_imprint: Callable[[str], Imprint]
) -> None:
    first, again, later = make_imprint("08:00"), make_imprint("08:00"), make_imprint("09:00")
    assert first.uid("SR", "series") == again.uid("SR", "series")
    assert first.uid("SR", "series") != later.uid("SR", "series")
    assert first.uid("SR", "series") != first.uid("SEG", "series")
    assert first.stable_uid("region", "left_putamen") == later.stable_uid("region", "left_putamen")


def test_every_object_is_of_the_same_study_and_patient_in_a_series_of_its_own(
    written: Callable[..., Path], make_findings: Callable[..., Findings]
) -> None:
    header = make_findings().study.study.header
    objects = _objects(written())
    for dataset in objects:
        for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "PatientAge",
                        "PatientWeight", "AccessionNumber", "StudyDate", "StudyDescription"):
            assert dataset[keyword].value == header[keyword].value, keyword
    sources = {series.series_uid for series in make_findings().study.study.series.values()}
    own = {dataset.SeriesInstanceUID for dataset in objects}
    assert len(own) == 6  # two SEG, SR, PDF, QSM, FA
    assert not own & sources
    assert len({dataset.SOPInstanceUID for dataset in objects}) == len(objects)
    assert len({(dataset.SeriesNumber, dataset.SeriesInstanceUID) for dataset in objects}) == 6


def test_every_object_names_the_software_its_version_and_that_it_is_for_research(
    written: Callable[..., Path]
) -> None:
    for dataset in _objects(written()):
        assert (dataset.Manufacturer, dataset.SoftwareVersions) == ("Lentiform", "0.1.0")
        purposes = {
            item.PurposeOfReferenceCodeSequence[0].CodeMeaning: item
            for item in dataset.ContributingEquipmentSequence
        }
        own = [item for item in dataset.ContributingEquipmentSequence
               if item.Manufacturer == "Lentiform"]
        assert own[0].ContributionDescription == RESEARCH_NOTICE
        assert purposes["Acquisition Equipment"].Manufacturer == "Simulated"


def test_dates_are_those_passed_in(written: Callable[..., Path]) -> None:
    for dataset in _objects(written()):
        assert (dataset.ContentDate, dataset.SeriesDate) == ("20260304", "20260304")
        assert str(dataset.ContentTime).startswith("111213")
        assert str(dataset.InstanceCreationTime).startswith("111213")


@pytest.mark.parametrize(
    ("stated", "offset", "date", "time"),
    [
        ("+0900", "+0900", "20260305", "081500"),
        ("-0330", "-0330", "20260304", "194500"),
        ("local", None, "20260304", "231500"),
        (None, None, "20260304", "231500"),
    ],
)
def test_the_time_zone_of_the_study_is_handed_on_and_holds_for_our_own_times(
    make_findings: Callable[..., Findings], provenance: Provenance, tmp_path: Path,
    stated: str | None, offset: str | None, date: str, time: str,
) -> None:
    findings = make_findings()
    if stated:
        findings.study.study.header.TimezoneOffsetFromUTC = stated
    write_results(
        findings, tmp_path / "out", settings=WriterSettings(bids=False), provenance=provenance,
        now=datetime(2026, 3, 4, 23, 15, tzinfo=UTC),
    )
    for dataset in _objects(tmp_path / "out"):
        assert dataset.get("TimezoneOffsetFromUTC") == offset
        assert (dataset.ContentDate, dataset.ContentTime[:6]) == (date, time)
        assert (dataset.InstanceCreationDate, dataset.InstanceCreationTime[:6]) == (date, time)
        assert dataset.StudyTime == "101112"


def test_a_header_without_type_2_attributes_or_frame_of_reference_is_completed(
    make_findings: Callable[..., Findings], make_imprint: Callable[[str], Imprint]
) -> None:
    header = make_findings().study.study.series[Role.MAGNITUDE].headers[0]
    imprint = make_imprint("08:00")
    for keyword in ("AccessionNumber", "StudyID"):
        del imprint.header[keyword]
    poor = Dataset()
    poor.update(header)
    for keyword in ("AccessionNumber", "StudyID", "FrameOfReferenceUID"):
        del poor[keyword]
    poor.ProcedureCodeSequence = []
    imprint.header.PatientSex = "X"
    completed = imprint.source(poor)
    for keyword in ("AccessionNumber", "StudyID", "PatientSex"):
        assert keyword in completed
        assert not completed[keyword].value
    assert "ProcedureCodeSequence" not in completed  # empty it would be against the standard
    assert completed.FrameOfReferenceUID == imprint.source(poor).FrameOfReferenceUID
    assert "FrameOfReferenceUID" not in poor  # the source itself is left alone
    assert poor.PatientSex == "F"
    assert imprint.header.PatientSex == "X"


@pytest.mark.parametrize("characters", [["", "ISO 2022 IR 87"], ["", "ISO 2022 IR 149"], "UTF-8"])
def test_a_character_set_that_highdicom_refuses_becomes_unicode(
    make_imprint: Callable[[str], Imprint], tmp_path: Path, characters: str | list[str]
) -> None:
    name = "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce" if "87" in characters[-1] else "Hong^Gildong"
    stored = Dataset()
    stored.SpecificCharacterSet = characters
    stored.PatientName, stored.PatientID = name, "1"
    stored.StudyInstanceUID = stored.SeriesInstanceUID = stored.FrameOfReferenceUID = "1.2.3"
    stored.save_as(tmp_path / "header", implicit_vr=False, little_endian=True)
    header = dcmread(tmp_path / "header", force=True)
    imprint = replace(make_imprint("now"), header=header)
    source = imprint.source(header)
    assert source.SpecificCharacterSet == "ISO_IR 192"
    source.save_as(tmp_path / "source", implicit_vr=False, little_endian=True)
    assert str(dcmread(tmp_path / "source", force=True).PatientName) == name
