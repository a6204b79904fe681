"""The command line: help is light, every ending has its code, inspecting computes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from pydicom import Dataset
from typer.testing import CliRunner

from apps.cli import app, main
from operators.errors import EXIT_MEANINGS, ExitCode

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "monai", "holoscan", "highdicom", "SimpleITK", "scipy", "dipy", "matplotlib")


def modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(m for m in sys.modules if '.' not in m))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("arguments", [["--help"], ["evaluate", "--help"]])
def test_help_loads_no_heavy_library(arguments: list[str]) -> None:
    code = (
        "from typer.testing import CliRunner; from apps.cli import app\n"
        f"assert CliRunner().invoke(app, {arguments!r}).exit_code == 0"
    )
    assert not modules_after(code) & set(HEAVY)


def test_inspecting_never_loads_torch_monai_or_holoscan(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no DICOM here")
    code = (
        "from typer.testing import CliRunner; from apps.cli import app\n"
        f"CliRunner().invoke(app, ['inspect', {str(tmp_path)!r}])"
    )
    assert not modules_after(code) & {"torch", "monai", "holoscan"}


def test_help_lists_every_exit_code_with_its_meaning() -> None:
    text = CliRunner().invoke(app, ["--help"]).output
    for code in ExitCode:
        assert f"{code.value}  {EXIT_MEANINGS[code]}" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "EMPTY", "-o", "OUT"], ExitCode.BAD_INPUT, "EMPTY"),
        (["run", "MISSING", "-o", "OUT"], ExitCode.BAD_INPUT, "MISSING"),
        (["inspect", "MISSING"], ExitCode.BAD_INPUT, "MISSING"),
        (["run", "EMPTY", "-o", "OUT", "--config", "absent.yaml"], ExitCode.BAD_CONFIGURATION,
         "absent.yaml"),
        (["run", "EMPTY", "-o", "OUT", "-m", "MISSING"], ExitCode.BAD_CONFIGURATION,
         "lesion_segmenter"),
        (["run", "EMPTY", "-o", "FULL"], ExitCode.NOT_WRITTEN, "FULL"),
        (["run", "EMPTY", "-o", "FULL/thesis.txt/deep/out"], ExitCode.NOT_WRITTEN, "thesis.txt"),
        (["run", "EMPTY", "-o", "x" * 300], ExitCode.NOT_WRITTEN, "name too long"),
        (["run", "x" * 300, "-o", "OUT"], ExitCode.BAD_INPUT, "name too long"),
        (["inspect", "x" * 300], ExitCode.BAD_INPUT, "name too long"),
        (["evaluate", "EMPTY", "-o", "OUT"], ExitCode.BAD_INPUT, "EMPTY"),
        (["evaluate", "EMPTY", "-o", "OUT", "-m", "MISSING"], ExitCode.BAD_CONFIGURATION,
         "lesion_segmenter"),
        (["evaluate", "EMPTY", "-o", "OUT", "--config", "absent.yaml", "--design", "deepmir"],
         ExitCode.BAD_CONFIGURATION, "absent.yaml"),
        (["simulate", "-o", "OUT", "--style", "acme"], ExitCode.BAD_CONFIGURATION, "acme"),
        (["simulate", "-o", "OUT", "--subjects", "2", "--style", "acme"],
         ExitCode.BAD_CONFIGURATION, "acme"),
        (["simulate", "-o", "OUT", "--subjects", "2", "--head", "EMPTY"],
         ExitCode.BAD_CONFIGURATION, "--label-maps"),
        (["evaluate", "EMPTY", "-o", "OUT", "--design", "deepmir", "--from-dicom"],
         ExitCode.BAD_CONFIGURATION, "leave out --from-dicom"),
    ],
)
def test_a_wrong_request_ends_with_its_code_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: list[str], code: ExitCode, words: str,
) -> None:
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "FULL").mkdir()
    (tmp_path / "FULL" / "thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lentiform", *arguments])
    with pytest.raises(SystemExit) as ending:
        main()
    assert ending.value.code == code
    assert words in capsys.readouterr().err
    assert not any((tmp_path / "OUT").glob("*"))
    assert (tmp_path / "FULL" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "command", [["apps.cli", "inspect", "STUDY"], ["apps.map", "-i", "STUDY", "-o", "OUT"]]
)
def test_what_libraries_warn_of_in_a_broken_header_stays_off_the_terminal(
    tmp_path: Path, command: list[str]
) -> None:
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3", "1.2.3.5"
    header.Modality, header.SpecificCharacterSet = "MR", "ISO_IR 192"
    with warnings.catch_warnings(action="ignore"):
        header.PatientID, header.PatientBirthDate = "SECRET" * 20, "1950SECRET"
        (tmp_path / "STUDY").mkdir()
        header.save_as(tmp_path / "STUDY" / "1.dcm", implicit_vr=False, little_endian=True)
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert "SECRET" not in done.stdout + done.stderr
    assert "pydicom" not in done.stderr
