"""Who is compared: the product, a classical detector, nnU-Net; each lists lesions of a scan."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from apps.evaluate.examination import judge_map
from apps.evaluate.pairing import SCORED
from apps.evaluate.peers.network_view import of_scan
from apps.evaluate.peers.nnunet import NnUNet
from apps.evaluate.peers.radial_symmetry import Parameters, detect
from apps.train.scoring import operating_points
from apps.train.subjects import Examined, as_study
from operators.errors import StepFailed
from operators.labels import LesionClass
from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings
from operators.types import LesionMap, NotAssessed


class Contender(Protocol):
    """Lists the lesions of scans, and says how long each took."""

    @property
    def name(self) -> str: ...

    def look(self, scans: Sequence[Examined]) -> Iterator[tuple[LesionMap, float]]:
        """The lesions of each scan in turn, and the seconds that it took."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """The product's own call, the model loaded anew for every scan."""

    bundle: Path
    settings: LesionSettings
    name: str = "Lentiform"

    def look(self, scans: Sequence[Examined]) -> Iterator[tuple[LesionMap, float]]:
        for scan in scans:
            study, regions = as_study(scan)
            begun = time.perf_counter()
            found = segment_lesions(study, regions, bundle=self.bundle, settings=self.settings)
            if isinstance(found, NotAssessed):
                raise StepFailed(f"{scan.subject} was not assessed: {found.reason}")
            yield found, time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class RadialSymmetry:
    """Fast radial symmetry and rules."""

    parameters: Parameters
    name: str = "fast radial symmetry and rules"

    def look(self, scans: Sequence[Examined]) -> Iterator[tuple[LesionMap, float]]:
        for scan in scans:
            begun = time.perf_counter()
            yield detect(scan, self.parameters), time.perf_counter() - begun


@dataclass(frozen=True, slots=True)
class Nnu:
    """nnU-Net; all scans in one call, which shares out its start and is timed as a whole."""

    network: NnUNet
    least: Mapping[LesionClass, float]
    name: str

    def look(self, scans: Sequence[Examined]) -> Iterator[tuple[LesionMap, float]]:
        seen = [of_scan(scan) for scan in scans]
        begun = time.perf_counter()
        found = self.network.detect(seen, self.least)
        each = (time.perf_counter() - begun) / max(1, len(scans))
        yield from ((one, each) for one in found)


def points_of_nnunet(
    network: NnUNet, validation: Sequence[Examined]
) -> dict[LesionClass, float]:
    """Least probability per class, by the rule that chooses the product's own."""
    found = network.detect([of_scan(scan) for scan in validation], {})
    listed = [judge_map(scan, one) for scan, one in zip(validation, found, strict=True)]
    return dict.fromkeys(SCORED, 1.0) | operating_points(listed)
