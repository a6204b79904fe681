"""The terminal summary says counts, or that they were not assessed."""

from __future__ import annotations

import json
from pathlib import Path

from apps.map.summary import decisions_table, summary
from operators.types import Decision, Role


def result(folder: Path, *, assessed: bool) -> Path:
    lesions = {
        "assessed": assessed,
        "reason": None if assessed else "No SWI.",
        "counts": {"CMB": 1, "NHID": 0},
        "items": [
            {
                "index": 1, "class": "CMB", "location": "left putamen", "diameter_mm": 4.26,
                "mean_ppm": None, "probability": 0.9,
            }
        ],
    }
    lnc = {"assessed": False, "reason": "No FA.", "notes": [], "regions": []}
    steps = [{"name": "x", "seconds": 1.0, "cpu_seconds": 2.0, "peak_memory_mib": 3.0}]
    (folder / "findings.json").write_text(json.dumps({"lesions": lesions, "lnc": lnc}))
    (folder / "manifest.json").write_text(json.dumps({"provenance": {"steps": steps}}))
    return folder


def test_an_assessed_study_lists_its_lesions(tmp_path: Path) -> None:
    text = summary(result(tmp_path, assessed=True))
    assert "CMB 1, NHID 0" in text
    assert "left putamen  4.3" in text


def test_not_assessed_gives_the_reason_and_no_count(tmp_path: Path) -> None:
    text = summary(result(tmp_path, assessed=False))
    assert "Lesions: not assessed. No SWI." in text
    assert "CMB 1" not in text


def test_chosen_series_stand_before_rejected_ones() -> None:
    def decision(number: int, role: Role | None, reason: str) -> Decision:
        return Decision("1.2", number, "name", "MR", ("ORIGINAL",), 1, (1, 2, 3), role, reason)

    lines = decisions_table(
        [decision(1, None, "localiser"), decision(2, Role.T1W, "3D gradient echo")]
    ).splitlines()
    assert lines[2].startswith("t1w")
    assert lines[3].startswith("-")
    assert lines[3].endswith("localiser")
