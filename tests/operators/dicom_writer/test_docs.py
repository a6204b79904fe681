"""The pages on outputs and conformance say what the code does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pydicom import dcmread

from operators import labels
from operators.errors import EXIT_MEANINGS

DOCS = Path(__file__).resolve().parents[3] / "docs"


def _rows(page: str) -> set[tuple[str, ...]]:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return {
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in lines if line.startswith("|")
    }


def _keys(value: object) -> Iterator[str]:
    """Keys that are field names: not series, roles, places or classes used as keys."""
    keyed_by_data = {"counts", "by_location", "dropped", "quantities", "lesion_counts"}
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            if key == "quantities":
                yield from (name for entry in inner.values() for name in _keys(entry))
            elif key not in keyed_by_data:
                yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def test_every_code_of_the_label_table_is_in_the_conformance_page_and_no_other() -> None:
    rows = _rows("dicom-conformance.md")
    documented = {row[-3:] for row in rows if re.fullmatch("SCT|DCM|LN|UCUM|99[A-Z]+", row[-2])}
    codes = {value for value in vars(labels).values() if isinstance(value, labels.Code)}
    codes |= {label.code for label in labels.LESIONS.values()}
    codes |= {entry.code for entry in labels.STRUCTURES.values()}
    codes |= {pattern.code for pattern in labels.Pattern}
    assert documented == {tuple(code) for code in codes}


def test_every_object_written_has_a_row_with_its_sop_class_and_modality(
    written: Callable[..., Path]
) -> None:
    rows = {(row[2], row[3]) for row in _rows("dicom-conformance.md") if len(row) == 5}
    for path in (written() / "dicom").rglob("*.dcm"):
        dataset = dcmread(path, stop_before_pixels=True)
        assert (dataset.SOPClassUID, dataset.Modality) in rows, path.name
        assert not any(element.tag.is_private for element in dataset.iterall()), path.name
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


def test_every_field_of_findings_json_is_documented(written: Callable[..., Path]) -> None:
    page = (DOCS / "outputs.md").read_text(encoding="utf-8")
    findings = json.loads((written() / "findings.json").read_text(encoding="utf-8"))
    missing = {key for key in _keys(findings) if f"`{key}`" not in page}
    assert missing == set()


def test_every_field_of_the_manifest_is_documented(written: Callable[..., Path]) -> None:
    page = (DOCS / "outputs.md").read_text(encoding="utf-8")
    manifest = json.loads((written() / "manifest.json").read_text(encoding="utf-8"))
    names = {*manifest, *manifest["provenance"]}
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_exit_codes_that_leave_a_result_are_those_of_the_code() -> None:
    documented = {row for row in _rows("outputs.md") if row[0].isdecimal()}
    leaving = {(str(int(c)), EXIT_MEANINGS[c]) for c in EXIT_MEANINGS if int(c) in (0, 10, 11, 12)}
    assert documented == leaving


def test_every_file_of_the_bids_tree_is_documented(written: Callable[..., Path]) -> None:
    page = (DOCS / "outputs.md").read_text(encoding="utf-8")
    for path in (written() / "bids").rglob("sub-*.nii.gz"):
        name = path.name.split("_", 1)[1]
        name = re.sub("label-(NHID|CALC|VESSEL)_mask", "label-CMB_mask", name)
        assert f"*_{name}" in page, name
