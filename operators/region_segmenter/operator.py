"""The region segmenter's door in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from operators.region_segmenter.segment import segment_regions
from operators.region_segmenter.settings import RegionSettings


class RegionSegmenterOperator(Operator):
    """Labels the brain's structures, by the networks in `bundle`.

    Input `study`: CoregisteredStudy. Output `regions`: RegionMap or NotAssessed.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, bundle: Path, settings: RegionSettings, steps: Any,
        **kwargs: Any,
    ) -> None:
        self._bundle, self._settings, self._steps = bundle, settings, steps
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.output("regions")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        study = op_input.receive("study")
        with self._steps.step("region segmenter"):
            regions = segment_regions(study, self._settings, self._bundle)
        op_output.emit(regions, "regions")
