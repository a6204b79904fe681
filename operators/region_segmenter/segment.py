"""Regions of a subject: by the networks, or by the template where they do not see well enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from operators.region_segmenter.bundle import load_networks
from operators.region_segmenter.by_network import NetworkRegions, read_regions
from operators.region_segmenter.by_template import regions_by_template
from operators.region_segmenter.masks import dice, whole_brain
from operators.region_segmenter.settings import RegionSettings
from operators.types import CoregisteredStudy, ModelIdentity, NotAssessed, RegionMap, Role

if TYPE_CHECKING:
    from highdicom import Volume

SOURCES: tuple[Role, ...] = (Role.T1W, Role.T2W, Role.MAGNITUDE, Role.SWI)
"""Contrasts that regions can be read from, the best first."""


def segment_regions(
    study: CoregisteredStudy, settings: RegionSettings, bundle: Path | None = None
) -> RegionMap | NotAssessed:
    """Label every voxel of the brain with its structure, on the reference grid.

    By the networks in the model folder `bundle`, on the best contrast there is. Where there is no
    such folder, or the networks' two looks agree too little or miss the brain, the template is
    registered instead (see `by_template`); `method` says so. NotAssessed if no contrast is there,
    or the template fails too.
    """
    source = next((role for role in SOURCES if role in study.contrasts), None)
    if source is None:
        return NotAssessed("The study has no T1w, T2w or GRE image to place the regions on.")
    image = study.contrasts[source]
    if not (np.isfinite(image.array) & (image.array > 0)).any():
        return NotAssessed(f"The {source.value} image holds no signal to place the regions on.")
    networks = load_networks(bundle) if bundle else None
    if networks is None:
        why = "no region networks in the model folder"
    else:
        found = read_regions(image, study.brain, networks)
        why = _doubt(found, image, study.brain, settings)
        if not why and found is not None:
            return _region_map(found, study.brain, source, networks.identity)
    return regions_by_template(study, source, settings, why=why)


def _doubt(
    found: NetworkRegions | None, image: Volume, brain: Volume, settings: RegionSettings
) -> str:
    """Why what the networks found is not good enough; "" where it is."""
    if found is None:
        return "the networks saw no brain"
    if found.quality < settings.min_agreement:
        return (f"the networks' two looks agree by {found.quality:.2f}, "
                f"wanted {settings.min_agreement:.2f}")
    overlap = dice(found.seen, np.asarray(brain.array), where=np.isfinite(image.array))
    if overlap < settings.min_network_overlap:
        return (f"the networks' brain overlaps the brain mask by {overlap:.2f}, "
                f"wanted {settings.min_network_overlap:.2f}")
    return ""


def _region_map(
    found: NetworkRegions, brain: Volume, source: Role, identity: ModelIdentity
) -> RegionMap:
    return RegionMap(
        labels=brain.with_array(found.labels),
        brain=whole_brain(brain.with_array(found.brain), brain),
        source=source,
        method=f"{identity.name} {identity.version} (SHA-256 {identity.sha256[:12]}, "
               f"{identity.training_data}); quality: Dice of the nuclei in their coarse and their "
               "fine look",
        quality=found.quality,
    )
