"""A result appears whole or not at all, and nothing that is not ours is ever replaced."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from operators.dicom_writer import staging
from operators.dicom_writer.staging import MANIFEST, SCHEMA, check_output, staged
from operators.errors import OutputError


def _result(folder: Path, text: str, *, overwrite: bool = False) -> None:
    with staged(folder, overwrite=overwrite) as stage:
        (stage / "dicom").mkdir()
        (stage / "dicom" / "SR.dcm").write_text(text)
        (stage / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))


def _tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_nothing_is_there_before_the_end_and_everything_after(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with staged(out, overwrite=False) as stage:
        (stage / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))
        assert not out.exists()
        assert stage.name.startswith(".lentiform-")
    assert _tree(tmp_path / "deep") == ["out", f"out/{MANIFEST}"]


def test_an_error_leaves_no_trace(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fail_half_way() -> None:
        with staged(out, overwrite=False) as stage:
            (stage / "half").write_text("x")
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fail_half_way()
    assert _tree(tmp_path) == []


def test_a_killed_process_leaves_nothing_that_looks_like_a_result(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from operators.dicom_writer.staging import staged\n"
        "with staged(Path(sys.argv[1]), overwrite=False) as stage:\n"
        "    (stage / 'manifest.json').write_text('{}')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    out = tmp_path / "out"
    killed = subprocess.run(
        [sys.executable, "-c", program, str(out)], check=False, cwd=Path.cwd(),
        env={**os.environ, "PYTHONPATH": str(Path(staging.__file__).resolve().parents[2])},
    )
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert all(name.startswith(".lentiform-") for name in _tree(tmp_path))
    _result(out, "next")  # and the next run is not disturbed by what was left
    assert _tree(out) == ["dicom", "dicom/SR.dcm", MANIFEST]


def test_a_former_result_stays_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _result(out, "first")
    with pytest.raises(OutputError, match=r"already holds a Lentiform result.*--overwrite"):
        _result(out, "second")
    assert (out / "dicom" / "SR.dcm").read_text() == "first"
    _result(out, "second", overwrite=True)
    assert (out / "dicom" / "SR.dcm").read_text() == "second"
    assert _tree(tmp_path) == ["out", "out/dicom", "out/dicom/SR.dcm", f"out/{MANIFEST}"]


def test_files_of_others_are_refused_even_when_overwriting(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"not a Lentiform result \(thesis.docx, 1 in all\)"):
            check_output(tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"


def test_a_file_where_a_folder_is_wanted_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="is a file; a folder is wanted"):
        check_output(tmp_path / "out", overwrite=True)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        _result(tmp_path / "file" / "out", "x")


def test_a_place_that_may_not_be_written_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"cannot be written \(Permission denied\)"):
        check_output(tmp_path / "deep" / "out", overwrite=False)


def test_looking_whether_a_place_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    check_output(tmp_path / "deep" / "out", overwrite=False)
    assert _tree(tmp_path) == []


def test_a_mounted_output_folder_is_filled_in_place_with_the_manifest_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "mounted"
    out.mkdir()
    inode = out.stat().st_ino
    monkeypatch.setattr(Path, "is_mount", lambda self: self == out)
    moved: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(Path(b).name), replace(a, b)))
    _result(out, "first")
    _result(out, "second", overwrite=True)
    assert moved == ["dicom", MANIFEST] * 2
    assert out.stat().st_ino == inode
    assert (out / "dicom" / "SR.dcm").read_text() == "second"
    assert _tree(out) == ["dicom", "dicom/SR.dcm", MANIFEST]


@pytest.mark.parametrize("extra", ["thesis.txt", None])
def test_overwriting_never_deletes_what_a_run_did_not_write(
    tmp_path: Path, extra: str | None
) -> None:
    out = tmp_path / "out"
    _result(out, "first")
    if extra is None:
        (out / MANIFEST).write_text('{"name": "a web app"}')
    else:
        (out / extra).write_text("years of work")
    with pytest.raises(OutputError, match="not a Lentiform result"):
        check_output(out, overwrite=True)
