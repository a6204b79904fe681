"""Dice of the region segmenter on T1-weighted images simulated from label maps of real heads.

    python -m benchmarks.region_dice LABEL_MAP.nii.gz ... [--seed 1]

The label maps are SynthSeg's training maps (github.com/BBillot/SynthSeg, Apache-2.0, FreeSurfer
numbers). Each becomes a T1-weighted head: one mean per tissue, texture, partial volume, bias field,
Rician noise. The anatomy is real, the contrast is simulated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from operators.brain_mask import brain_mask
from operators.labels import STRUCTURES
from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings
from operators.types import CoregisteredStudy, NotAssessed, Role, Study

if TYPE_CHECKING:
    from highdicom import Volume

Image = NDArray[np.float32]

# T1-weighted brightness, white matter 1: rounded from MPRAGE images at 3 T; own choice.
TISSUES = {
    1.0: (2, 41), 0.96: (7, 46), 0.70: (3, 42, 17, 18, 53, 54, 26, 58), 0.68: (8, 47),
    0.84: (10, 49), 0.73: (11, 50), 0.77: (12, 51), 0.90: (13, 52), 0.92: (16, 512),
    0.88: (28, 60, 85), 0.80: (136, 137, 163, 164), 0.25: (4, 5, 14, 15, 24, 43, 44, 72),
    0.30: (30, 62, 514), 0.60: (25, 57, 502), 0.20: (506,), 0.55: (507,), 0.45: (508, 509, 530),
    0.65: (511,), 0.10: (515,), 1.10: (516,),
}
BRAIN_BELOW = 500
"""Label numbers from here on lie outside the brain."""
TRUTH = {
    1: (11, 26), 2: (50, 58), 3: (12,), 4: (51,), 5: (13,), 6: (52,), 7: (10,), 8: (49,),
    26: (16,), 27: (7, 8), 28: (46, 47), 29: (4, 5, 14, 15, 43, 44, 72),
}
"""Our number: FreeSurfer numbers. The atlas counts the accumbens to the caudate nucleus."""


def read_labels(path: Path) -> Volume:
    """A label map as int16 volume in LPS, slices upwards."""
    import nibabel as nib
    from highdicom import Volume

    image = nib.nifti1.Nifti1Image.from_filename(path)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.asarray(image.affine)
    array = np.asarray(image.dataobj).astype(np.int16)
    return Volume(array, affine, coordinate_system="PATIENT").to_patient_orientation("HPL")


def simulate_t1(labels: Volume, seed: int) -> Volume:
    """A T1-weighted head from a label map: texture 5 %, bias 20 %, noise 3 % of white matter."""
    from scipy.ndimage import gaussian_filter, zoom

    rng = np.random.default_rng(seed)
    means = np.zeros(600, dtype=np.float32)
    for mean, numbers in TISSUES.items():
        means[list(numbers)] = mean
    shape = labels.spatial_shape
    image = means[labels.array]
    texture = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 2.0)
    texture /= texture.std()
    spread = np.where(labels.array == 507, 0.3, 0.05).astype(np.float32)
    image = gaussian_filter(np.clip(image * (1 + spread * texture), 0, None), 0.6)
    knots = rng.standard_normal((4, 4, 4))
    bias = zoom(knots, np.array(shape) / 4, order=3)[: shape[0], : shape[1], : shape[2]]
    image = image * np.exp(0.2 * bias / np.abs(bias).max()).astype(np.float32)
    noise = 0.03 * rng.standard_normal((2, *shape), dtype=np.float32)
    return labels.with_array(np.hypot(image + noise[0], noise[1]).astype(np.float32) * 800)


def as_study(t1: Volume, brain: Volume) -> CoregisteredStudy:
    """The image alone, as the study that the segmenter expects."""
    from pydicom import Dataset

    bare = Study(uid="", header=Dataset(), series={}, decisions=())
    return CoregisteredStudy(bare, Role.T1W, {Role.T1W: t1}, {}, brain, {})


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))


def score(path: Path, seed: int, settings: RegionSettings) -> dict[int, float]:
    """Dice per structure (0: brain, -1: mask given) of one head; prints quality and time."""
    labels = read_labels(path)
    truth = labels.array
    brain = (truth > 0) & (truth < BRAIN_BELOW)
    t1 = simulate_t1(labels, seed)
    study = as_study(t1, brain_mask(t1, role=Role.T1W))
    wall, cpu = time.perf_counter(), time.process_time()
    regions = segment_regions(study, settings)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if isinstance(regions, NotAssessed):
        print(f"{path.name}: {regions.reason} ({cpu:.0f} CPU-s)")
        return {}
    print(f"{path.name}: quality {regions.quality:.2f}, {wall:.0f} s, {cpu:.0f} CPU-s", flush=True)
    found = {-1: dice(study.brain.array > 0, brain)}
    found |= {key: dice(regions.labels.array == key, np.isin(truth, numbers))
             for key, numbers in TRUTH.items()}
    return {0: dice(regions.brain.array, brain)} | found


def main() -> None:
    """Print Dice per structure: mean, smallest and number of heads."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("label_maps", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = [score(path, options.seed, RegionSettings()) for path in options.label_maps]
    assessed = [row for row in rows if row]
    print(f"\nsimulated T1 on real label maps: {len(assessed)} of {len(rows)} heads assessed")
    print(f"{'structure':28}{'mean Dice':>10}{'smallest':>10}")
    for key in assessed[0] if assessed else ():
        values = [row[key] for row in assessed]
        names = {0: "brain of the regions", -1: "brain mask given"}
        name = names.get(key) or STRUCTURES[key].label
        print(f"{name:28}{np.mean(values):10.3f}{min(values):10.3f}")


if __name__ == "__main__":
    main()
