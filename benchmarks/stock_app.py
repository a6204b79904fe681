"""The main job as far as the SDK's stock operators go, for comparison.

Loader, series selector, series to volume, bundle inference, segmentation writer: one SWI series in,
one DICOM SEG out. Nothing is computed from magnitude and phase, registered or measured, as no stock
operator does that.

    python -m benchmarks.stock_app -i STUDY -o OUT -m BUNDLE.ts

Writes OUT/steps.json beside the SEG: seconds and CPU-seconds of each operator's compute.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.map.cuda_runtime import preload

preload()

from monai.deploy.conditions import CountCondition  # noqa: E402
from monai.deploy.core import AppContext, Application  # noqa: E402
from monai.deploy.core.domain import Image  # noqa: E402
from monai.deploy.core.io_type import IOType  # noqa: E402
from monai.deploy.operators import (  # noqa: E402
    DICOMDataLoaderOperator,
    DICOMSegmentationWriterOperator,
    DICOMSeriesSelectorOperator,
    DICOMSeriesToVolumeOperator,
    IOMapping,
    MonaiBundleInferenceOperator,
)
from monai.deploy.operators.dicom_seg_writer_operator import SegmentDescription  # noqa: E402
from pydicom.sr.coding import Code  # noqa: E402

from operators.labels import LESIONS  # noqa: E402

RULES = json.dumps({"selections": [
    {"name": "SWI", "conditions": {"SeriesDescription": "^(SWI_Images|SWIp|Ax SWAN)$"}},
]})


def timed(operator: type, records: list[dict[str, Any]]) -> Callable[..., Any]:
    """A subclass of a stock operator whose compute appends its cost to `records`."""

    class Timed(operator):  # type: ignore[misc, valid-type]
        def compute(self, op_input: Any, op_output: Any, context: Any) -> None:
            wall, cpu = time.monotonic(), time.process_time()
            super().compute(op_input, op_output, context)
            records.append({
                "name": operator.__name__,
                "seconds": time.monotonic() - wall,
                "cpu_seconds": time.process_time() - cpu,
            })

    return Timed


class StockApplication(Application):
    """Five stock operators in a row."""

    def __init__(self, *args: Any, records: list[dict[str, Any]], **kwargs: Any) -> None:
        self._records = records
        super().__init__(*args, **kwargs)

    def compose(self) -> None:
        """Wire them as the SDK's own examples do."""
        context: AppContext = Application.init_app_context(self.argv)

        def make(operator: type, *args: Any, **kwargs: Any) -> Any:
            name = operator.__name__
            return timed(operator, self._records)(self, *args, name=name, **kwargs)

        loader = make(
            DICOMDataLoaderOperator, CountCondition(self, 1), input_folder=Path(context.input_path)
        )
        selector = make(DICOMSeriesSelectorOperator, rules=RULES)
        volume = make(DICOMSeriesToVolumeOperator)
        inference = make(
            MonaiBundleInferenceOperator,
            input_mapping=[IOMapping("image", Image, IOType.IN_MEMORY)],
            output_mapping=[IOMapping("pred", Image, IOType.IN_MEMORY)],
            app_context=context,
            bundle_path=context.model_path,
        )
        writer = make(
            DICOMSegmentationWriterOperator,
            segment_descriptions=_segments(),
            output_folder=Path(context.output_path),
        )
        self.add_flow(loader, selector, {("dicom_study_list", "dicom_study_list")})
        selected = ("study_selected_series_list", "study_selected_series_list")
        self.add_flow(selector, volume, {selected})
        self.add_flow(volume, inference, {("image", "image")})
        self.add_flow(selector, writer, {selected})
        self.add_flow(inference, writer, {("pred", "seg_image")})


def _segments() -> list[SegmentDescription]:
    return [
        SegmentDescription(
            segment_label=label.name,
            segmented_property_category=Code(*label.category),
            segmented_property_type=Code(*label.code),
            algorithm_name="lesion segmenter",
            algorithm_family=Code("123105", "DCM", "Artificial Intelligence"),
            algorithm_version="0",
        )
        for label in LESIONS.values()
    ]


def main() -> None:
    """Run once and leave steps.json beside the SEG."""
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "CRITICAL")
    records: list[dict[str, Any]] = []
    argv = [sys.executable, "stock", *sys.argv[1:], "-l", "WARN"]
    StockApplication(argv, records=records).run()
    out = Path(sys.argv[sys.argv.index("-o") + 1])
    (out / "steps.json").write_text(json.dumps(records, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
