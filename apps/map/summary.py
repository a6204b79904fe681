"""What a run found, in a few lines for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from operators.dicom_writer.report_text import three_digits
from operators.types import Decision


def summary(out: Path) -> str:
    """The result in `out` (findings.json, manifest.json): counts, LNC numbers, files, seconds."""
    findings = json.loads((out / "findings.json").read_text(encoding="utf-8"))
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    parts = [_lesions(findings["lesions"]), _lnc(findings["lnc"]), _steps(manifest), _files(out)]
    return "\n\n".join(part for part in parts if part)


def decisions_table(decisions: Iterable[Decision]) -> str:
    """Chosen series first, then the rejected, each with its reason."""
    ordered = sorted(decisions, key=lambda d: (d.role is None, d.series_number or 0))
    rows = [
        (
            decision.role.value if decision.role else "-",
            str(decision.series_number or ""),
            decision.description,
            "x".join(map(str, decision.shape)) if decision.shape else "",
            str(decision.volume_count),
            decision.reason,
        )
        for decision in ordered
    ]
    return table(("role", "series", "description", "slices x rows x cols", "volumes", "why"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell; the last one is left as long as it is."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
        return "  ".join([*padded, cells[-1]]).rstrip()

    return "\n".join([line(head), line(["-" * w for w in (*widths, 4)]), *map(line, rows)])


def _lesions(lesions: dict[str, Any]) -> str:
    if not lesions["assessed"]:
        return f"Lesions: not assessed. {lesions['reason']}"
    counts = ", ".join(f"{kind} {count}" for kind, count in lesions["counts"].items())
    rows = [
        (
            str(item["index"]),
            item["class"],
            item["location"] or "unclassified",
            f"{item['diameter_mm']:.1f}",
            "" if item["mean_ppm"] is None else f"{item['mean_ppm']:+.3f}",
            f"{item['probability']:.2f}",
        )
        for item in lesions["items"]
    ]
    head = ("lesion", "class", "location", "mm", "ppm", "probability")
    return f"Lesions: {counts}" + (f"\n{table(head, rows)}" if rows else "")


def _lnc(lnc: dict[str, Any]) -> str:
    if not lnc["assessed"]:
        return f"LNC: not assessed. {lnc['reason']}"
    quantities = sorted({name for region in lnc["regions"] for name in region["quantities"]})
    rows = [
        (
            f"{region['side']} {region['name']}",
            f"{region['volume_mm3']:.0f}",
            *(_mean(region["quantities"].get(name)) for name in quantities),
        )
        for region in lnc["regions"]
    ]
    notes = "".join(f"\nnote: {note}" for note in lnc["notes"])
    return "LNC (means)\n" + table(("region", "mm3", *quantities), rows) + notes


def _mean(statistic: dict[str, Any] | None) -> str:
    if statistic is None or statistic["mean"] is None:
        return "-"
    return three_digits(statistic["mean"])


def _steps(manifest: dict[str, Any]) -> str:
    rows = [
        (step["name"], f"{step['seconds']:.1f}", f"{step['cpu_seconds']:.1f}",
         f"{step['peak_memory_mib']:.0f}")
        for step in manifest["provenance"]["steps"]
    ]
    return table(("step", "seconds", "cpu seconds", "peak MiB"), rows)


def _files(out: Path) -> str:
    kinds = {
        "report": "report.pdf",
        "DICOM": "dicom",
        "findings": "findings.json",
        "manifest": "manifest.json",
        "BIDS": "bids",
    }
    rows = [(name, str(out / path)) for name, path in kinds.items() if (out / path).exists()]
    return table(("output", "where"), rows)
