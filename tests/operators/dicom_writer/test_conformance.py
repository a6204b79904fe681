"""Every object written passes the field's validators and readers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from operators.types import NotAssessed


def _run(*command: str | Path) -> str:
    finished = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False
    )
    return finished.stdout + finished.stderr


def _objects(out: Path) -> list[Path]:
    return sorted((out / "dicom").rglob("*.dcm"))


def test_dciodvfy_finds_no_error(written: Callable[..., Path]) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian package dicom3tools) is not installed")
    print()
    for path in _objects(written()):
        if path.parent.name != "dicom" and path.name != "0001.dcm":
            continue
        verdict = _run("dciodvfy", "-new", path)
        print(path.relative_to(path.parents[2]), verdict)
        assert "Error" not in verdict, f"{path.name}: {verdict}"
