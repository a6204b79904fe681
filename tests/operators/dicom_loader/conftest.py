"""Tiny series written by pydicom, one fault or vendor habit at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from apps.map.settings import load_settings
from operators.dicom_loader.settings import LoaderSettings

MR = "1.2.840.10008.5.1.4.1.1.4"
SHAPE = (6, 12, 10)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

# Header elements that make a group what the rules look for.
SWI_MAGNITUDE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "ScanningSequence": "GR",
    "SequenceName": "*swi3d1r", "EchoTime": 20.0, "SeriesDescription": "Mag_Images",
}  # fmt: skip
SWI_PHASE = {
    **SWI_MAGNITUDE, "ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"],
    "SeriesDescription": "Pha_Images", "RescaleSlope": 2, "RescaleIntercept": -4096,
}  # fmt: skip
T1W = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"], "ScanningSequence": ["GR", "IR"],
    "SequenceName": "*tfl3d1_16ns", "EchoTime": 2.9, "SeriesDescription": "t1_mprage_sag",
}  # fmt: skip
LOCALISER = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"], "ScanningSequence": "GR", "EchoTime": 5.0,
    "SeriesDescription": "localizer",
}  # fmt: skip


@dataclass
class Bench:
    """Writes series below `folder`; every call gives a new series of one study."""

    folder: Path
    written: int = 0
    numbers: int = 0
    syntax: str = ExplicitVRLittleEndian
    paths: list[Path] = field(default_factory=list)

    def header(self, number: int, **elements: Any) -> Dataset:
        """A classic MR header without place and pixels."""
        header = Dataset()
        header.SOPClassUID = MR
        header.Modality = "MR"
        header.Manufacturer = "SIEMENS"
        header.PatientID = "P1"
        header.PatientName = "Simulated^One"
        header.PatientBirthDate = "19500101"
        header.PatientSex = "F"
        header.StudyInstanceUID = "1.2.3.1"
        header.StudyDate, header.StudyTime, header.StudyID = "20240101", "101010", "1"
        header.AccessionNumber, header.ReferringPhysicianName = "A1", "Dr^Who"
        header.SeriesInstanceUID = f"1.2.3.1.{number}"
        header.SeriesNumber = number
        header.FrameOfReferenceUID = "1.2.3.9"
        header.MRAcquisitionType = "3D"
        header.MagneticFieldStrength = 3.0
        header.RepetitionTime = 28.0
        header.PixelSpacing = [1.0, 1.0]
        header.SliceThickness = 2.0
        header.ImageOrientationPatient = list(AXIAL)
        header.SamplesPerPixel = 1
        header.PhotometricInterpretation = "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
        header.PixelRepresentation = 0
        for keyword, value in elements.items():
            setattr(header, keyword, value)
        return header

    def series(
        self,
        pixels: np.ndarray | None = None,
        *,
        number: int | None = None,
        first: tuple[float, float, float] = (-5.0, -6.0, -7.0),
        step_mm: float = 2.0,
        edit: Callable[[Dataset, int], None] | None = None,
        folder: str = "",
        first_instance: int = 1,
        **elements: Any,
    ) -> list[Path]:
        """One file per slice of `pixels` (slice, row, column); `edit` changes a slice's header."""
        self.numbers += 1
        number = number if number is not None else self.numbers
        pixels = self.ramp() if pixels is None else pixels
        base = self.header(number, **elements)
        axes = np.array(base.ImageOrientationPatient, dtype=float)
        normal = np.cross(axes[:3], axes[3:])
        paths = []
        for index, plane in enumerate(pixels):
            header = Dataset()
            header.update(base)
            position = np.array(first) + index * step_mm * normal
            header.ImagePositionPatient = [round(float(p), 4) for p in position]
            header.InstanceNumber = first_instance + index
            header.Rows, header.Columns = plane.shape
            header.PixelData = plane.astype(plane.dtype.newbyteorder("<")).tobytes()
            header["PixelData"].VR = "OW"
            if edit is not None:
                edit(header, index)
            paths.append(self.save(header, folder or f"s{number}"))
        return paths

    def magnitude(self, pixels: np.ndarray | None = None, **elements: Any) -> list[Path]:
        return self.series(pixels, **(SWI_MAGNITUDE | elements))

    def phase(self, pixels: np.ndarray | None = None, **elements: Any) -> list[Path]:
        return self.series(pixels, **(SWI_PHASE | elements))

    def t1w(self, pixels: np.ndarray | None = None, **elements: Any) -> list[Path]:
        return self.series(pixels, **(T1W | elements))

    def localiser(self, pixels: np.ndarray | None = None, **elements: Any) -> list[Path]:
        return self.series(pixels, **(LOCALISER | elements))

    @staticmethod
    def ramp(shape: tuple[int, int, int] = SHAPE, *, start: int = 0) -> np.ndarray:
        """Values that differ at every voxel, 12 bits."""
        return (np.arange(np.prod(shape), dtype=np.uint16).reshape(shape) + start) % 4096

    def save(self, header: Dataset, folder: str = "", name: str | None = None) -> Path:
        """Write one object; its SOP instance UID is new unless the header has one."""
        self.written += 1
        if "SOPInstanceUID" not in header:
            header.SOPInstanceUID = f"1.2.3.4.{self.written}"
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = self.syntax
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        path = self.folder / folder / (name or f"i{self.written:04d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        header.save_as(path, enforce_file_format=True)
        self.paths.append(path)
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "study")


@pytest.fixture(scope="session")
def settings() -> LoaderSettings:
    return load_settings().dicom_loader.model_copy(update={"read_spare_volumes": True})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose pixels were read, in order."""
    from operators.dicom_loader import pixels

    names: list[str] = []
    original = pixels._decode

    def counted(instance: Any, numbers: Any) -> Any:
        names.append(instance.name)
        return original(instance, numbers)

    monkeypatch.setattr(pixels, "_decode", counted)
    return names
