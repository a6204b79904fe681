"""A simulated subject written as one study: many files, shuffled, as a PACS would export it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
from pydicom import Dataset

from apps.phantom.dicom.classic import classic_objects
from apps.phantom.dicom.documents import document_objects
from apps.phantom.dicom.enhanced import enhanced_object
from apps.phantom.dicom.header import Identity
from apps.phantom.dicom.scan import Scan, StudyOptions, VendorStyle
from apps.phantom.dicom.scans import scans_of
from apps.phantom.types import Subject


def write_study(
    subject: Subject, folder: Path, *, style: VendorStyle, seed: int,
    options: StudyOptions | None = None,
) -> None:
    """Write `subject` below `folder` in the conventions of `style`.

    UIDs, file names and pixels follow from subject, style, options and seed alone. Files lie in
    nested folders, in shuffled order, some without suffix. Raises ValueError for absolute CBF of
    a subject whose map is relative, OSError if `folder` is not writable.
    """
    options = options or StudyOptions()
    content = f"{subject.seed} {subject.anatomy} {subject.protocol} {options}"
    identity = Identity(seed, style, content, subject.protocol.field_strength_t)
    scans = scans_of(subject, style, options)
    objects = [entry for scan in scans for entry in _objects(scan, identity)]
    if options.documents:
        objects += document_objects(scans, identity)
    order = np.random.default_rng(seed).permutation(len(objects))
    for rank, index in enumerate(order):
        path = folder / _path(objects[index], style, rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        objects[index].save_as(path, enforce_file_format=True)


def _objects(scan: Scan, identity: Identity) -> Iterator[Dataset]:
    if identity.style is VendorStyle.ENHANCED:
        yield enhanced_object(scan, identity)
    else:
        yield from classic_objects(scan, identity)


def _path(dataset: Dataset, style: VendorStyle, rank: int) -> PurePosixPath:
    """Where the export of a vendor's console would put the file; `rank` is its place in line."""
    name = "".join(letter if letter.isalnum() else "_" for letter in dataset.SeriesDescription)
    number = int(dataset.SeriesNumber)
    if style is VendorStyle.SIEMENS:
        suffix = ".IMA" if rank % 3 else ".dcm"
        return PurePosixPath(
            f"{dataset.PatientID}/BRAIN_20240311/{name.upper()}_{number:04d}/{rank:05d}{suffix}"
        )
    if style is VendorStyle.PHILIPS:
        return PurePosixPath(f"DICOM/{rank // 256:02d}/IM_{rank:04d}")
    if style is VendorStyle.GE:
        suffix = "" if rank % 2 else ".dcm"
        return PurePosixPath(f"A/Z{number:02d}/i{rank:05d}.MRDC{suffix}")
    suffix = "" if rank % 2 else ".dcm"
    return PurePosixPath(f"{number}_{name}/{rank:04d}_{str(dataset.SOPInstanceUID)[-12:]}{suffix}")
