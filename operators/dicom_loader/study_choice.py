"""Which study of a folder is meant, and that it is of one patient."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from operators.dicom_loader.elements import DAMAGED
from operators.dicom_loader.index import FolderIndex, Instance
from operators.errors import StudyChoiceError

if TYPE_CHECKING:
    from pydicom import Dataset


def choose_study(index: FolderIndex, study_uid: str | None) -> tuple[Instance, ...]:
    """The objects of one study: the only one, or the one named.

    Raises StudyChoiceError for several studies and none named, for a name that is not there, and
    for a study whose objects carry different patient IDs.
    """
    studies: dict[str, list[Instance]] = {}
    for instance in index.instances:
        studies.setdefault(str(instance.header.StudyInstanceUID), []).append(instance)
    if study_uid is None and len(studies) > 1:
        raise StudyChoiceError(
            f"{len(studies)} studies found, one wanted:\n{_listing(studies)}\n"
            "Name one with --study-uid."
        )
    uid = study_uid if study_uid is not None else next(iter(studies))
    if uid not in studies:
        raise StudyChoiceError(
            f"Study {uid} is not in the folder, which holds:\n{_listing(studies)}\n"
            "Name one of these with --study-uid."
        )
    chosen = studies[uid]
    _must_be_one_patient(uid, chosen)
    return tuple(chosen)


def _must_be_one_patient(uid: str, chosen: list[Instance]) -> None:
    """One ID and birth date where stated; one name where an ID is absent or of two issuers.

    A name alone does not part objects of one ID: it is written in many ways.
    """
    known = {key: {_patient(i.header, key) for i in chosen} for key in _PATIENT}
    dates = {re.sub(r"\D|00(00)?$", "", date) for date in known["PatientBirthDate"]}
    longest = max(dates, key=len)
    known["PatientBirthDate"] = {d for d in dates if not longest.startswith(d)} | {longest}
    asked = ["PatientID", "PatientBirthDate"]
    if "" in known["PatientID"] or len(known["IssuerOfPatientID"] - {""}) > 1:
        asked.append("PatientName")
    for key in asked:
        found = len(known[key] - {""})
        if found > 1:
            raise StudyChoiceError(
                f"Study {uid} carries {found} different values of {key}, one wanted. "
                "Separate the patients' files into folders of their own."
            )


_PATIENT = ("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientName")


def _patient(header: Dataset, key: str) -> str:
    """One attribute of the patient, spaces, carets and case aside; "" where absent or damaged."""
    try:
        text = str(header.get(key) or "")
    except DAMAGED:
        return ""
    return " ".join(text.partition("=")[0].replace("^", " ").upper().split())


def _listing(studies: dict[str, list[Instance]]) -> str:
    lines = []
    for uid, instances in studies.items():
        series = {
            str(i.header.SeriesInstanceUID): str(i.header.get("Modality", "?")) for i in instances
        }
        counts = Counter(series.values())
        what = ", ".join(f"{modality} {count}" for modality, count in sorted(counts.items()))
        lines.append(f"  {uid}: {len(instances)} objects, series by modality: {what}")
    return "\n".join(lines)
