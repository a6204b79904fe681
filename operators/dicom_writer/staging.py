"""A result appears whole or not at all: it is made aside and moved into place at the end.

Where the output folder's parent can be written, the result is made in a hidden folder beside it
and takes its name in one move. Where it cannot (a mounted output folder, as in a container), the
hidden folder lies inside and its entries are moved out one by one, the manifest last: a result
without manifest.json is none.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from operators.errors import OutputError

MANIFEST, SCHEMA = "manifest.json", "lentiform-manifest/1"
RESULTS = frozenset({MANIFEST, "findings.json", "report.pdf", "dicom", "bids"})
_PREFIX = ".lentiform-"
_open: set[Path] = set()


def check_output(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError if a result must not or cannot be written to `folder`."""
    try:
        _check_entries(folder, overwrite=overwrite)
        place = folder if _must_stay(folder) else folder.parent
        while not place.exists():
            place = place.parent
        probe = _hidden(place)
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise _unwritable(folder, error) from error


def abandon() -> None:
    """Remove what `staged` has not finished, for a process that is about to end.

    It loses its name first, so that nobody who still writes finds it.
    """
    for stage in tuple(_open):
        with suppress(OSError):
            shutil.rmtree(stage.rename(_hidden(stage.parent)), ignore_errors=True)


def _check_entries(folder: Path, *, overwrite: bool) -> None:
    """`folder` may be missing, empty, or, with `overwrite`, hold a former result."""
    if folder.exists() and not folder.is_dir():
        message = f"{folder} is a file; a folder is wanted. Give another output folder with -o."
        raise OutputError(message)
    entries = _entries(folder)
    if entries and not _is_result(folder, entries):
        message = (
            f"{folder} holds files that are not a Lentiform result ({entries[0]}, "
            f"{len(entries)} in all). Give an empty or new folder with -o."
        )
        raise OutputError(message)
    if entries and not overwrite:
        message = (
            f"{folder} already holds a Lentiform result. Give another folder with -o, "
            "or --overwrite to replace it."
        )
        raise OutputError(message)


def _is_result(folder: Path, entries: list[str]) -> bool:
    """Its manifest is ours, and nothing lies beside what a run writes: `overwrite` deletes all."""
    if not set(entries) <= RESULTS:
        return False
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest["schema"]).startswith(SCHEMA.rstrip("0123456789"))
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextmanager
def staged(folder: Path, *, overwrite: bool) -> Iterator[Path]:
    """A hidden folder to write into; on leaving without an error it becomes `folder`.

    On an error it is removed and `folder` is as it was. Raises OutputError.
    """
    check_output(folder, overwrite=overwrite)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        inside = _must_stay(folder)
        stage = _hidden(folder if inside else folder.parent)
        stage.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    _open.add(stage)
    try:
        yield stage
        if inside:
            _move_entries(stage, folder)
        else:
            _take_place(stage, folder)
    except OSError as error:
        message = (
            f"Writing to {folder} failed ({error.strerror}). Free space there or give another "
            "folder with -o."
        )
        raise OutputError(message) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        _open.discard(stage)


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder} cannot be written ({error.strerror}); a folder is wanted that can be made and "
        "filled. Give another folder with -o."
    )


def _entries(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(_PREFIX))


def _must_stay(folder: Path) -> bool:
    """Whether `folder` itself cannot be replaced: a mount, or in a parent that is read-only."""
    if not folder.exists():
        return False
    return folder.is_mount() or folder.is_symlink() or not os.access(folder.parent, os.W_OK)


def _take_place(stage: Path, folder: Path) -> None:
    """`stage` takes the name of `folder`; a former result goes only once the new one is there."""
    if not _entries(folder):
        if folder.is_dir():
            shutil.rmtree(folder)
        os.replace(stage, folder)
        return
    former = _hidden(folder.parent)
    os.replace(folder, former)
    try:
        os.replace(stage, folder)
    except OSError:
        os.replace(former, folder)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _move_entries(stage: Path, folder: Path) -> None:
    """Entries of `stage` into `folder`, the manifest last; a former result loses it first."""
    for name in sorted(_entries(folder), key=lambda name: name != MANIFEST):
        former = folder / name
        if former.is_dir() and not former.is_symlink():
            shutil.rmtree(former)
        else:
            former.unlink()
    for name in sorted((entry.name for entry in stage.iterdir()), key=lambda n: n == MANIFEST):
        os.replace(stage / name, folder / name)


def _hidden(parent: Path) -> Path:
    return parent / f"{_PREFIX}{secrets.token_hex(6)}"
