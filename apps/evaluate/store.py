"""Results kept on disk under a fingerprint of all that made them: none outlives its cause."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from operators.errors import OutputError


def fingerprint(*parts: str | Path) -> str:
    """16 hexadecimal digits of SHA-256 over texts and files; a folder is all files below it."""
    digest = hashlib.sha256()
    for part in parts:
        for name, content in _contents(part):
            digest.update(hashlib.sha256(name.encode()).digest())
            digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]


def _contents(part: str | Path) -> Iterable[tuple[str, bytes]]:
    if isinstance(part, str):
        yield "", part.encode()
    elif part.is_file():
        yield part.name, part.read_bytes()
    else:
        for path in sorted(part.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(part).as_posix(), path.read_bytes()


def make_folder(path: Path) -> None:
    """Make a folder for results, and those above it. OutputError where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be made ({error.strerror}). Give another folder with -o."
        ) from error


def place(folder: Path, name: str, key: str, suffix: str) -> Path:
    """`folder`/`name`-`key``suffix`, its folder made; what is there under other keys goes."""
    make_folder(folder)
    path = folder / f"{name}-{key}{suffix}"
    for other in folder.glob(f"{name}-{'?' * len(key)}{suffix}"):
        if other != path:
            other.unlink()
    return path


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all; OutputError where it cannot be."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror}). Give another folder with -o."
        ) from error
