"""The page of DEEPMIR's design: its two tables beside the paper's, and SWI against SWI+QSM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from apps.evaluate.arms import COMPARED, CONTRASTS, Arm, Outcome
from apps.evaluate.deepmir_paper import MULTI, SINGLE, Row
from apps.evaluate.examination import Examination
from apps.evaluate.folds import Fold
from apps.evaluate.markdown import averaged, limits, number, table
from apps.evaluate.paired import Difference, false_per_scan, paired_bootstrap, precision_at
from apps.evaluate.statistics import class_figures
from operators.labels import LESIONS, LesionClass
from operators.lesion_segmenter.training import TrainingSettings

_TARGETS = (LesionClass.MICROBLEED, LesionClass.IRON_DEPOSIT)
_SINGLE = {LesionClass.MICROBLEED: "microbleed", LesionClass.IRON_DEPOSIT: "iron"}

_DIFFERS = """\
What differs from the paper's design: {data}; the paper's subjects are 24 patients and volunteers
of a population study, annotated by hand. Its matching rule, how subjects without lesions count in
its averages, and the unit of its correlation and Bland-Altman columns are not documented (limits
of about 100 for iron suggest volumes or voxels); ours are counts of lesions, listed minus known,
and our averages leave out subjects without a known (sensitivity) or listed (precision) lesion of
the class. Network, losses, training and the rules that name a lesion after the network (the sign
of QSM among them) are this project's. Our multi-class networks also learn calcifications and
vessels. Weights and operating points are chosen on validation scans of the training folds, never
on the held fold."""


@dataclass(frozen=True, slots=True)
class Study:
    """All that the page tells of."""

    outcomes: tuple[Outcome, ...]
    folds: tuple[Fold, ...]
    simulated: bool
    scans: int
    anatomies: int
    training: TrainingSettings
    software: str
    command: str

    @property
    def where(self) -> str:
        return "simulated scans" if self.simulated else "annotated scans"

    def listed(self, arm: Arm) -> list[Examination]:
        """What an arm lists in all scans, each by the network that never saw it."""
        return [one for each in self.outcomes if each.arm == arm for one in each.listed]

    def candidates(self, arm: Arm) -> list[Examination]:
        """The same with every candidate."""
        return [one for each in self.outcomes if each.arm == arm for one in each.candidates]


def page(study: Study) -> str:
    """The page as Markdown."""
    warning = ("All lesions are simulated: these figures say nothing about patients."
               if study.simulated else "The truth is that of the tree's annotations.")
    data = "our scans and lesions are simulated" if study.simulated else "our scans are others"
    return "\n\n".join((
        f"# DEEPMIR's design on {study.scans} {study.where}",
        f"**{warning}** Research software, not a medical device.",
        f"- {len(study.folds)} folds over {study.anatomies} anatomies, none of them parted\n"
        f"- Training: `{study.training.model_dump_json()}`\n"
        f"- Software: Lentiform {study.software}\n- Command: `{study.command}`\n"
        "- Rules: docs/evaluation.md",
        "Mean ± SEM [95 % interval] over scans; Pearson's r and Bland-Altman's mean difference "
        "[limits of agreement] of counts. The rows \"paper\" are DEEPMIR's (Rashid et al., "
        "Scientific Reports 2021;11:14124), on other scans.",
        f"## Single-class models ({study.where}; paper: table 1)", _results(study, SINGLE, _SINGLE),
        f"## Multi-class models ({study.where}; paper: table 2)",
        _results(study, MULTI, dict.fromkeys(_TARGETS, "multi")),
        _DIFFERS.format(data=data).replace("\n", " "),
        f"## With QSM against without ({study.where})", _compared(study),
    )) + "\n"


def _results(
    study: Study, paper: Mapping[tuple[LesionClass, str], Row], classes: Mapping[LesionClass, str]
) -> str:
    rows = []
    for kind in _TARGETS:
        for contrasts in CONTRASTS:
            own = class_figures(study.listed(Arm(contrasts, classes[kind])), kind)
            name = (LESIONS[kind].name, contrasts)
            rows.append((*name, "ours", averaged(own.sensitivity_mean, 2),
                         averaged(own.precision_mean, 2), number(own.counts.pearson, 2),
                         limits(own.counts)))
            rows.append((*name, "paper", *paper[kind, contrasts]))
    return table(("target", "input", "", "sensitivity", "precision", "r", "difference"), rows)


def comparisons(study: Study) -> dict[str, Difference]:
    """SWI+QSM minus SWI, multi-class, paired by scan; what is compared -> difference."""
    without, with_qsm = (Arm(contrasts, "multi") for contrasts in COMPARED)
    listed = study.listed(without), study.listed(with_qsm)
    every = study.candidates(without), study.candidates(with_qsm)
    out = {}
    for kind in _TARGETS:
        name = LESIONS[kind].name
        wanted = class_figures(listed[0], kind).sensitivity.value
        out[f"{name}: precision at the sensitivity of SWI alone, {number(wanted)}"] = (
            paired_bootstrap(*every, precision_at(kind, wanted), seed=study.training.seed))
        out[f"{name}: false positives per scan at the operating points"] = (
            paired_bootstrap(*listed, false_per_scan(kind), seed=study.training.seed))
    return out


def _interval(one: Difference) -> str:
    lost = f" ({one.undefined:.0%} of rounds undefined)" if one.undefined else ""
    return f"[{number(one.low)}, {number(one.high)}]{lost}"


def _compared(study: Study) -> str:
    rows = [(name, number(one.first), number(one.second), number(one.value),
             _interval(one))
            for name, one in comparisons(study).items()]
    return "\n\n".join((
        "Multi-class, over all lesions. Precision is of every candidate, each model at the "
        "probability at which it first reaches that sensitivity, or what both reach where one "
        "never does. Intervals: paired bootstrap over scans, 2000 rounds.",
        table(("figure", *COMPARED, "difference", "95 % interval"), rows),
    ))
