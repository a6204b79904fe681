"""Which DICOM objects lie in a folder, by header alone: no pixel is read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from operators.dicom_loader.elements import DAMAGED
from operators.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.uid import UID

# Private groups from here on (Philips) cost half of the parsing time; `read_tags` fetches the few
# that are wanted. Enhanced objects are read up to their pixels.
_FIRST_UNREAD_TAG = 0x20010000
_PIXEL_DATA = 0x7FE00008
_DEFERRED_BYTES = 4096
_DEFLATED = "1.2.840.10008.1.2.1.99"
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_MULTIFRAME = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR
        "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color
        "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR
        "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """One DICOM object: its file, its name for messages (relative to the folder), its header.

    `conflict` names a file that carries the same SOP Instance UID and is another image.
    """

    path: Path
    name: str
    header: Dataset
    conflict: str = ""

    @property
    def sop_class(self) -> str:
        return str(self.header.get("SOPClassUID", ""))

    @property
    def transfer_syntax(self) -> UID:
        """As the file states it; by its encoding where it has no meta information (old exports)."""
        from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

        stated = self.header.file_meta.get("TransferSyntaxUID")
        implicit, _ = self.header.original_encoding
        return stated or (ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)

    @property
    def is_multiframe(self) -> bool:
        return self.sop_class in _MULTIFRAME


@dataclass(frozen=True, slots=True, eq=False)
class FolderIndex:
    """What a folder holds: readable objects, each once, and how many files were set aside."""

    instances: tuple[Instance, ...]
    not_dicom: int
    unreadable: tuple[str, ...]
    duplicates: int
    unseen: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """One sentence per kind of file that was set aside."""
        sentences = []
        if self.not_dicom:
            sentences.append(f"{self.not_dicom} file(s) skipped that are not DICOM.")
        if self.unreadable:
            sentences.append(
                f"{len(self.unreadable)} file(s) skipped that are empty or whose DICOM header "
                f"cannot be read: {_some(self.unreadable)}."
            )
        if self.unseen:
            sentences.append(
                f"{len(self.unseen)} folder(s) or link(s) could not be opened: "
                f"{_some(self.unseen)}."
            )
        if self.duplicates:
            sentences.append(f"{self.duplicates} file(s) skipped that repeat a SOP Instance UID.")
        return tuple(sentences)


def index_folder(folder: Path) -> FolderIndex:
    """Read the header of every DICOM file under `folder`, however nested or named.

    The result is sorted by file name, so it does not depend on the file system. A DICOMDIR is not
    needed: its files are found by themselves. Raises InputError for a folder that is missing or
    holds no DICOM object.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder. Give the folder that holds the DICOM files.")
    found: dict[str, Instance] = {}
    not_dicom = duplicates = 0
    unreadable: list[str] = []
    unseen: list[str] = []
    for path in _files(folder, unseen):
        name = path.relative_to(folder).as_posix()
        header = read_header(path)
        if header is None:
            not_dicom += 1
            continue
        try:
            if _is_directory(header):
                continue
            identity = tuple(str(header.get(key) or "") for key in _IDENTITY)
        except DAMAGED:
            identity = ("",)
        first = found.get(identity[0])
        if not all(identity):
            unreadable.append(name)
        elif first is None:
            found[identity[0]] = Instance(path, name, header)
        elif not _differ(header, first.header):
            duplicates += 1
        else:
            found[identity[0]] = replace(first, conflict=name)
    if not found:
        raise InputError(
            f"No DICOM object in {folder} ({not_dicom + len(unreadable)} other files). "
            "Give the folder of one MR study."
        )
    return FolderIndex(
        tuple(found.values()), not_dicom, tuple(unreadable), duplicates, tuple(unseen)
    )


_IDENTITY = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
# What tells two images apart that share a SOP Instance UID.
_PLACE = ("SeriesInstanceUID", "InstanceNumber", "EchoTime", "ImageType", "ImagePositionPatient")


def _differ(one: Dataset, other: Dataset) -> bool:
    """Whether both state one of these and state it differently; 20.0 and 20 are the same."""
    for key in _PLACE:
        stated = [_plain(header, key) for header in (one, other)]
        if all(stated) and stated[0] != stated[1]:
            return True
    return False


def _plain(header: Dataset, key: str) -> tuple[object, ...]:
    try:
        value = header.get(key)
        several = [] if value in (None, "") else value
        values = [several] if isinstance(several, (str, int, float)) else list(several)
    except DAMAGED:
        return ()
    return tuple(_as_number(one) for one in values)


def _as_number(value: object) -> object:
    try:
        return round(float(str(value)), 3)
    except ValueError:
        return str(value)


def read_header(path: Path) -> Dataset | None:
    """The header of one file, long values left on disk until asked for.

    None for a file that is not DICOM; an empty data set for one that is empty or cannot be read.
    """
    from pydicom import Dataset
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_partial

    try:
        with path.open("rb") as file:
            if not _looks_like_dicom(file):
                return None if path.stat().st_size else Dataset()
            header = read_partial(file, _stop_at(_FIRST_UNREAD_TAG), _DEFERRED_BYTES, force=True)
            multiframe = str(header.get("SOPClassUID", "")) in _MULTIFRAME
            # A long value cannot be fetched later from inside a deflated file.
            if multiframe or header.file_meta.get("TransferSyntaxUID") == _DEFLATED:
                file.seek(0)
                header = read_partial(file, _stop_at(_PIXEL_DATA), force=True)
    except (InvalidDicomError, *DAMAGED):
        return Dataset()
    return header


def read_tags(instance: Instance, tags: Collection[int]) -> Dataset:
    """The given top-level tags of one file, which may be private and late in it."""
    from pydicom.filereader import read_partial

    with instance.path.open("rb") as file:
        return read_partial(file, _stop_at(max(tags) + 1), force=True, specific_tags=list(tags))


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _files(folder: Path, unseen: list[str]) -> Iterator[Path]:
    """Every file below `folder`, links followed, each folder once; `unseen` gets what fails."""

    def told(error: OSError) -> None:
        unseen.append(os.path.relpath(error.filename, folder))

    visited: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=told):
        identity = os.stat(parent)
        if (identity.st_dev, identity.st_ino) in visited:
            folders.clear()
            continue
        visited.add((identity.st_dev, identity.st_ino))
        folders.sort()
        for name in sorted(files):
            path = Path(parent) / name
            if path.is_file():
                yield path
            elif path.is_symlink():
                unseen.append(path.relative_to(folder).as_posix())


def _looks_like_dicom(file: BinaryIO) -> bool:
    """Magic word after the preamble, or (old exports) a data set that starts with group 0008."""
    start = file.read(132)
    file.seek(0)
    return start[128:] == b"DICM" or start[:2] in {b"\x08\x00", b"\x02\x00"}


def _is_directory(header: Dataset) -> bool:
    meta = getattr(header, "file_meta", None)
    return meta is not None and str(meta.get("MediaStorageSOPClassUID", "")) == _MEDIA_DIRECTORY


def _stop_at(limit: int) -> Callable[[int, str | None, int], bool]:
    """Stops reading at a tag. Compared as int: pydicom's own comparison is five times slower."""
    return lambda tag, _vr, _length: int.__ge__(tag, limit)
