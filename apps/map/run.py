"""One study through the graph, from a request to an exit code."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import warnings
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from apps.map.settings import DEFAULT_CONFIG, DEFAULT_MODELS, load_settings
from apps.map.stopping import run_to_end
from operators.dicom_writer.staging import check_output
from operators.errors import (
    ConfigurationError,
    ExitCode,
    IncompleteRun,
    InputError,
    OutputError,
)

_STACK_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where a run reads and writes; `config` is an app.yaml."""

    study: Path
    out: Path
    models: Path = DEFAULT_MODELS
    config: Path = DEFAULT_CONFIG


def run_study(
    paths: RunPaths, *, study_uid: str | None = None, overwrite: bool = False
) -> ExitCode:
    """Assess one study and write its results into `paths.out`.

    Raises a LentiformError, or whatever a step raised; then nothing was written. SIGINT and
    SIGTERM end the process.
    """
    settings = load_settings(paths.config)
    _check(paths, overwrite=overwrite or settings.dicom_writer.overwrite)
    _prepare_process(settings.resources.cpu)
    from apps.map.app import LentiformApplication, Request
    from apps.map.steps import Steps

    started = datetime.now().astimezone().isoformat(timespec="seconds")
    steps = Steps()
    request = Request(settings, paths.out, study_uid, overwrite, started)
    argv = [
        sys.executable, "lentiform", "-i", str(paths.study), "-m", str(paths.models), "-l", "ERROR",
    ]
    try:
        run_to_end(LentiformApplication(argv, request=request, steps=steps).run_async)
    finally:
        steps.close()
    return _outcome(paths.out, started)


def _check(paths: RunPaths, *, overwrite: bool) -> None:
    """Refuse at once what would fail minutes later."""
    check_study(paths.study)
    if not (paths.models / "lesion_segmenter").is_dir():
        message = (
            f"{paths.models} holds no lesion_segmenter bundle. Give the models folder of the "
            "repository (or your own) with -m."
        )
        raise ConfigurationError(message)
    if paths.study.resolve().is_relative_to(paths.out.resolve()):
        message = f"{paths.out} holds the study itself. Give another folder with -o."
        raise OutputError(message)
    check_output(paths.out, overwrite=overwrite)


def check_study(folder: Path) -> None:
    """Raise InputError if `folder` cannot be listed."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        message = (
            f"{folder} cannot be read ({error.strerror}); a folder of DICOM files is wanted. "
            "Check its name and its permissions."
        )
        raise InputError(message) from error


def quiet_libraries() -> None:
    """Keep the terminal free of library warnings; those of DICOM libraries quote patients' values.

    PYTHONWARNINGS brings them back.
    """
    if "PYTHONWARNINGS" in os.environ:
        return
    warnings.simplefilter("ignore")
    for name in ("pydicom", "highdicom"):  # which set their own levels when they are imported
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())


def _prepare_process(threads: int) -> None:
    """Quiet Holoscan and the SDK, not the rooms; a stack of Holoscan's size; bounded threads."""
    quiet_libraries()
    logging.getLogger("operators").setLevel(logging.WARNING)
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", str(threads))
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if soft != resource.RLIM_INFINITY and soft < _STACK_BYTES:
        wanted = _STACK_BYTES if hard == resource.RLIM_INFINITY else min(_STACK_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    from apps.map.cuda_runtime import preload

    preload()


def _outcome(out: Path, started: str) -> ExitCode:
    """The exit code this run wrote; IncompleteRun if the result in `out` is not of this run."""
    manifest = out / "manifest.json"
    if manifest.is_file():
        record = json.loads(manifest.read_text(encoding="utf-8"))
        if record["provenance"]["started"] == started:
            return ExitCode(record["status"]["exit_code"])
    message = (
        f"The graph ended without a result in {out}: a step never received its input. "
        "Run again with HOLOSCAN_LOG_LEVEL=DEBUG and report what it prints."
    )
    raise IncompleteRun(message)
