"""A user's annotated scans, a BIDS tree, as subjects to train on and to be judged by.

Format (docs/training.md): per subject, and session where there are any, files below the folder,
in the tree itself or below its derivatives:

    sub-01_swi.nii.gz                      SWI, or _T2starw, _part-mag_T2starw, _part-mag_MEGRE
    sub-01_Chimap.nii.gz                   QSM in ppm; may be missing
    sub-01_T2w.nii.gz                      may be missing
    sub-01_label-brain_mask.nii.gz         on the grid of SWI
    sub-01_seg-lesions_dseg.nii.gz, .tsv   lesion numbers on that grid; columns index, abbreviation;
                                           and planted, what a simulator calls each
    sub-01_label-CMB_mask.nii.gz, ...      or, without a dseg, a mask per class; a class without
                                           one counts as not there, and is warned of
    sub-01_seg-regions_dseg.nii.gz         numbers of operators.labels.STRUCTURES; may be missing

Further entities (space-orig, desc-...) do not matter. QSM and T2w lie on SWI by their headers.
"""

from __future__ import annotations

import csv
import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.train.subjects import Array, Examined, onto
from operators.errors import InputError
from operators.labels import LESIONS, STRUCTURES, LesionClass
from operators.types import Role

if TYPE_CHECKING:
    from highdicom import Volume

_SUFFIXES: dict[Role, tuple[str, ...]] = {
    Role.SWI: ("_swi",), Role.QSM: ("_Chimap",), Role.T2W: ("_T2w",),
    Role.MAGNITUDE: ("_T2starw", "_part-mag_MEGRE"),
}
_BRAIN = ("_label-brain_mask", "_desc-brain_mask")
_NUMBERS = ("_seg-lesions_dseg",)
_REGIONS = ("_seg-regions_dseg",)
_OTHER_PART = re.compile("_part-(phase|real|imag)_")
_log = logging.getLogger("apps.train")
_CLASSES = {label.abbreviation: kind for kind, label in LESIONS.items()}


def read_annotated(folder: Path) -> list[Examined]:
    """Every annotated scan below `folder`; see `read_scan`."""
    return [read_scan(scan, files) for scan, files in annotated_scans(folder).items()]


def annotated_scans(folder: Path) -> dict[str, list[Path]]:
    """The files of every scan ("sub-01", "sub-01_ses-2") below `folder`, in order."""
    scans: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("sub-*.nii*")):
        scans.setdefault(_scan(path), []).append(path)
    if not scans:
        raise InputError(
            f"No file sub-*.nii.gz below {folder}. Give a BIDS tree of annotated scans "
            "(docs/training.md)."
        )
    return dict(sorted(scans.items()))


def _scan(path: Path) -> str:
    """ "sub-01" or "sub-01_ses-2"."""
    parts = path.name.split("_")
    return "_".join([parts[0], *(part for part in parts[1:] if part.startswith("ses-"))])


def read_scan(scan: str, files: Sequence[Path]) -> Examined:
    """An annotated scan, slices first, rows to posterior, columns to left.

    Regions are all zero where no file gives them. InputError names the scan and what it lacks.
    """
    source = _one(scan, files, _SUFFIXES[Role.SWI]) or _last(files, _SUFFIXES[Role.MAGNITUDE])
    if source is None:
        raise InputError(f"{scan} has no _swi.nii.gz and no magnitude (_T2starw). Add one.")
    grid = load_volume(source)
    contrasts: dict[Role, Array] = {Role.SWI: np.asarray(grid.array, np.float32)}
    for role in (Role.QSM, Role.T2W):
        path = _one(scan, files, _SUFFIXES[role])
        if path is not None:
            contrasts[role] = onto(load_volume(path), grid)
    brain_path = _one(scan, files, _BRAIN)
    if brain_path is None:
        raise InputError(f"{scan} has no _label-brain_mask.nii.gz. `lentiform run` makes one.")
    brain = _on_grid(brain_path, grid) > 0
    if not brain.any():
        raise InputError(f"{scan}: {brain_path.name} is empty. Draw the brain, or let `lentiform "
                         "run` make the mask.")
    truth, kinds, planted = _lesions(scan, files, grid)
    voxel_mm3 = float(np.prod(grid.spacing))
    sizes = np.bincount(truth.ravel(), minlength=max(kinds, default=0) + 1) * voxel_mm3
    return Examined(
        subject=scan, anatomy=scan.partition("_")[0], field_strength_t=None, contrasts=contrasts,
        brain=brain, regions=_regions(scan, files, grid), truth=truth, kinds=kinds,
        diameters_mm={number: float(np.cbrt(6 * sizes[number] / np.pi)) for number in kinds},
        affine=grid.affine, frame_of_reference_uid="1.2.3", planted=planted,
    )


def _regions(scan: str, files: Sequence[Path], grid: Volume) -> NDArray[np.uint8]:
    path = _one(scan, files, _REGIONS)
    if path is None:
        return np.zeros(grid.spatial_shape, np.uint8)
    regions = _on_grid(path, grid)
    unknown = set(np.unique(regions).tolist()) - {0, *STRUCTURES}
    if unknown:
        raise InputError(
            f"{path.name} holds {min(unknown):g}, which is no region (docs/regions.md has the "
            "numbers). Correct it, or leave the file out."
        )
    return regions.astype(np.uint8)


def _lesions(
    scan: str, files: Sequence[Path], grid: Volume
) -> tuple[NDArray[np.uint16], Mapping[int, LesionClass], Mapping[int, str]]:
    """Lesion numbers on the grid, the class of each that is there, and what was planted there."""
    numbered = _one(scan, files, _NUMBERS)
    if numbered is not None:
        truth = _on_grid(numbered, grid).astype(np.uint16)
        named, planted = _names(numbered)
        there = np.unique(truth[truth > 0]).tolist()
        unnamed = [number for number in there if number not in named]
        if unnamed:
            raise InputError(
                f"{numbered.name} holds lesion {unnamed[0]}, which its .tsv does not name. Add a "
                "row with index and abbreviation."
            )
        return (truth, {number: named[number] for number in there},
                {number: planted[number] for number in there if number in planted})
    return (*_from_masks(scan, files, grid), {})


def _from_masks(
    scan: str, files: Sequence[Path], grid: Volume
) -> tuple[NDArray[np.uint16], Mapping[int, LesionClass]]:
    """Connected parts of each class's mask as lesions."""
    from scipy import ndimage

    truth = np.zeros(grid.spatial_shape, np.uint16)
    kinds: dict[int, LesionClass] = {}
    absent = []
    for abbreviation, kind in _CLASSES.items():
        path = _one(scan, files, (f"_label-{abbreviation}_mask",))
        if path is None:
            absent.append(abbreviation)
            continue
        parts, count = ndimage.label(_on_grid(path, grid) > 0, np.ones((3, 3, 3)))
        first = len(kinds)
        truth = np.where(parts > 0, parts + first, truth).astype(np.uint16)
        kinds |= {first + number: kind for number in range(1, count + 1)}
    if len(absent) == len(_CLASSES):
        raise InputError(
            f"{scan} has neither _seg-lesions_dseg.nii.gz nor a _label-CMB_mask.nii.gz (or "
            f"{', '.join(_CLASSES)}). An empty mask says that there is no lesion."
        )
    if absent:
        _log.warning("%s has no mask of %s: counted as having none. Add one, empty where there is "
                     "none, or do not rely on what is said of it.", scan, ", ".join(absent))
    there = set(np.unique(truth).tolist())
    return truth, {number: kind for number, kind in kinds.items() if number in there}


def _names(numbered: Path) -> tuple[dict[int, LesionClass], dict[int, str]]:
    """Class per lesion number, from the table beside the image, and what was planted if told."""
    table = numbered.with_name(numbered.name.split(".")[0] + ".tsv")
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        return ({int(row["index"]): _CLASSES[row["abbreviation"]] for row in rows},
                {int(row["index"]): row["planted"] for row in rows
                 if row.get("planted") not in (None, "", "n/a")})
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise InputError(
            f"{table.name} beside {numbered.name} cannot be used ({error}). Wanted: columns index "
            f"(a number) and abbreviation (one of {', '.join(_CLASSES)}), a row per lesion."
        ) from error


def _one(scan: str, files: Sequence[Path], suffixes: Sequence[str]) -> Path | None:
    found = _ending(files, suffixes)
    if len(found) > 1:
        raise InputError(
            f"{scan} has {len(found)} files for one image ({found[0].name}, {found[1].name}). "
            "Leave the one to be used."
        )
    return found[0] if found else None


def _last(files: Sequence[Path], suffixes: Sequence[str]) -> Path | None:
    """The last echo of a magnitude; phase, real and imaginary parts are none."""
    found = [path for path in _ending(files, suffixes) if not _OTHER_PART.search(path.name)]
    return max(found, key=_echo, default=None)


def _echo(path: Path) -> tuple[int, str]:
    number = re.search(r"_echo-(\d+)", path.name)
    return int(number.group(1)) if number else 0, path.name


def _ending(files: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    return [path for path in files if path.name.split(".")[0].endswith(tuple(suffixes))]


def load_volume(path: Path) -> Volume:
    """A 3D image, slices first, rows to posterior, columns to left. InputError where it is none."""
    import nibabel
    from highdicom import Volume

    try:
        image = nibabel.load(path)
        return Volume.from_nibabel(image).to_patient_orientation("HPL")
    except (OSError, ValueError, EOFError, zlib.error,
            nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path.name} cannot be read as a 3D image: {error}.") from error


def _on_grid(path: Path, grid: Volume) -> NDArray:
    volume = load_volume(path)
    if not volume.geometry_equal(grid, tol=1e-3):
        raise InputError(
            f"{path.name} lies on another grid {volume.spatial_shape} than SWI "
            f"{grid.spatial_shape}, or elsewhere. Draw masks on the SWI itself."
        )
    return np.asarray(volume.array)
