"""From a seed to a folder of DICOM, with the truth beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from operators.errors import ConfigurationError

if TYPE_CHECKING:
    from apps.phantom.lesions import Burden


def simulate_study(
    out: Path, *, seed: int, style: str = "siemens", head: Path | None = None,
    burden: Burden | None = None,
) -> Path:
    """Simulate one subject and write `out`/study (DICOM) and `out`/truth; the study's folder.

    `head` is a FreeSurfer-numbered label map; without it the ICBM152 template is the anatomy.
    Without `burden` the lesions are drawn from the population: most subjects have few or none.
    Raises ConfigurationError for an unknown style or an `out` that already holds a study.
    """
    from apps.phantom.anatomy import label_map_anatomy, template_anatomy
    from apps.phantom.bids import write_truth
    from apps.phantom.dicom import VendorStyle, write_study
    from apps.phantom.subject import simulate

    vendor = VendorStyle.of(style)
    folder = out / "study"
    if folder.exists():
        message = f"{folder} already holds a study. Name another folder, or remove it."
        raise ConfigurationError(message)
    anatomy = label_map_anatomy(head) if head else template_anatomy()
    subject = simulate(seed, anatomy=anatomy, burden=burden)
    write_study(subject, folder, style=vendor, seed=seed)
    write_truth(subject, out)
    return folder
