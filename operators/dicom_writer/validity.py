"""Source attributes that break their value representation (PS3.5 6.2), made fit to be repeated.

Anonymised and old files carry words for dates, and longer texts than DICOM allows. Results must
not repeat them, nor fail over them: a text is cut, any other value is left empty.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from operators.types import Findings

if TYPE_CHECKING:
    from pydicom import Dataset

# Most characters of a text; of a person's name, in each of its three groups.
_LENGTHS = {"LO": 64, "SH": 16, "PN": 64, "ST": 1024}
_PATTERNS = {
    "AS": r"\d{3}[DWMY]",
    "DA": r"\d{8}",
    "DS": r"[+-]?(\d+\.?\d*|\.\d+)(E[+-]?\d+)?",
    "DT": r"\d{4}(\d\d){0,5}(\.\d{1,6})?([+-]\d{4})?",
    "IS": r"[+-]?\d+",
    "TM": r"\d\d(\d\d){0,2}(\.\d{1,6})?",
}


def with_valid_header(findings: Findings) -> Findings:
    """The findings with a study header that results can repeat.

    A warning names the attributes that were changed, never their values.
    """
    from pydicom.datadict import dictionary_description

    study = findings.study.study
    header, changed = valid(study.header)
    if not changed:
        return findings
    names = ", ".join(dictionary_description(tag) for tag in changed)
    warning = f"Not valid in the source, so cut or left empty in the results: {names}."
    study = replace(study, header=header, warnings=(*study.warnings, warning))
    return replace(findings, study=replace(findings.study, study=study))


def valid(header: Dataset) -> tuple[Dataset, tuple[int, ...]]:
    """A copy of `header` without an invalid text, date or number, and the tags that differ.

    The copy shares its other elements with `header`.
    """
    from pydicom import Dataset
    from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR

    copy = Dataset()
    copy.update(header)
    changed = []
    for tag in list(copy.keys()):
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
        if vr in _LENGTHS or vr in _PATTERNS:
            value = copy[tag].value
            fit = _fit(vr, value, single=dictionary_VM(tag) == "1")
            if fit is not value:
                copy.add_new(tag, vr, fit)
                changed.append(int(tag))
    return copy, tuple(changed)


def _fit(vr: str, value: Any, *, single: bool) -> Any:
    """`value` itself where it is valid; of several where one is wanted, the first text."""
    from pydicom.multival import MultiValue

    if not isinstance(value, MultiValue):
        return _fit_one(vr, value)
    if single:
        return _fit_one(vr, value[0]) if vr in _LENGTHS else None
    fits = [_fit_one(vr, one) for one in value]
    unchanged = all(fit is one for fit, one in zip(fits, value, strict=True))
    return value if unchanged else fits


def _fit_one(vr: str, value: Any) -> Any:
    if not value:
        return value
    if vr in _PATTERNS:
        return value if _is_valid(vr, str(value).strip()) else None
    text = str(value)
    groups = text.split("=")[:3] if vr == "PN" else [text]
    fit = "=".join(_printable(group, vr)[: _LENGTHS[vr]] for group in groups)
    return value if fit == text else fit


def _is_valid(vr: str, text: str) -> bool:
    """Whether `text` has the form of its representation, and names a day or time that exists."""
    from pydicom.valuerep import DA, DT, TM

    if re.fullmatch(_PATTERNS[vr], text, re.ASCII | re.IGNORECASE) is None:
        return False
    try:
        {"DA": DA, "DT": DT, "TM": TM}.get(vr, str)(text)
    except ValueError:
        return False
    return True


def _printable(text: str, vr: str) -> str:
    """`text` without control characters; line ends stay where they may be."""
    kept = "\t\n\f\r" if vr == "ST" else ""
    return "".join(c for c in text if c in kept or unicodedata.category(c) != "Cc")
