"""What a simulated subject costs, in CPU seconds of one thread: all contrasts at 1 x 1 x 2 mm.

    OMP_NUM_THREADS=1 python -m benchmarks.simulation [--label-map FILE] [--subjects 3]

Without a label map the template is the head. Reading it is left out: a cohort reads each head once.
DICOM is written apart. Wanted: at most 20 s a subject.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from apps.phantom.anatomy import label_map_anatomy, template_anatomy
from apps.phantom.dicom import VendorStyle, write_study
from apps.phantom.subject import simulate

WANTED_S = 20.0


def main(
    label_map: Annotated[Path | None, typer.Option(help="FreeSurfer-numbered head.")] = None,
    subjects: Annotated[int, typer.Option(min=1)] = 3,
) -> None:
    """Time the simulator."""
    anatomy = label_map_anatomy(label_map) if label_map else template_anatomy()
    simulating, writing = [], []
    for seed in range(subjects):
        begun = time.process_time()
        subject = simulate(seed, anatomy=anatomy)
        simulating.append(time.process_time() - begun)
        begun = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            write_study(subject, Path(folder) / "study", style=VendorStyle.SIEMENS, seed=seed)
        writing.append(time.process_time() - begun)
    median = float(np.median(simulating))
    verdict = "met" if median <= WANTED_S else "MISSED"
    print(f"{median:.1f} CPU s a subject, median of {subjects} (wanted {WANTED_S:g}: {verdict}); "
          f"DICOM {np.median(writing):.1f} more")


if __name__ == "__main__":
    typer.run(main)
