"""Every error Lentiform raises on purpose, and the exit code each one ends with.

LentiformError
├── InputError                      3  the files given cannot be read as what they claim to be
│   ├── BrokenSeries                3  missing, doubled or uneven slices, truncated pixels
│   └── UnsupportedObject           3  a transfer syntax or object nothing here can decode
├── StudyChoiceError                4  several studies or patients in one folder and none named
├── NothingToAssess                 5  a readable study without one series that fills a role
├── ConfigurationError              6  app.yaml or a model folder is not what it must be
├── StepFailed                      7  a step could not finish on this study
├── OutputError                     8  the result cannot be written where it was asked for
└── IncompleteRun                   9  the graph ended without a result

A message says three things: what was found, what is wanted, what to do about it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum


class ExitCode(IntEnum):
    """How a run ended. 0, 10 to 12 leave a result; every other code leaves none."""

    COMPLETE = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    BAD_INPUT = 3
    STUDY_NOT_CHOSEN = 4
    NOTHING_TO_ASSESS = 5
    BAD_CONFIGURATION = 6
    STEP_FAILED = 7
    NOT_WRITTEN = 8
    INCOMPLETE_RUN = 9
    LESIONS_NOT_ASSESSED = 10
    LNC_NOT_ASSESSED = 11
    NEITHER_ASSESSED = 12
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_MEANINGS: dict[ExitCode, str] = {
    ExitCode.COMPLETE: "lesions and LNC assessed",
    ExitCode.INTERNAL_ERROR: "a defect in Lentiform; nothing written",
    ExitCode.USAGE: "wrong command line",
    ExitCode.BAD_INPUT: "a DICOM file or series is broken or unreadable",
    ExitCode.STUDY_NOT_CHOSEN: "several studies found, none chosen (--study-uid)",
    ExitCode.NOTHING_TO_ASSESS: "no series of the study fills a role",
    ExitCode.BAD_CONFIGURATION: "app.yaml or a model is not valid",
    ExitCode.STEP_FAILED: "a step could not finish; nothing written",
    ExitCode.NOT_WRITTEN: "the output folder cannot be written",
    ExitCode.INCOMPLETE_RUN: "the graph ended without a result; nothing written",
    ExitCode.LESIONS_NOT_ASSESSED: "LNC assessed, lesions not (the report says why)",
    ExitCode.LNC_NOT_ASSESSED: "lesions assessed, LNC not (the report says why)",
    ExitCode.NEITHER_ASSESSED: "report written, neither lesions nor LNC assessed",
    ExitCode.INTERRUPTED: "stopped by the user (Ctrl-C); nothing written",
    ExitCode.TERMINATED: "stopped by the system (SIGTERM); nothing written",
}


class LentiformError(Exception):
    """Base of every error raised on purpose."""

    exit_code: ExitCode = ExitCode.INTERNAL_ERROR


class InputError(LentiformError):
    """A file cannot be read as what it claims to be."""

    exit_code = ExitCode.BAD_INPUT


class BrokenSeries(InputError):
    """A series does not make a volume: missing, doubled or uneven slices, truncated pixels."""


class UnsupportedObject(InputError):
    """A transfer syntax or object that nothing here can decode."""


class StudyChoiceError(LentiformError):
    """More than one study (or patient) in the folder, and none was named."""

    exit_code = ExitCode.STUDY_NOT_CHOSEN


class NothingToAssess(LentiformError):
    """The study is readable, but no series of it fills a role."""

    exit_code = ExitCode.NOTHING_TO_ASSESS


class ConfigurationError(LentiformError):
    """app.yaml or a model folder is not what it must be."""

    exit_code = ExitCode.BAD_CONFIGURATION


class StepFailed(LentiformError):
    """A step could not finish on this study."""

    exit_code = ExitCode.STEP_FAILED


class OutputError(LentiformError):
    """The result cannot be written where it was asked for."""

    exit_code = ExitCode.NOT_WRITTEN


class IncompleteRun(LentiformError):
    """The graph ended, but the result is not there."""

    exit_code = ExitCode.INCOMPLETE_RUN


def report_error(error: LentiformError) -> ExitCode:
    """Say on standard error what went wrong; the exit code that goes with it."""
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return error.exit_code


@contextmanager
def told_and_left() -> Iterator[None]:
    """A command's last frame: a LentiformError becomes its message and its exit code."""
    try:
        yield
    except LentiformError as error:
        sys.exit(report_error(error))
