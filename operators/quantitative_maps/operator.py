"""The door of the room: a study in, the same study with its derived maps out."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from operators.quantitative_maps.maps import add_maps
from operators.quantitative_maps.settings import QuantitativeMapsSettings


class QuantitativeMapsOperator(Operator):
    """Adds SWI, mIP, QSM, FA, MD and CBF where the study lacks them and its raw data give them.

    Input `study`: Study. Output `study`: Study.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, settings: QuantitativeMapsSettings, steps: Any,
        **kwargs: Any,
    ) -> None:
        self._settings = settings
        self._steps = steps
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.output("study")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        study = op_input.receive("study")
        with self._steps.step("quantitative maps"):
            study = add_maps(study, self._settings)
        op_output.emit(study, "study")
