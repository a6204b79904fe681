"""The results page of an evaluation: evaluation.md, evaluation.json and the pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.evaluate import sections
from apps.evaluate.examination import Examination
from apps.evaluate.markdown import table
from apps.evaluate.pairing import SCORED
from apps.evaluate.pictures import draw
from apps.evaluate.plain import as_plain
from apps.evaluate.published import bars
from apps.evaluate.run import Record, Way
from apps.evaluate.statistics import figures, froc, reliability
from apps.evaluate.store import write_text
from operators.types import ModelIdentity, Role

_WAYS = {Way.ARRAYS: "arrays of the tree", Way.DICOM: "DICOM, through the application's steps"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that the page tells of; `command` is the command line that made it."""

    records: tuple[Record, ...]
    simulated: bool
    anatomies: int
    model: ModelIdentity
    software: str
    command: str
    without: tuple[Role, ...] = ()

    def listed(self, way: Way) -> list[Examination]:
        """What the model lists in every scan that was assessed that way."""
        return [one.listed for one in self.records if one.way is way and one.listed]

    def candidates(self, way: Way) -> list[Examination]:
        """The same with every candidate; what is listed where none were asked for."""
        return [one.candidates or one.listed for one in self.records
                if one.way is way and one.listed]

    @property
    def ways(self) -> list[Way]:
        """The ways that assessed any scan, the whole application first."""
        return [way for way in (Way.DICOM, Way.ARRAYS) if self.listed(way)]

    @property
    def where(self) -> str:
        return "simulated scans" if self.simulated else "annotated scans"


def write_page(one: Evaluation, out: Path) -> Path:
    """Write the page, its data and its pictures into `out`; the page's path."""
    first = one.ways[0]
    every = bool(next(each for each in one.records if each.listed).candidates)
    pictures = draw(one.listed(first), one.candidates(first), out,
                    f"{len(one.listed(first))} {one.where}, from {_WAYS[first]}")
    write_text(out / "evaluation.json", json.dumps(as_plain(_data(one)), indent=1) + "\n")
    path = out / "evaluation.md"
    write_text(path, _text(one, first, pictures, every=every))
    return path


def _text(one: Evaluation, first: Way, pictures: Mapping[str, str], *, every: bool) -> str:
    listed, candidates = one.listed(first), one.candidates(first)
    parts = [_head(one)]
    if one.simulated:
        parts.append(sections.bars_section(listed))
    parts.append(sections.main_section({_WAYS[way]: one.listed(way) for way in one.ways}))
    if len(one.ways) == 2:
        parts.append(sections.gap_section(one.listed(Way.DICOM), one.listed(Way.ARRAYS)))
    parts += [
        f"All below: from {_WAYS[first]}, {len(listed)} {one.where}.",
        sections.published_section(listed, one.where), sections.agreement_section(listed),
        sections.confusion_section(listed), sections.breakdown_section(listed),
        sections.conspicuity_section(listed),
        "The next two parts are of every candidate with a probability of 0.05 or more."
        if every else "The next two parts are of what is listed, from the operating point upwards "
                      "(`--candidates` goes further down).",
        sections.froc_section(candidates), sections.calibration_section(candidates),
    ]
    parts += [f"![{title}, {one.where}]({file})" for title, file in pictures.items()]
    parts.append(_unassessed(one))
    return "\n\n".join(parts) + "\n"


def _head(one: Evaluation) -> str:
    counts = ", ".join(
        f"{len(one.listed(way))} of {sum(each.way is way for each in one.records)} from "
        f"{_WAYS[way]}" for way in one.ways)
    warning = ("All lesions are simulated: these figures say nothing about patients."
               if one.simulated else "The truth is that of the tree's annotations.")
    return "\n\n".join((
        f"# The lesion model on {one.where}",
        f"**{warning}** Research software, not a medical device.",
        f"- Scans assessed: {counts}; {one.anatomies} anatomies\n"
        f"- Model: {one.model.name} {one.model.version}, SHA-256 of weights and configuration "
        f"`{one.model.sha256}`, trained on "
        f"{one.model.training_data}\n{_left_out(one)}- Software: Lentiform {one.software}\n"
        f"- Command: `{one.command}`\n- Rules: docs/evaluation.md",
    ))


def _left_out(one: Evaluation) -> str:
    if not one.without:
        return ""
    return f"- **Kept from the model: {', '.join(role.value.upper() for role in one.without)}**\n"


def _unassessed(one: Evaluation) -> str:
    lost = [each for each in one.records if each.listed is None]
    if not lost:
        return "## Scans not assessed\n\nNone."
    rows = [(each.scan, _WAYS[each.way], each.reason) for each in lost]
    return f"## Scans not assessed ({len(lost)}); no figure above counts them\n\n" + table(
        ("scan", "input", "reason"), rows)


def _data(one: Evaluation) -> dict[str, Any]:
    ways = {way.value: {
        "figures": figures(one.listed(way)), "bars": bars(one.listed(way)),
        "groups": sections.as_groups(one.listed(way)),
        "by_contrast_to_noise": sections.by_conspicuity(one.listed(way)),
        "froc": {kind: froc(one.candidates(way), kind) for kind in SCORED},
        "calibration": {kind: reliability(one.candidates(way), kind) for kind in SCORED},
    } for way in one.ways}
    return {"simulated": one.simulated, "model": one.model, "software": one.software,
            "command": one.command, "ways": ways, "records": one.records}
