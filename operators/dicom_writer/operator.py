"""The writer's door in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from monai.deploy.core import Operator, OperatorSpec

from operators.dicom_writer.manifest import write_manifest
from operators.dicom_writer.provenance import library_versions
from operators.dicom_writer.settings import WriterSettings
from operators.dicom_writer.staging import staged
from operators.dicom_writer.validity import with_valid_header
from operators.dicom_writer.write import write_objects
from operators.types import Findings, Provenance


class DicomWriterOperator(Operator):
    """Writes everything the run found.

    Named Input:
        study: CoregisteredStudy.
        regions: RegionMap or NotAssessed.
        lesions: LesionMap or NotAssessed.
        lnc: LncScore or NotAssessed.
    """

    def __init__(
        self, fragment: Any, *args: Any, folder: Path, settings: WriterSettings,
        resolved: Mapping[str, object], version: str, started: str, overwrite: bool, steps: Any,
        **kwargs: Any,
    ) -> None:
        """`resolved` is the whole configuration in force; `steps.records` what steps cost."""
        self._folder = folder
        self._settings = settings
        self._overwrite = overwrite or settings.overwrite
        self._version, self._started, self._resolved = version, started, resolved
        self._steps = steps
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        for name in ("study", "regions", "lesions", "lnc"):
            spec.input(name)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        names = ("study", "regions", "lesions", "lnc")
        findings = with_valid_header(Findings(*(op_input.receive(name) for name in names)))
        now = datetime.now().astimezone()
        with staged(self._folder, overwrite=self._overwrite) as stage:
            with self._steps.step("DICOM writer"):
                write_objects(
                    findings, stage, settings=self._settings, provenance=self._provenance(),
                    now=now,
                )
            write_manifest(findings, stage, provenance=self._provenance(), now=now)

    def _provenance(self) -> Provenance:
        return Provenance(
            software_version=self._version, started=self._started, settings=self._resolved,
            libraries=library_versions(), steps=self._steps.records,
        )
