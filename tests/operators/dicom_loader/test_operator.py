"""The Holoscan door: one study, once, timed as one step."""

from __future__ import annotations

import contextlib

from operators.types import Role, Study


class _Steps:
    def __init__(self):
        self.names = []

    @contextlib.contextmanager
    def step(self, name):
        self.names.append(name)
        yield


def test_the_operator_emits_the_study_once(bench, settings):
    from monai.deploy.core import Application, Operator

    from operators.dicom_loader.operator import DicomLoaderOperator

    bench.t1w()
    received: list[Study] = []
    steps = _Steps()

    class Sink(Operator):
        def setup(self, spec):
            spec.input("study")

        def compute(self, op_input, op_output, context):  # noqa: ARG002
            received.append(op_input.receive("study"))

    class App(Application):
        def compose(self):
            loader = DicomLoaderOperator(
                self, name="loader", folder=bench.folder, study_uid=None, settings=settings,
                steps=steps,
            )  # fmt: skip
            self.add_flow(loader, Sink(self, name="sink"), {("study", "study")})

    App(["python"]).run()
    assert [set(study.series) for study in received] == [{Role.T1W}]
    assert steps.names == ["DICOM loader"]
