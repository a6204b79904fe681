"""Ctrl-C and SIGTERM end a run at once and leave nothing of it behind.

Holoscan takes both signals for itself as a graph starts, and ends the process with code 1 while a
step may be writing. Here the graph runs in a thread of its own, and the main thread keeps the
signals.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from operators.dicom_writer.staging import abandon
from operators.errors import EXIT_MEANINGS, ExitCode

_SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
_CLAIM_SECONDS = 0.1


def run_to_end(start: Callable[[], Future[None]]) -> None:
    """Wait for what `start` starts and raise what it raises.

    A signal ends the process: no step can be stopped in the middle of a library's loop. Temporary
    files are kept in a folder that goes in either case.
    """
    former, spool = tempfile.tempdir, tempfile.mkdtemp(prefix="lentiform-")

    def stop(number: int, _frame: Any) -> None:
        abandon()
        shutil.rmtree(spool, ignore_errors=True)
        code = _SIGNALS[signal.Signals(number)]
        print(f"\n{code.name.capitalize()}: {EXIT_MEANINGS[code]}", file=sys.stderr, flush=True)
        os._exit(code)

    tempfile.tempdir = spool
    try:
        _wait(start, stop)
    finally:
        tempfile.tempdir = former
        shutil.rmtree(spool, ignore_errors=True)


def _wait(start: Callable[[], Future[None]], stop: Callable[[int, Any], None]) -> None:
    """Claim the signals again and again, since Holoscan takes them at a moment of its own."""
    if threading.current_thread() is not threading.main_thread():
        return start().result()
    former = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        future = start()
        while not wait([future], timeout=_CLAIM_SECONDS).done:
            for number in _SIGNALS:
                signal.signal(number, stop)
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return future.result()
