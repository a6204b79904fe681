"""The page of the comparison with peers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from apps.evaluate.examination import Examination
from apps.evaluate.markdown import number, ratio, table
from apps.evaluate.statistics import class_figures
from operators.labels import LESIONS, LesionClass

FASTER = 10.0
"""The project's bar: so many times faster than nnU-Net."""
_TARGETS = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)


@dataclass(frozen=True, slots=True)
class Result:
    """What one contender lists in every scan, and the median of its seconds per scan."""

    name: str
    listed: tuple[Examination, ...]
    seconds: float

    def f1(self, kind: LesionClass) -> float:
        """Of all lesions of all scans together."""
        return class_figures(self.listed, kind).f1


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that the page tells of; the product is the first of `results`."""

    results: tuple[Result, ...]
    simulated: bool
    scans: int
    threads: int
    validation: int
    software: str
    command: str


def page(one: Comparison) -> str:
    """The page as Markdown."""
    where = "simulated scans" if one.simulated else "annotated scans"
    warning = ("All lesions are simulated: these figures say nothing about patients."
               if one.simulated else "The truth is that of the tree's annotations.")
    rows = [row for kind in _TARGETS for row in _rows(one.results, kind)]
    return "\n\n".join((
        f"# The lesion model and its peers on {one.scans} {where}",
        f"**{warning}** Research software, not a medical device.",
        f"- Software: Lentiform {one.software}\n- Command: `{one.command}`\n"
        "- Rules: docs/evaluation.md",
        "From the arrays of the tree, all contenders on the same scans in the same run, one after "
        f"the other, on {one.threads} thread(s) of a CPU. The parameters of fast radial symmetry "
        f"were chosen for the best mean F1 on {one.validation} of the model's validation subjects. "
        f"{_about_nnunet(one)}Seconds are the median over scans.",
        table(("class", "who", "sensitivity", "precision", "F1", "false per scan",
               "seconds per scan"), rows),
        *_verdicts(one.results),
    )) + "\n"


def _about_nnunet(one: Comparison) -> str:
    if not any(result.name.startswith("nnU-Net") for result in one.results):
        return ""
    return ("nnU-Net learned from the model's own training subjects and gets the network's own "
            "input (scaled, cropped, about 1 mm in plane); its operating points were chosen on the "
            f"same {one.validation} subjects by the rule that chose the model's own on all of its; "
            "its seconds are the mean over one call for all scans. ")


def _rows(results: Sequence[Result], kind: LesionClass) -> Iterator[tuple[str, ...]]:
    for one in results:
        own = class_figures(one.listed, kind)
        yield (LESIONS[kind].name, one.name, ratio(own.sensitivity), ratio(own.precision),
               number(own.f1), number(own.false_per_scan, 2), number(one.seconds, 1))


def _verdicts(results: Sequence[Result]) -> Iterator[str]:
    """Better or not, and how much faster, in words."""
    ours, *peers = results
    for peer in peers:
        parts = []
        for kind in _TARGETS:
            here, there = ours.f1(kind), peer.f1(kind)
            if math.isnan(here) or math.isnan(there):
                parts.append(f"F1 of {LESIONS[kind].name.lower()}s cannot be said")
                continue
            word = "at least equal" if here >= there else "LOWER"
            parts.append(f"F1 of {LESIONS[kind].name.lower()}s {word} ({number(here)} against "
                         f"{number(there)})")
        times = peer.seconds / ours.seconds
        if peer.name.startswith("nnU-Net"):
            parts.append(f"{times:.1f} times faster (wanted {FASTER:g}: "
                         f"{'met' if times >= FASTER else 'MISSED'})")
        else:
            parts.append(f"{times:.1f} times its seconds")
        yield f"Against {peer.name}: " + "; ".join(parts) + "."
