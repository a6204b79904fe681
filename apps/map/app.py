"""The MONAI Deploy application: seven operators, one graph.

loader -> quantitative maps -> registration -> region segmenter -> lesion segmenter -> LNC scorer
-> writer. The lesion segmenter needs regions to say where a lesion lies, the LNC scorer needs
lesions for their burden; each passes on NotAssessed where its input is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monai.deploy.core import Application

from apps.map.settings import Settings
from apps.map.steps import Steps
from operators.dicom_loader.operator import DicomLoaderOperator
from operators.dicom_writer.operator import DicomWriterOperator
from operators.lesion_segmenter.operator import LesionSegmenterOperator
from operators.lnc_scorer.operator import LncScorerOperator
from operators.quantitative_maps.operator import QuantitativeMapsOperator
from operators.region_segmenter.operator import RegionSegmenterOperator
from operators.registration.operator import RegistrationOperator


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is asked to do.

    The SDK is not told of `out`: it would make the folder before there is a result.
    """

    settings: Settings
    out: Path
    study_uid: str | None
    overwrite: bool
    started: str


class LentiformApplication(Application):
    """Brain MR study in, DICOM SEG, SR and report out."""

    def __init__(self, argv: list[str], *, request: Request, steps: Steps) -> None:
        self._request = request
        self._steps = steps
        super().__init__(argv)

    def compose(self) -> None:
        context = Application.init_app_context(self.argv)
        settings, steps = self._request.settings, self._steps
        loader = DicomLoaderOperator(
            self, name="dicom_loader", folder=Path(context.input_path),
            study_uid=self._request.study_uid, settings=settings.dicom_loader, steps=steps,
        )
        maps = QuantitativeMapsOperator(
            self, name="quantitative_maps", settings=settings.quantitative_maps, steps=steps
        )
        registration = RegistrationOperator(
            self, name="registration", settings=settings.registration, steps=steps
        )
        regions = RegionSegmenterOperator(
            self, name="region_segmenter", bundle=Path(context.model_path) / "region_segmenter",
            settings=settings.region_segmenter, steps=steps,
        )
        lesions = LesionSegmenterOperator(
            self, name="lesion_segmenter", bundle=Path(context.model_path) / "lesion_segmenter",
            settings=settings.lesion_segmenter, steps=steps,
        )
        lnc = LncScorerOperator(
            self, name="lnc_scorer", bundle=Path(context.model_path) / "lnc_scorer",
            settings=settings.lnc_scorer, steps=steps,
        )
        writer = DicomWriterOperator(
            self, name="dicom_writer", folder=self._request.out,
            settings=settings.dicom_writer, resolved=settings.resolved(),
            version=settings.application.version, started=self._request.started,
            overwrite=self._request.overwrite, steps=steps,
        )
        self.add_flow(loader, maps, {("study", "study")})
        self.add_flow(maps, registration, {("study", "study")})
        self.add_flow(registration, regions, {("study", "study")})
        for consumer in (lesions, lnc, writer):
            self.add_flow(registration, consumer, {("study", "study")})
            self.add_flow(regions, consumer, {("regions", "regions")})
        for consumer in (lnc, writer):
            self.add_flow(lesions, consumer, {("lesions", "lesions")})
        self.add_flow(lnc, writer, {("lnc", "lnc")})
