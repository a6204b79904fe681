"""The door of the lesion segmenter in the application graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from operators.lesion_segmenter.segment import segment_lesions
from operators.lesion_segmenter.settings import LesionSettings


class LesionSegmenterOperator(Operator):
    """`study` (CoregisteredStudy), `regions` (RegionMap | NotAssessed) -> `lesions`."""

    def __init__(
        self, fragment: Fragment, *args: Any,
        settings: LesionSettings, steps: Any, bundle: Path, **kwargs: Any,
    ) -> None:
        self._settings, self._steps, self._bundle = settings, steps, bundle
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.input("regions")
        spec.output("lesions")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        study, regions = op_input.receive("study"), op_input.receive("regions")
        with self._steps.step("lesion segmenter"):
            lesions = segment_lesions(
                study, regions, bundle=self._bundle, settings=self._settings
            )
        op_output.emit(lesions, "lesions")
