"""A DICOM study as the application hands it to the lesion segmenter: loader to region segmenter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from apps.evaluate.store import fingerprint, place
from apps.map.settings import REGION_MODEL, REPOSITORY, Settings
from apps.train.subjects import Examined, load_examined, save_examined
from operators.errors import LentiformError
from operators.lesion_segmenter.normalise import CHANNELS
from operators.types import CoregisteredStudy, NotAssessed, RegionMap, Role

_ROOMS = ("dicom_loader", "quantitative_maps", "registration", "region_segmenter",
          "lesion_segmenter/source.py", "brain_mask.py", "resampling.py",
          "types.py", "labels.py")
_SECTIONS: Any = {
    "dicom_loader": True, "quantitative_maps": True, "registration": True,
    "region_segmenter": True,
    "lesion_segmenter": {"magnitude_min_te_field", "max_slice_spacing_mm"},
}
"""Sections of app.yaml that bear on what the lesion segmenter is given."""


def seen_by_the_map(
    study: Path, name: str, work: Path, settings: Settings
) -> Examined | NotAssessed:
    """What `prepare` makes of a study, kept in `work` for the next model.

    Made anew when the study's files, the settings or the code of these steps change.
    """
    path = place(work, "prepared", prepared_key(study, settings), ".npz")
    if path.exists():
        return load_examined(path)
    prepared = prepare(study, name, settings)
    if isinstance(prepared, Examined):
        save_examined(prepared, path)
    return prepared


def prepared_key(study: Path, settings: Settings) -> str:
    """Changes with all that bears on what `prepare` gives."""
    rooms = [REPOSITORY / "operators" / room for room in _ROOMS]
    return fingerprint(study, settings.model_dump_json(include=_SECTIONS), REGION_MODEL, *rooms)


def prepare(study: Path, name: str, settings: Settings) -> Examined | NotAssessed:
    """Run the product's own calls in the order of its graph; no truth is in what comes back.

    Contrasts are on the study's reference grid, SWI being whichever contrast the lesion segmenter
    takes for it; the brain is the one inside which it seeks. NotAssessed says what stopped it.
    """
    from operators.dicom_loader.load import load_study
    from operators.lesion_segmenter.source import susceptibility_source
    from operators.quantitative_maps.maps import add_maps
    from operators.region_segmenter.segment import segment_regions
    from operators.registration.coregister import coregister

    try:
        loaded = load_study(study, settings=settings.dicom_loader, study_uid=None)
        registered = coregister(add_maps(loaded, settings.quantitative_maps), settings.registration)
        regions = segment_regions(registered, settings.region_segmenter, REGION_MODEL)
    except LentiformError as error:
        return NotAssessed(f"{type(error).__name__}: {error}")
    source = susceptibility_source(registered, settings.lesion_segmenter)
    if isinstance(source, NotAssessed):
        return source
    return _as_examined(name, registered, regions, source)


def _as_examined(
    name: str, registered: CoregisteredStudy, regions: RegionMap | NotAssessed, source: Role
) -> Examined:
    images = {role: registered.contrasts[role] for role in CHANNELS if role in registered.contrasts}
    images[Role.SWI] = registered.contrasts[source]
    brain = regions.brain if isinstance(regions, RegionMap) else registered.brain
    labels = (regions.labels.array if isinstance(regions, RegionMap)
              else np.zeros(brain.spatial_shape))
    return Examined(
        subject=name, anatomy=name, field_strength_t=None,
        contrasts={role: np.asarray(image.array, np.float32) for role, image in images.items()},
        brain=np.asarray(brain.array, bool), regions=np.asarray(labels, np.uint8),
        truth=np.zeros(brain.spatial_shape, np.uint16), kinds={}, diameters_mm={},
        affine=brain.affine,
        frame_of_reference_uid=brain.frame_of_reference_uid or "1.2.3",
    )
