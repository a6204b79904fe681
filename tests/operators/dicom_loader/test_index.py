"""Any folder: what is found, what is set aside, which study is meant."""

from __future__ import annotations

import os
import shutil

import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet

from operators.dicom_loader.index import index_folder
from operators.dicom_loader.load import inspect_study, load_study
from operators.dicom_loader.study_choice import choose_study
from operators.errors import InputError, NothingToAssess, StudyChoiceError
from operators.types import Role


def test_files_are_found_however_nested_and_named(bench):
    paths = bench.magnitude(folder="deep/er/still")
    paths[0].rename(paths[0].with_suffix(".IMA"))
    paths[1].rename(paths[1].parent / "IM 0002.weird.name")
    index = index_folder(bench.folder)
    assert len(index.instances) == 6
    assert {i.name for i in index.instances} >= {"deep/er/still/IM 0002.weird.name"}


def test_a_dicomdir_is_neither_needed_nor_counted(bench, tmp_path):
    files = FileSet()
    for path in bench.magnitude():
        files.add(dcmread(path))
    files.write(tmp_path / "media")
    index = index_folder(tmp_path / "media")
    assert (tmp_path / "media" / "DICOMDIR").exists()
    assert len(index.instances) == 6
    assert index.warnings() == ()


def test_other_files_are_skipped_and_counted(bench):
    bench.magnitude()
    (bench.folder / "notes.txt").write_text("no DICOM")
    (bench.folder / "empty").write_bytes(b"")
    (bench.folder / "cut.dcm").write_bytes(bench.paths[0].read_bytes()[:180])
    index = index_folder(bench.folder)
    assert len(index.instances) == 6
    assert index.warnings() == (
        "1 file(s) skipped that are not DICOM.",
        "2 file(s) skipped that are empty or whose DICOM header cannot be read: cut.dcm, empty.",
    )


def test_a_file_without_preamble_is_read(bench):
    path = bench.magnitude()[0]
    path.write_bytes(path.read_bytes()[132:])
    assert len(index_folder(bench.folder).instances) == 6


def test_a_data_set_without_meta_information_is_read(bench, settings):
    for path in bench.t1w():
        whole = path.read_bytes()
        path.write_bytes(whole[whole.index(b"\x08\x00\x08\x00CS") :])
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.T1W].volumes[0].array.max() == 719


def test_a_header_number_that_is_none_counts_as_absent(bench, settings):
    bench.t1w(edit=lambda header, _: header.add_new("RepetitionTime", "LO", "fast"))
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.T1W].acquisition.repetition_time_ms is None


def test_a_second_file_of_the_same_instance_is_one_instance(bench, settings):
    paths = bench.magnitude()
    shutil.copy(paths[2], bench.folder / "copy.dcm")
    study = load_study(bench.folder, settings=settings)
    assert study.series[Role.MAGNITUDE].volumes[0].spatial_shape == (6, 12, 10)
    assert study.warnings == ("1 file(s) skipped that repeat a SOP Instance UID.",)


@pytest.mark.parametrize("kind", ["missing", "empty", "text"])
def test_a_folder_without_dicom_is_an_input_error_that_names_it(tmp_path, settings, kind):
    folder = tmp_path / "here"
    if kind != "missing":
        folder.mkdir()
    if kind == "text":
        (folder / "a.txt").write_text("x")
    with pytest.raises(InputError, match="here"):
        inspect_study(folder, settings=settings)


def test_two_studies_are_listed_by_uid_and_series_and_none_is_taken(bench, settings):
    bench.magnitude(StudyInstanceUID="1.2.3.1")
    bench.t1w(StudyInstanceUID="1.2.3.1")
    bench.t1w(StudyInstanceUID="1.2.3.2", PatientID="P2", PatientName="Other^Person")
    with pytest.raises(StudyChoiceError) as caught:
        load_study(bench.folder, settings=settings)
    message = str(caught.value)
    assert "2 studies found, one wanted" in message
    assert "1.2.3.1: 12 objects, series by modality: MR 2" in message
    assert "1.2.3.2: 6 objects, series by modality: MR 1" in message
    assert "--study-uid" in message
    assert "Other" not in message
    assert "P2" not in message


def test_the_study_named_is_read_and_nothing_of_the_other(bench, settings):
    bench.magnitude(StudyInstanceUID="1.2.3.1")
    bench.t1w(StudyInstanceUID="1.2.3.2", PatientID="P2")
    study = load_study(bench.folder, settings=settings, study_uid="1.2.3.2")
    assert study.uid == "1.2.3.2"
    assert set(study.series) == {Role.T1W}
    assert len(study.decisions) == 1
    assert study.header.PatientID == "P2"


def test_a_study_that_is_not_there_is_refused_with_those_that_are(bench, settings):
    bench.magnitude()
    with pytest.raises(StudyChoiceError, match=r"Study 9\.9 is not in the folder(.|\n)*1\.2\.3\.1"):
        load_study(bench.folder, settings=settings, study_uid="9.9")


def test_two_patients_under_one_study_uid_are_never_mixed(bench):
    bench.magnitude()
    bench.t1w(PatientID="P2")
    bench.localiser(PatientID="")
    with pytest.raises(StudyChoiceError, match="2 different values of PatientID, one") as caught:
        choose_study(index_folder(bench.folder), None)
    assert "P2" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ({"PatientID": ""}, {"PatientID": "", "PatientName": "Other^Person"}, "PatientName"),
        ({}, {"PatientID": "", "PatientName": "Other^Person"}, "PatientName"),
        ({}, {"PatientBirthDate": "19300101"}, "PatientBirthDate"),
        (
            {"IssuerOfPatientID": "A"},
            {"IssuerOfPatientID": "B", "PatientName": "Other^Person"},
            "PatientName",
        ),
    ],
)
def test_patients_are_parted_by_more_than_the_id(bench, one, other, key):
    bench.magnitude(**one)
    bench.phase(**other)
    with pytest.raises(StudyChoiceError, match=f"2 different values of {key}, one") as caught:
        choose_study(index_folder(bench.folder), None)
    assert "OTHER" not in str(caught.value).upper()


def test_a_name_written_in_two_ways_is_one_patient(bench):
    bench.magnitude(PatientID="", PatientName="Simulated^One")
    bench.phase(PatientID="", PatientName="SIMULATED^ONE^^^", PatientBirthDate="1950.01.01")
    bench.t1w(PatientBirthDate="19500000", IssuerOfPatientID="B")
    assert len(choose_study(index_folder(bench.folder), None)) == 18


def test_a_copy_written_anew_is_no_other_image(bench, settings):
    path = bench.magnitude()[2]
    copy = dcmread(path)
    copy.EchoTime = "20.000"
    del copy.InstanceNumber
    bench.save(copy, "s1", "copy")
    study = load_study(bench.folder, settings=settings)
    assert study.warnings == ("1 file(s) skipped that repeat a SOP Instance UID.",)


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_linked_folders_are_entered_once_and_a_broken_link_is_told(bench, tmp_path):
    bench.magnitude(folder="../elsewhere")
    (bench.folder / "scan").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(bench.folder)
    (bench.folder / "gone.dcm").symlink_to(tmp_path / "nowhere")
    index = index_folder(bench.folder)
    assert len(index.instances) == 6
    assert index.warnings() == ("1 folder(s) or link(s) could not be opened: gone.dcm.",)


def test_a_folder_that_cannot_be_opened_is_told(bench, monkeypatch):
    bench.magnitude()
    (bench.folder / "locked").mkdir()
    scan = os.scandir

    def guarded(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", guarded)
    assert "could not be opened: locked." in index_folder(bench.folder).warnings()[0]


def test_a_study_without_any_role_lists_what_was_found(bench, settings):
    bench.localiser()
    with pytest.raises(NothingToAssess, match=r"found: localizer x1.*Send SWI or GRE"):
        load_study(bench.folder, settings=settings)


def test_the_study_header_holds_patient_and_study_and_nothing_of_a_series(bench, settings):
    bench.magnitude()
    header = load_study(bench.folder, settings=settings).header
    assert header.PatientName == "Simulated^One"
    assert header.PatientBirthDate == "19500101"
    assert header.StudyDate == "20240101"
    assert header.AccessionNumber == "A1"
    assert "SeriesInstanceUID" not in header
    assert "PixelData" not in header


def test_the_order_of_files_does_not_change_the_study(bench, settings, tmp_path):
    bench.magnitude()
    bench.t1w()
    other = tmp_path / "shuffled"
    other.mkdir()
    for rank, path in enumerate(reversed(bench.paths)):
        shutil.copy(path, other / f"{rank:03d}")
    one = load_study(bench.folder, settings=settings)
    two = load_study(other, settings=settings)
    assert [d.reason for d in one.decisions] == [d.reason for d in two.decisions]
    for role, series in one.series.items():
        assert (series.volumes[0].array == two.series[role].volumes[0].array).all()
        assert (series.volumes[0].affine == two.series[role].volumes[0].affine).all()
