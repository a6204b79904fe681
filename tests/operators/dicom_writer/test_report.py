"""The report says what was found, what was not assessed, and never mixes the two."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from highdicom import Volume
from pydicom import Dataset

from operators.dicom_writer.report import report_pdf
from operators.dicom_writer.report_pictures import key_lesions
from operators.dicom_writer.report_text import impression, limits, location_rows
from operators.dicom_writer.scripts import marked
from operators.labels import LNC_NAMES, STRUCTURES, LesionClass, Side, structure
from operators.types import (
    Acquisition,
    CoregisteredStudy,
    Findings,
    Lesion,
    LesionMap,
    LncScore,
    ModelIdentity,
    NotAssessed,
    Provenance,
    RegionMap,
    RegionMeasure,
    Role,
    Sample,
    Series,
    Statistic,
    Study,
    Unit,
)

SHAPE = (24, 80, 72)
AFFINE = np.array([[0, 0, 2, -70.0], [0, 2, 0, -80.0], [2.5, 0, 0, -30.0], [0, 0, 0, 1]])


def volume(array: np.ndarray) -> Volume:
    return Volume(array, AFFINE, "PATIENT", frame_of_reference_uid="1.2.3")


def lesion(index: int, kind: LesionClass, name: str, side: Side, at: tuple[int, ...]) -> Lesion:
    centre = tuple(float(x) for x in (AFFINE @ [*at, 1])[:3])
    return Lesion(
        index, kind, structure(name, side), 65.0, 4.5, centre, 0.12, 0.3, 0.93, 0.1, "round",
        f"1.2.{index}",
    )


def findings(*, lesions: bool = True) -> Findings:
    rng = np.random.default_rng(3)
    grid = np.indices(SHAPE)
    centre = (np.array(SHAPE) / 2)[:, None, None, None]
    brain = (((grid - centre) / (np.array(SHAPE)[:, None, None, None] * 0.45)) ** 2).sum(0) < 1
    image = (brain * 100 + rng.normal(0, 4, SHAPE)).astype(np.float32)
    regions = np.zeros(SHAPE, np.uint8)
    for number, entry in STRUCTURES.items():
        if entry.name in LNC_NAMES:
            column = 44 if entry.side is Side.LEFT else 20
            regions[8:14, 20 + number * 3 : 24 + number * 3, column : column + 6] = number
    labels = np.zeros(SHAPE, np.uint16)
    found = (
        lesion(1, LesionClass.MICROBLEED, "frontal lobe", Side.LEFT, (16, 20, 50)),
        lesion(2, LesionClass.MICROBLEED, "thalamus", Side.RIGHT, (10, 45, 26)),
        lesion(3, LesionClass.IRON_DEPOSIT, "pallidum", Side.LEFT, (10, 40, 44)),
    )
    for item, at in zip(found, ((16, 20, 50), (10, 45, 26), (10, 40, 44)), strict=True):
        labels[at[0], at[1] - 1 : at[1] + 2, at[2] - 1 : at[2] + 2] = item.index
        image[labels == item.index] = 15
    series = {
        role: Series(
            role, (volume(image),), (Sample(echo_time_ms=20.0),), unit, (), "1.2", "t2_swi_tra",
            "chosen", Acquisition(field_strength_t=3.0),
        )
        for role, unit in ((Role.SWI, Unit.ARBITRARY), (Role.QSM, Unit.PPM), (Role.FA, Unit.RATIO))
    }
    header = Dataset()
    header.PatientName, header.PatientID, header.StudyDate = "PHANTOM^TEST", "SIM-1", "20260102"
    study = CoregisteredStudy(
        Study("1.9", header, series, ()), Role.SWI,
        {Role.SWI: volume(image), Role.QSM: volume(image / 1000), Role.FA: volume(image / 200)},
        {}, volume(brain), {Role.T2W: "registration failed"},
    )
    measures = tuple(
        RegionMeasure(
            entry, 4000.0, {Role.FA: Statistic(0.41, 0.1, 0.4, 0.5, Unit.RATIO)}, {}, 0.0
        )
        for entry in STRUCTURES.values()
        if entry.name in LNC_NAMES
    )
    model = ModelIdentity("unet", "0.1", "ab" * 32, "simulated lesions")
    return Findings(
        study,
        RegionMap(volume(regions), volume(brain), Role.SWI, "template", 0.9),
        LesionMap(volume(labels), {}, found, (Role.SWI, Role.QSM), model)
        if lesions
        else NotAssessed("The study holds no SWI."),
        LncScore(measures, (), ("ASL covers half of the left putamen.",)),
    )


PROVENANCE = Provenance("0.1.0", "2026-01-02T10:00:00+00:00", {}, {}, ())


def words_of(pdf: bytes, folder: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed")
    path = folder / "report.pdf"
    path.write_bytes(pdf)
    done = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


def test_the_first_page_says_count_place_pattern_and_that_it_is_research(tmp_path: Path) -> None:
    words = words_of(report_pdf(findings(), provenance=PROVENANCE), tmp_path)
    assert "2 cerebral microbleeds (1 lobar, 1 deep)" in words
    assert "imaging pattern: mixed" in words
    assert "not a medical device" in words
    assert "simulated lesions" in words
    assert "0.41*" in words
    assert "ASL covers half of the left putamen." in words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Doe^Jane", "Doe Jane"),
        ("Люксембург^Роза", "Люксембург Роза"),
        ("Διονυσίου^Γιώργος", "Διονυσίου Γιώργος"),
        ("Dvořák^Jiří", "Dvořák Jiří"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada Tarou"),
        ("=山田^太郎=やまだ^たろう", "山田 太郎"),
        ("ヤマダ^タロウ", "ヤマダ タロウ"),
        ("홍^길동", "홍 길동"),
    ],
)
def test_a_name_is_shown_in_its_own_script_and_in_an_alphabet_where_it_is_given_so(
    tmp_path: Path, name: str, shown: str
) -> None:
    named = replace(findings(lesions=False), regions=NotAssessed("No T1w."))
    named.study.study.header.PatientName = name
    words = words_of(report_pdf(named, provenance=PROVENANCE), tmp_path)
    assert f"Patient {shown} ID SIM-1" in words


def test_arabic_letters_are_joined_and_run_leftward_beside_other_words() -> None:
    assert "ﻲﻧﺎﺒﻗ" in marked("Patient قباني")
    hebrew = marked("<דוד כהן> & son")
    assert hebrew.index("ןהכ") < hebrew.index("דוד") < hebrew.index("&amp; son")
    assert marked("<a> & b") == "&lt;a&gt; &amp; b"


@pytest.mark.parametrize(
    ("mean", "shown"), [(0.7, "0.7"), (0.04321, "0.0432"), (1.4449, "1.44"), (1321.4, "1320")]
)
def test_relative_flow_keeps_three_digits_on_any_scale(
    tmp_path: Path, mean: float, shown: str
) -> None:
    whole = replace(findings(lesions=False), regions=NotAssessed("No T1w."))
    assert isinstance(whole.lnc, LncScore)
    flow = {Role.CBF: Statistic(mean, 0.1, mean, 1.0, Unit.RELATIVE_CBF)}
    measures = tuple(replace(measure, quantities=flow) for measure in whole.lnc.measures)
    page = report_pdf(
        replace(whole, lnc=replace(whole.lnc, measures=measures)), provenance=PROVENANCE
    )
    words = words_of(page, tmp_path)
    assert "rel. CBF" in words
    assert f"4000 4000 {shown} {shown}" in words


def test_not_assessed_is_never_worded_as_none_found(tmp_path: Path) -> None:
    words = words_of(report_pdf(findings(lesions=False), provenance=PROVENANCE), tmp_path)
    assert "Microbleeds and iron deposits: not assessed. The study holds no SWI." in words
    assert "No cerebral microbleed found" not in words


def test_an_empty_lesion_map_says_none_found() -> None:
    whole = findings()
    assert isinstance(whole.lesions, LesionMap)
    empty = replace(whole, lesions=replace(whole.lesions, lesions=()))
    assert impression(empty)[0] == "No cerebral microbleed found."


def test_a_dropped_contrast_and_its_reason_stand_under_limits() -> None:
    assert "T2-weighted was not used: registration failed" in limits(findings())


def test_location_rows_count_sides_apart() -> None:
    whole = findings()
    assert isinstance(whole.lesions, LesionMap)
    rows = location_rows(whole.lesions.lesions, LesionClass.MICROBLEED)
    assert rows == [("frontal", 1, 0, 0), ("thalamus", 0, 1, 0)]


def test_key_pictures_show_microbleeds_before_iron() -> None:
    whole = findings()
    assert isinstance(whole.lesions, LesionMap)
    kinds = [x.kind for x in key_lesions(whole.lesions, 2)]
    assert kinds == [LesionClass.MICROBLEED, LesionClass.MICROBLEED]
