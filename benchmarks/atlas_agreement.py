"""Agreement of the project's atlas with a published MARS parcellation of MNI space.

    python -m benchmarks.atlas_agreement MARS_scale_parcellation_map_mni.nii.gz [--networks]

The file comes from github.com/v-sundaresan/microbleed-size-counting (MIT). It numbers its regions
with squares, 1 to 169; the names below were read off the position of each. Both atlases are drawn
on different MNI templates, so voxels where either is unlabelled are left out of the confusion.
With `--networks` the regions that the networks read from the ICBM152 template take the atlas's
place.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.map.settings import REGION_MODEL
from benchmarks.region_dice import as_study
from operators.labels import STRUCTURES, MarsCategory
from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.types import RegionMap

if TYPE_CHECKING:
    from highdicom import Volume

REGIONS = {
    1: "brain stem", 4: "cerebellum", 9: "basal ganglia", 16: "thalamus",
    25: "internal capsule", 36: "external capsule", 49: "corpus callosum",
    64: "deep and periventricular white matter", 81: "frontal", 100: "parietal",
    121: "temporal", 144: "occipital", 169: "insula",
}
CATEGORY = {s.mars: s.category for s in STRUCTURES.values() if s.mars}
NAMES = tuple(REGIONS.values())
Codes = NDArray[np.int64]


def ours(*, networks: bool) -> tuple[Codes, NDArray[np.float64]]:
    """Our regions as MARS regions (index into NAMES plus 1, 0 none) and their RAS affine."""
    volume = by_networks() if networks else load_atlas()
    lookup = np.zeros(256, dtype=np.int64)
    for key, entry in STRUCTURES.items():
        lookup[key] = NAMES.index(entry.mars) + 1 if entry.mars else 0
    return lookup[np.asarray(volume.array)], np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine


def by_networks() -> Volume:
    """What the networks read from the template."""
    study = as_study(load_template(), load_template_brain())
    regions = segment_regions(study, RegionSettings(), REGION_MODEL)
    assert isinstance(regions, RegionMap)
    print(regions.method)
    return regions.labels


def theirs(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64]) -> Codes:
    """The published atlas on our grid, nearest neighbour."""
    import nibabel as nib
    from nibabel.processing import resample_from_to

    image = nib.nifti1.Nifti1Image.from_filename(path)
    moved = resample_from_to(image, (shape, affine), order=0)
    values = np.rint(moved.get_fdata()).astype(int)
    result = np.zeros(shape, dtype=np.int64)
    for position, key in enumerate(REGIONS, start=1):
        result[values == key] = position
    return result


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))


def report(own: Codes, other: Codes) -> None:
    """Print Dice and volumes per region and category, then the confusion in percent of theirs."""
    print(f"{'region':40}{'Dice':>7}{'ours cm3':>10}{'theirs':>8}")
    for key, name in enumerate(NAMES, start=1):
        a, b = own == key, other == key
        print(f"{name:40}{dice(a, b):7.2f}{a.sum() / 1e3:10.1f}{b.sum() / 1e3:8.1f}")
    categories = {c: [NAMES.index(n) + 1 for n, k in CATEGORY.items() if k is c]
                  for c in MarsCategory}
    both = (own > 0) & (other > 0)
    same = sum((np.isin(own, keys) & np.isin(other, keys) & both).sum()
               for keys in categories.values())
    for category, keys in categories.items():
        print(f"{category.value:40}{dice(np.isin(own, keys), np.isin(other, keys)):7.2f}")
    print(f"same category where both are labelled: {100 * same / both.sum():.1f} %")
    print(f"same region where both are labelled:   {100 * (own == other)[both].mean():.1f} %\n")
    print("rows: theirs; columns: ours; percent of the row")
    print(" " * 22 + "".join(f"{name[:6]:>7}" for name in ("none", *NAMES)))
    for key, name in enumerate(NAMES, start=1):
        row = np.bincount(own[other == key], minlength=len(NAMES) + 1)
        print(f"{name[:20]:22}" + "".join(f"{100 * v / row.sum():7.1f}" for v in row))


if __name__ == "__main__":
    mine, grid = ours(networks="--networks" in sys.argv)
    report(mine, theirs(Path(sys.argv[1]), mine.shape, grid))
