"""Regions against label maps: Dice and seconds, the networks beside the template they replace.

    python -m benchmarks.region_dice LABEL_MAPS [--seed 1]

Of the label maps in the folder those of the test heads count, which no training saw. They are
SynthSeg's training maps (github.com/BBillot/SynthSeg, Apache-2.0, FreeSurfer numbers). Each becomes
a T1-weighted head: one mean per tissue, texture, partial volume, bias field, Rician noise. The
anatomy is real, the contrast is simulated, by other code than the networks learned from
(`apps.train.synthesis`). Then the ICBM152 template against the atlas drawn on it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.map.settings import REGION_MODEL
from apps.train.cohort import part_heads
from operators.brain_mask import brain_mask
from operators.labels import STRUCTURES
from operators.region_segmenter.atlas import load_atlas, load_template, load_template_brain
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


@dataclass(frozen=True, slots=True)
class Score:
    """Dice per structure (0: brain; empty: not assessed) and seconds of a head and a method."""

    head: str
    dice: dict[int, float]
    seconds: float
    quality: float


def score(
    name: str, study: CoregisteredStudy, truth: dict[int, NDArray[np.bool_]], method: str
) -> Score:
    """One head by one method, "networks" or "template"."""
    wall = time.perf_counter()
    regions = segment_regions(
        study, RegionSettings(), REGION_MODEL if method == "networks" else None)
    wall = time.perf_counter() - wall
    if isinstance(regions, NotAssessed):
        print(f"{name}, {method}: {regions.reason}")
        return Score(name, {}, wall, 0.0)
    if method == "networks" and "template" in regions.method:
        print(f"{name}: fell back: {regions.method}")
    found = {key: dice(regions.labels.array == key, mask) for key, mask in truth.items() if key}
    if 0 in truth:
        found[0] = dice(np.asarray(regions.brain.array) > 0, truth[0])
    return Score(name, found, wall, regions.quality)


def simulated_head(
    path: Path, seed: int
) -> tuple[CoregisteredStudy, dict[int, NDArray[np.bool_]]]:
    """A head's simulated T1w and its true structures."""
    labels = read_labels(path)
    truth = labels.array
    t1 = simulate_t1(labels, seed)
    masks = {0: (truth > 0) & (truth < BRAIN_BELOW)}
    masks |= {key: np.isin(truth, numbers) for key, numbers in TRUTH.items()}
    return as_study(t1, brain_mask(t1, role=Role.T1W)), masks


def template_head() -> tuple[CoregisteredStudy, dict[int, NDArray[np.bool_]]]:
    """The ICBM152 template (a brain without skull), and the atlas drawn on it by hand."""
    atlas = np.asarray(load_atlas().array)
    return (as_study(load_template(), load_template_brain()),
            {key: atlas == key for key in TRUTH})


def table(rows: dict[str, list[Score]]) -> str:
    """Mean and smallest Dice per structure, a pair of columns per method."""
    lines = ["| structure | " + " | ".join(f"{method}, mean | smallest" for method in rows) + " |",
             "|" + " --- |" * (1 + 2 * len(rows))]
    keys = next((one.dice for each in rows.values() for one in each if one.dice), {})
    for key in sorted(keys):
        cells = []
        for each in rows.values():
            values = [one.dice[key] for one in each if one.dice]
            cells += [f"{np.mean(values):.3f}", f"{min(values):.3f}"] if values else ["-", "-"]
        name = STRUCTURES[key].label if key else "brain in which lesions are sought"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print Dice per structure of the networks and the template, and how long each took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("label_maps", type=Path, help="folder of label maps; its test heads count")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    heads = part_heads(sorted(options.label_maps.rglob("*.nii*")))["test"]
    warm_up()
    rows: dict[str, list[Score]] = {"networks": [], "template": []}
    for path in heads:
        study, truth = simulated_head(path, options.seed)
        for method, done in rows.items():
            done.append(score(path.name, study, truth, method))
            print(f"{path.name}, {method}: {done[-1].seconds:.1f} s, quality "
                  f"{done[-1].quality:.2f}", flush=True)
    print(f"\nSimulated T1w of {len(heads)} real heads that the networks never saw:\n")
    print(table(rows))
    ratios = [slow.seconds / quick.seconds for quick, slow in zip(*rows.values(), strict=True)]
    print(f"\nThe template takes {np.median(ratios):.1f} times as long (from {min(ratios):.1f} to "
          f"{max(ratios):.1f}).\n\nICBM152 template against the atlas drawn on it by hand:\n")
    study, truth = template_head()
    print(table({"networks": [score("ICBM152", study, truth, "networks")]}))


def warm_up() -> None:
    """Load what both methods need, so that the first head does not pay for it."""
    noise = np.random.default_rng(0).random((64, 64, 64), np.float32)
    volume = load_template()
    cube = volume[:64, :64, :64]
    segment_regions(as_study(cube.with_array(noise), cube.with_array(noise > -1)),
                    RegionSettings(), REGION_MODEL)


if __name__ == "__main__":
    main()
