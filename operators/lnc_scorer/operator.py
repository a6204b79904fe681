"""The LNC scorer's door in the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from operators.lnc_scorer.score import score
from operators.lnc_scorer.settings import LncSettings


class LncScorerOperator(Operator):
    """Measures the lenticulostriate complex, and asks the model in `bundle` what it expects.

    Inputs `study`: CoregisteredStudy, `regions`: RegionMap or NotAssessed, `lesions`: LesionMap or
    NotAssessed. Output `lnc`: LncScore or NotAssessed.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, bundle: Path, settings: LncSettings, steps: Any,
        **kwargs: Any,
    ) -> None:
        self._bundle, self._settings, self._steps = bundle, settings, steps
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        for name in ("study", "regions", "lesions"):
            spec.input(name)
        spec.output("lnc")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        study, regions = op_input.receive("study"), op_input.receive("regions")
        lesions = op_input.receive("lesions")
        with self._steps.step("LNC scorer"):
            lnc = score(study, regions, lesions, self._settings, self._bundle)
        op_output.emit(lnc, "lnc")
