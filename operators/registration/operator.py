"""The door of the registration in the graph."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import Fragment, Operator, OperatorSpec

from operators.registration.coregister import coregister
from operators.registration.settings import RegistrationSettings


class RegistrationOperator(Operator):
    """Input `study`: Study. Output `study`: CoregisteredStudy."""

    def __init__(
        self, fragment: Fragment, *args: Any, settings: RegistrationSettings, steps: Any,
        **kwargs: Any,
    ) -> None:
        self._settings, self._steps = settings, steps
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.output("study")

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ARG002
        study = op_input.receive("study")
        with self._steps.step("registration"):
            registered = coregister(study, self._settings)
        op_output.emit(registered, "study")
