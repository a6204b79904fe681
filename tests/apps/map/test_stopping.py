"""A run that is stopped says so by its code, and leaves neither results nor temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WRITING = """
import sys, tempfile, time
from pathlib import Path
from apps.map.run import RunPaths, run_study
from operators.dicom_loader.operator import DicomLoaderOperator
from operators.dicom_writer.staging import staged

def write_for_ever(*_):
    with staged(Path(sys.argv[2]), overwrite=False) as stage, tempfile.TemporaryDirectory():
        (stage / "half").write_text("x")
        print("writing", flush=True)
        while True:
            time.sleep(0.01)

DicomLoaderOperator.compute = write_for_ever
run_study(RunPaths(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_has_its_code_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    for name in ("study", "results", "temporary"):
        (tmp_path / name).mkdir()
    paths = [str(tmp_path / "study"), str(tmp_path / "results" / "out")]
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", WRITING, *paths], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "writing\n"
        time.sleep(0.5)
        running.send_signal(number)
        _, said = running.communicate(timeout=20)
    assert running.returncode == code
    assert "nothing written" in said
    assert "Traceback" not in said
    assert not list((tmp_path / "results").iterdir())
    assert not list((tmp_path / "temporary").iterdir())
