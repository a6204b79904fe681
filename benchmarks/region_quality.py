"""What the networks' agreement is worth: quality beside the truth, on spoiled images.

    python -m benchmarks.region_quality LABEL_MAPS

Validation heads (those the weights were chosen on), simulated as in `benchmarks.region_dice` and
spoiled: noise, blur, brightness turned over, parts of the head missing. docs/regions.md says how
`min_agreement` in app.yaml was chosen by it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.map.settings import REGION_MODEL
from apps.train.cohort import part_heads
from benchmarks.region_dice import dice, simulated_head
from operators.region_segmenter.bundle import load_networks
from operators.region_segmenter.by_network import read_regions
from operators.types import Role

if TYPE_CHECKING:
    from highdicom import Volume

GOOD, BAD = 0.80, 0.70
"""Mean Dice of the nuclei that is good enough, and that must not pass (our choice)."""


def spoiled(image: Volume) -> Iterator[tuple[str, Volume]]:
    """The image as it is, and spoiled in many ways."""
    from scipy.ndimage import gaussian_filter

    array = np.asarray(image.array)
    high = float(np.percentile(array, 98))
    generator = np.random.default_rng(1)
    yield "as it is", image
    for level in (0.1, 0.2, 0.3, 0.5, 0.8):
        noise = generator.normal(0, level * high, array.shape).astype(np.float32)
        yield f"noise of {100 * level:.0f} %", image.with_array(np.abs(array + noise))
    for width in (1.5, 3.0, 5.0):
        yield f"blurred by {width:g} mm", image.with_array(gaussian_filter(array, width))
    head = gaussian_filter(array, 2.0) > 0.1 * high
    yield "turned over", image.with_array(np.where(head, np.clip(high - array, 0, None), 0))
    middle = [n // 2 for n in array.shape]
    for name, part in (("upper half alone", np.s_[:middle[0]]),
                       ("lower half alone", np.s_[middle[0]:]),
                       ("one side alone", np.s_[:, :, :middle[2]])):
        cut = array.copy()
        cut[part] = 0
        yield name, image.with_array(cut)


def main() -> None:
    """Print quality and Dice of every copy, then what each threshold lets pass."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("label_maps", type=Path)
    options = parser.parse_args()
    networks = load_networks(REGION_MODEL)
    assert networks is not None
    found: list[tuple[float, float]] = []
    for path in part_heads(sorted(options.label_maps.rglob("*.nii*")))["validation"]:
        study, truth = simulated_head(path, 1)
        for name, copy in spoiled(study.contrasts[Role.T1W]):
            regions = read_regions(copy, study.brain, networks)
            quality, score = 0.0, 0.0
            if regions is not None:
                quality, score = regions.quality, nuclei_dice(regions.labels, truth)
            found.append((quality, score))
            print(f"{path.name}, {name}: quality {quality:.2f}, Dice of the nuclei {score:.2f}",
                  flush=True)
    pairs = np.array(found)
    print(f"\n| at least | bad (Dice under {BAD}) that pass | good ({GOOD} and more) refused |")
    print("| --- | --- | --- |")
    for threshold in np.arange(0.3, 0.9, 0.05):
        passed = pairs[:, 0] >= threshold
        bad, good = pairs[:, 1] < BAD, pairs[:, 1] >= GOOD
        print(f"| {threshold:.2f} | {(bad & passed).sum()} of {bad.sum()} "
              f"| {(good & ~passed).sum()} of {good.sum()} |")


def nuclei_dice(labels: NDArray[np.uint8], truth: dict[int, NDArray[np.bool_]]) -> float:
    """Mean over the eight nuclei."""
    return float(np.mean([dice(labels == number, truth[number]) for number in range(1, 9)]))


if __name__ == "__main__":
    main()
