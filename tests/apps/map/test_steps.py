"""Steps are timed and announced as they begin and end."""

from __future__ import annotations

import io
import time

import pytest

from apps.map.steps import Steps


def test_a_step_is_recorded_with_its_seconds_and_announced_twice() -> None:
    stream = io.StringIO()
    steps = Steps(stream)
    with steps.step("registration"):
        time.sleep(0.05)
    (record,) = steps.records
    assert record.name == "registration"
    assert 0.05 <= record.seconds < 1
    assert record.peak_memory_mib > 1
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("registration ...")
    assert "registration done in" in lines[1]


def test_a_step_that_fails_is_not_recorded_as_done() -> None:
    stream = io.StringIO()
    steps = Steps(stream)
    with pytest.raises(ValueError, match="broken"), steps.step("registration"):
        raise ValueError("broken")
    assert steps.records == ()
    assert "done" not in stream.getvalue()
