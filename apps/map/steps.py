"""What each step costs, and how far the run is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any, TextIO

from operators.types import StepRecord

EXPECTED_SECONDS: Mapping[str, float] = {
    "DICOM loader": 3,
    "quantitative maps": 20,
    "registration": 15,
    "region segmenter": 4,
    "lesion segmenter": 12,
    "LNC scorer": 1,
    "DICOM writer": 8,
}
"""Steps in the order of the graph, with their weights in the bar (typical seconds on two cores)."""


class Steps:
    """Times every step of a run and shows its progress on `stream` (standard error)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._records: list[StepRecord] = []
        self._lock = Lock()
        self._begun = time.monotonic()
        self._bar = self._terminal_bar() if self._stream.isatty() else None

    @property
    def records(self) -> tuple[StepRecord, ...]:
        """Steps finished so far, in the order they finished."""
        return tuple(self._records)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time one step; a step that raises is not recorded."""
        self._announce(name)
        wall, cpu = time.monotonic(), _cpu_seconds()
        yield
        record = StepRecord(name, time.monotonic() - wall, _cpu_seconds() - cpu, _peak_mib())
        with self._lock:
            self._records.append(record)
        self._finish(record)

    def close(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            self._bar.close()

    def _terminal_bar(self) -> Any:
        from tqdm import tqdm

        layout = "{desc:<20} {bar:30} {percentage:3.0f} %  {elapsed}, about {remaining} left"
        total = sum(EXPECTED_SECONDS.values())
        return tqdm(total=total, bar_format=layout, file=self._stream, leave=False)

    def _announce(self, name: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(name)
        else:
            elapsed = time.monotonic() - self._begun
            print(f"{elapsed:6.1f} s  {name} ...", file=self._stream, flush=True)

    def _finish(self, record: StepRecord) -> None:
        if self._bar is not None:
            self._bar.update(EXPECTED_SECONDS.get(record.name, 1))
        else:
            elapsed = time.monotonic() - self._begun
            print(
                f"{elapsed:6.1f} s  {record.name} done in {record.seconds:.1f} s",
                file=self._stream,
                flush=True,
            )


def _cpu_seconds() -> float:
    """CPU seconds of this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
