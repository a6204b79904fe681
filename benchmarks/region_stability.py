"""Regions of real T1w and of changed copies: sides never swapped, volumes nearly the same.

    python -m benchmarks.region_stability STUDY ... [--pictures regions.png]

STUDY: a folder of DICOM with a T1w. Copies: the head turned by 15 degrees about each axis, the
array stored the other way round, the head mirrored, cropped, at 2 mm, noisy. Volumes are compared
with those of the T1w as it is, of the mirrored head with those of the other side.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.map.settings import DEFAULT_CONFIG, REGION_MODEL, load_settings
from benchmarks.region_dice import as_study
from operators.brain_mask import brain_mask
from operators.dicom_loader.load import load_study
from operators.labels import LNC_NAMES, Side, structure
from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.types import NotAssessed, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume

WANTED_PERCENT = 10.0
TURN_DEG = 15.0
NOISE = (0.05, 0.10)
"""SD of the noise, of the image's 95th percentile."""


def copies(image: Volume) -> Iterator[tuple[str, Volume]]:
    """The image in other forms; slices run to the head, rows to the back, columns to the left."""
    yield "as it is", image
    for axis, name in enumerate("xyz"):
        for sign in (-1, 1):
            yield f"turned {sign * TURN_DEG:+.0f} degrees about {name}", turned(
                image, axis, sign * TURN_DEG)
    yield "stored the other way round", image.to_patient_orientation("FRA")
    yield "mirrored head", image.with_array(np.ascontiguousarray(image.array[:, :, ::-1]))
    count = image.spatial_shape[0]
    yield "without the lowest third", image[count // 3:]
    sides = image.spatial_shape[2] // 8
    yield "cropped all round", image[count // 3:-count // 12, :, sides:-sides]
    yield "2 mm", coarse(image, 2.0)
    generator = np.random.default_rng(1)
    high = float(np.percentile(image.array, 95))
    for level in NOISE:
        noisy = image.array + generator.normal(0, level * high, image.spatial_shape)
        yield f"noise of {100 * level:.0f} %", image.with_array(np.abs(noisy).astype(np.float32))


def turned(image: Volume, axis: int, degrees: float) -> Volume:
    """The head turned about the middle of the image, on the same grid."""
    from scipy.ndimage import affine_transform
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_rotvec(np.deg2rad(degrees) * np.eye(3)[axis]).as_matrix()
    affine = np.asarray(image.affine)[:3, :3]
    matrix = np.linalg.inv(affine) @ turn @ affine
    middle = (np.array(image.spatial_shape) - 1) / 2
    array = affine_transform(image.array, matrix, middle - matrix @ middle, order=1)
    return image.with_array(array.astype(np.float32))


def coarse(image: Volume, spacing_mm: float) -> Volume:
    """The same space in cubes of `spacing_mm`, blurred accordingly."""
    import SimpleITK as sitk

    own = image.to_simpleitk()
    blurred = sitk.SmoothingRecursiveGaussian(own, [
        max(0.4 * spacing_mm, 0.1) if step < spacing_mm else 0.01 for step in own.GetSpacing()])
    extent = np.multiply(own.GetSpacing(), own.GetSize())
    size = [int(n) for n in np.floor(extent / spacing_mm)]
    shifted = own.TransformContinuousIndexToPhysicalPoint(
        [0.5 * (spacing_mm / step - 1) for step in own.GetSpacing()])
    small = sitk.Resample(blurred, size, sitk.Transform(), sitk.sitkLinear, shifted,
                          [spacing_mm] * 3, own.GetDirection(), 0.0)
    return type(image).from_simpleitk(small)


def t1w_of(folder: Path) -> Volume:
    """The T1w that the application chooses of a study."""
    study = load_study(folder, settings=load_settings(DEFAULT_CONFIG).dicom_loader, study_uid=None)
    return study.series[Role.T1W].volumes[0].to_patient_orientation("HPL")


def volumes(regions: RegionMap) -> dict[tuple[str, Side], float]:
    """Of the LNC's regions, ml."""
    voxel = float(np.prod(regions.labels.spacing)) / 1000
    return {(name, side): voxel * int((regions.labels.array == structure(name, side).number).sum())
            for name in LNC_NAMES for side in (Side.LEFT, Side.RIGHT)}


def sides_right(regions: RegionMap) -> bool:
    """Whether every left nucleus lies to the left of its right one in the patient."""
    for name in LNC_NAMES:
        x = [regions.labels.map_indices_to_reference(np.argwhere(
            regions.labels.array == structure(name, side).number).mean(axis=0)[None])[0, 0]
            for side in (Side.LEFT, Side.RIGHT)]
        if not x[0] - x[1] > 5:
            return False
    return True


def examine(folder: Path) -> tuple[Volume, RegionMap | None]:
    """Print a line per copy; the T1w and its regions."""
    image = t1w_of(folder)
    print(f"\n{folder}: T1w {image.spatial_shape}, "
          f"{' x '.join(f'{step:.2f}' for step in image.spacing)} mm\n")
    print("| copy | sides | largest change of a volume | of | quality | by |")
    print("|" + " --- |" * 6)
    first, base = None, {}
    for name, copy in copies(image):
        regions = segment_regions(
            as_study(copy, brain_mask(copy, role=Role.T1W)), RegionSettings(), REGION_MODEL)
        if isinstance(regions, NotAssessed):
            print(f"| {name} | not assessed: {regions.reason} | | | | |")
            continue
        own = volumes(regions)
        if name == "mirrored head":
            own = {(n, Side.RIGHT if s is Side.LEFT else Side.LEFT): v
                   for (n, s), v in own.items()}
        first, base = (first, base) if base else (regions, own)
        change = {key: 100 * (own[key] / base[key] - 1) for key in base}
        worst = max(change, key=lambda key: abs(change[key]))
        by = "template" if "template" in regions.method else "networks"
        print(f"| {name} | {'right' if sides_right(regions) else 'SWAPPED'} "
              f"| {change[worst]:+.1f} % | {worst[1].value} {worst[0]} | {regions.quality:.2f} "
              f"| {by} |", flush=True)
    print("\nml: " + ", ".join(f"{side.value} {name} {value:.2f}"
                               for (name, side), value in base.items()))
    return image, first


def draw(shown: list[tuple[Volume, RegionMap]], path: Path) -> None:
    """Two axial slices and a coronal one through the nuclei of every T1w."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.colors import ListedColormap

    from operators.labels import STRUCTURES

    colours = np.zeros((30, 4))
    for number, entry in STRUCTURES.items():
        colours[number] = (*(np.array(entry.rgb) / 255), 0.5)
    figure, axes = plt.subplots(len(shown), 4, figsize=(14, 4 * len(shown)), squeeze=False)
    for row, (image, regions) in zip(axes, shown, strict=True):
        labels = np.asarray(regions.labels.array)
        z, y, _ = np.argwhere((labels > 0) & (labels <= 6)).mean(axis=0).round().astype(int)
        step = round(8 / image.spacing[0])
        views = [(image.array[z], labels[z]), (image.array[z], None),
                 (image.array[z + step], labels[z + step]),
                 (image.array[::-1, y], labels[::-1, y])]
        ratios = [image.spacing[1] / image.spacing[2]] * 3 + [image.spacing[0] / image.spacing[2]]
        for ax, (grey, over), ratio in zip(row, views, ratios, strict=True):
            ax.imshow(grey, cmap="gray", vmax=np.percentile(image.array, 99.5), aspect=ratio)
            if over is not None:
                ax.imshow(over, cmap=ListedColormap(colours), vmin=0, vmax=29, aspect=ratio,
                          interpolation="nearest")
            ax.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=80)


def main() -> None:
    """Examine studies and draw their regions."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    shown = [(image, regions) for image, regions in map(examine, options.studies) if regions]
    if options.pictures:
        draw(shown, options.pictures)


if __name__ == "__main__":
    main()
