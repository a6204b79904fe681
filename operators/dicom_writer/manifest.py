"""manifest.json: how the result came about. It is written last: without it there is no result."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from operators.dicom_writer.findings_json import decision_entry
from operators.dicom_writer.imprint import SOFTWARE
from operators.dicom_writer.staging import MANIFEST, SCHEMA
from operators.dicom_writer.status import status
from operators.labels import RESEARCH_NOTICE
from operators.types import Findings, NotAssessed, Provenance


def write_manifest(
    findings: Findings, folder: Path, *, provenance: Provenance, now: datetime
) -> None:
    """Write manifest.json into `folder`, over all files that are there already."""
    document = manifest_document(findings, provenance=provenance, now=now)
    document["files"] = [_file_entry(path, folder) for path in sorted(folder.rglob("*"))
                         if path.is_file()]
    write_json(folder / MANIFEST, document)


def manifest_document(
    findings: Findings, *, provenance: Provenance, now: datetime
) -> dict[str, Any]:
    """Status, choices with reasons, refusals, versions, settings and costs, as plain data."""
    study = findings.study.study
    return {
        "schema": SCHEMA,
        "software": {"name": SOFTWARE, "version": provenance.software_version},
        "notice": RESEARCH_NOTICE,
        "study_uid": study.uid,
        "status": status(findings),
        "reference": findings.study.reference.value,
        "series": [decision_entry(decision) for decision in study.decisions],
        "computed": {
            role.value: series.reason for role, series in study.series.items()
            if series.is_derived
        },
        "refusals": refusals(findings),
        "warnings": list(study.warnings),
        "provenance": {
            "started": provenance.started,
            "written": now.isoformat(timespec="seconds"),
            "libraries": dict(sorted(provenance.libraries.items())),
            "settings": dict(provenance.settings),
            "steps": [
                {
                    "name": step.name,
                    "seconds": round(step.seconds, 3),
                    "cpu_seconds": round(step.cpu_seconds, 3),
                    "peak_memory_mib": round(step.peak_memory_mib, 1),
                }
                for step in provenance.steps
            ],
        },
    }


def refusals(findings: Findings) -> list[dict[str, str]]:
    """Everything that was there and not used, or asked and not answered, with its reason."""
    coregistered = findings.study
    series = [
        {"what": "series", "which": decision.series_uid, "reason": decision.reason}
        for decision in coregistered.study.decisions
        if decision.role is None
    ]
    contrasts = [
        {"what": "contrast", "which": role.value, "reason": reason}
        for role, reason in coregistered.dropped.items()
    ]
    parts = {"lesions": findings.lesions, "regions": findings.regions, "lnc": findings.lnc}
    questions = [
        {"what": "question", "which": name, "reason": part.reason}
        for name, part in parts.items()
        if isinstance(part, NotAssessed)
    ]
    return [*series, *contrasts, *questions]


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write plain data as JSON; NaN raises ValueError, since JSON has none."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _file_entry(path: Path, folder: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {
        "path": path.relative_to(folder).as_posix(),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
