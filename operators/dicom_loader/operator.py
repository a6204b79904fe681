"""Holoscan door of the DICOM loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition  # type: ignore[attr-defined]
from monai.deploy.core import Operator, OperatorSpec  # type: ignore[attr-defined]

from operators.dicom_loader.load import load_study
from operators.dicom_loader.settings import LoaderSettings


class DicomLoaderOperator(Operator):
    """Reads one study from a folder, once, and emits it on port "study"."""

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        folder: Path,
        study_uid: str | None,
        settings: LoaderSettings,
        steps: Any,
        **kwargs: Any,
    ) -> None:
        self._folder = folder
        self._study_uid = study_uid
        self._settings = settings
        self._steps = steps
        super().__init__(fragment, CountCondition(fragment, 1), *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.output("study")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        with self._steps.step("DICOM loader"):
            study = load_study(self._folder, settings=self._settings, study_uid=self._study_uid)
        op_output.emit(study, "study")
