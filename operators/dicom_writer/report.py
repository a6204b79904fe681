"""The report: one page a neuroradiologist reads in a minute, then key pictures, as PDF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from operators.dicom_writer import estimates
from operators.dicom_writer import report_pictures as pictures
from operators.dicom_writer import report_text as text
from operators.dicom_writer.report_lnc import asymmetry_rows, measured_rows
from operators.dicom_writer.scripts import marked
from operators.labels import LESIONS, RESEARCH_NOTICE, LesionClass
from operators.types import (
    Findings,
    LncScore,
    NotAssessed,
    Provenance,
    RegionMap,
)

KEY_PICTURES = 8
"""Lesions shown; a page holds eight beside the regions."""


def report_pdf(findings: Findings, *, provenance: Provenance) -> bytes:
    """The report as an A4 PDF: findings, measurements and limits; key pictures follow."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import CondPageBreak, SimpleDocTemplate

    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream, pagesize=A4, leftMargin=16 * mm, rightMargin=16 * mm, topMargin=12 * mm,
        bottomMargin=18 * mm, title="Lentiform report", author="Lentiform", invariant=1,
    )
    page = [*_head(findings), *_impression(findings), *_lesions(findings), *_lnc(findings),
            *_technique(findings)]
    images = _pictures(findings)
    if images:
        page += [CondPageBreak(150 * mm), *images]

    def footer(canvas: Any, _document: Any) -> None:
        canvas.setFont("Helvetica", 6.5)
        canvas.setFillGray(0.35)
        for line, words in enumerate(_footer(findings, provenance)):
            canvas.drawString(16 * mm, (13 - 3 * line) * mm, words)

    document.build(page, onFirstPage=footer, onLaterPages=footer)
    return stream.getvalue()


def _head(findings: Findings) -> list[Any]:
    header = findings.study.study.header
    fields = (
        ("Patient", _name(header.get("PatientName"))),
        ("ID", header.get("PatientID", "")),
        ("Born", _date(header.get("PatientBirthDate"))),
        ("Study", _date(header.get("StudyDate"))),
        ("Accession", header.get("AccessionNumber", "")),
    )
    line = "   ".join(f"<b>{name}</b> {marked(str(value))}" for name, value in fields if value)
    notice = f"{RESEARCH_NOTICE} Default weights were trained on simulated lesions."
    return [
        _paragraph("Lentiform: microbleeds, iron and the lenticulostriate complex", "title"),
        _paragraph(line, "body"),
        _paragraph(notice, "notice"),
    ]


def _impression(findings: Findings) -> list[Any]:
    sentences = [_paragraph(marked(words), "strong") for words in text.impression(findings)]
    return [_paragraph("Impression", "heading"), *sentences]


def _lesions(findings: Findings) -> list[Any]:
    lesions = findings.lesions
    if isinstance(lesions, NotAssessed):
        return []
    story: list[Any] = [_paragraph("Lesions by location (MARS)", "heading")]
    rows = [
        (LESIONS[kind].name, place, *(str(n or "") for n in sides))
        for kind in LesionClass
        for place, *sides in text.location_rows(lesions.lesions, kind)
    ]
    if rows:
        head = ("Class", "Location", "Left", "Right", "Midline")
        story.append(_table([head, *rows], (55, 62, 18, 18, 20)))
    seen = " and ".join(text.ROLE_WORDS[role] for role in lesions.inputs)
    grid = text.reference_words(findings.study)
    story.append(_paragraph(marked(f"The network saw {seen}. Counted on {grid}."), "small"))
    return story


def _lnc(findings: Findings) -> list[Any]:
    lnc = findings.lnc
    if isinstance(lnc, NotAssessed):
        return []
    return [
        _paragraph("Lenticulostriate artery-neural complex (means)", "heading"),
        *(_table(rows, widths) for rows, widths in (measured_rows(lnc), asymmetry_rows(lnc))),
        *_estimates(lnc),
    ]


def _estimates(lnc: LncScore) -> list[Any]:
    """What a model says, under what was measured."""
    said = lnc.estimates
    if isinstance(said, NotAssessed):
        return []
    story: list[Any] = []
    if said.regions or said.labels or said.z_scores:
        story.append(_paragraph("Model estimates and reference group (research)", "heading"))
    if said.regions:
        rows = estimates.estimate_rows(said)
        story.append(_table(rows, [32, *([24, 46] * ((len(rows[0]) - 1) // 2))]))
    if said.z_scores:
        rows = estimates.z_rows(said)
        story.append(_table(rows, [32, *([20] * (len(rows[0]) - 1))]))
    return story + [_paragraph(marked(words), "small")
                    for words in estimates.estimate_sentences(said)]


def _technique(findings: Findings) -> list[Any]:
    story: list[Any] = [_paragraph("Technique", "heading")]
    story += [_paragraph(marked(line), "small") for line in text.technique(findings)]
    story.append(_paragraph("Limits", "heading"))
    story += [_paragraph(marked(line), "small") for line in text.limits(findings)]
    if isinstance(findings.lnc, LncScore) and _partial(findings.lnc):
        story.append(_paragraph("* part of the region lies outside the scan.", "small"))
    return story


def _partial(lnc: LncScore) -> bool:
    statistics = (s for measure in lnc.measures for s in measure.quantities.values())
    return any(statistic.coverage < 0.95 for statistic in statistics)


def _pictures(findings: Findings) -> list[Any]:
    from reportlab.lib.units import mm
    from reportlab.platypus import Table

    story: list[Any] = []
    lesions, regions = findings.lesions, findings.regions
    if not isinstance(regions, NotAssessed):
        story.append(_paragraph("Regions of the complex", "heading"))
        story.append(_image(pictures.region_picture(findings.study, regions), 150 * mm))
        story += _saliency(findings, regions)
    if not isinstance(lesions, NotAssessed) and lesions.lesions:
        story.append(_paragraph("Key lesions", "heading"))
        cells = [
            [
                _image(pictures.lesion_picture(findings.study, lesions, lesion), 82 * mm),
                _paragraph(marked(_caption(lesion)), "small"),
            ]
            for lesion in pictures.key_lesions(lesions, KEY_PICTURES)
        ]
        pairs = [cells[i : i + 2] for i in range(0, len(cells), 2)]
        story.append(Table([[*pair, *[""] * (2 - len(pair))] for pair in pairs]))
    return story


def _saliency(findings: Findings, regions: RegionMap) -> list[Any]:
    """Where the model's answers come from, a panel each."""
    lnc = findings.lnc
    if isinstance(lnc, NotAssessed) or isinstance(lnc.estimates, NotAssessed):
        return []
    maps = {name: one for name, one in lnc.estimates.saliency.items() if one.array.any()}
    image = pictures.saliency_picture(findings.study, regions, maps) if maps else b""
    if not maps:
        return []
    rest = list(maps)[pictures.SALIENCY_PANELS:]
    story = [_paragraph("What raises the model's answers (Grad-CAM, cells of 8 mm)", "heading"),
             _image(image, 147 * min(len(maps), pictures.SALIENCY_PANELS))]
    if rest:
        story.append(_paragraph(marked(f"In DICOM only: {', '.join(rest)}."), "small"))
    return story


def _caption(lesion: Any) -> str:
    where = lesion.location.label if lesion.location else "location unclassified"
    ppm = "" if lesion.mean_ppm is None else f", {lesion.mean_ppm:+.3f} ppm"
    kind = LESIONS[lesion.kind].abbreviation
    return (
        f"{lesion.index}: {kind}, {where}, {lesion.diameter_mm:.1f} mm{ppm}, "
        f"probability {lesion.probability:.2f}"
    )


def _footer(findings: Findings, provenance: Provenance) -> list[str]:
    lines = [f"Lentiform {provenance.software_version}, {provenance.started}. {RESEARCH_NOTICE}"]
    if not isinstance(findings.lesions, NotAssessed):
        model = findings.lesions.model
        lines.append(
            f"Lesion model {model.name} {model.version} ({model.sha256[:12]}), "
            f"trained on {model.training_data}."
        )
    return lines


def _name(value: object) -> str:
    """The name in letters of an alphabet where it is given so, else as it is."""
    groups = [group.replace("^", " ").strip() for group in str(value or "").split("=")]
    return next(filter(None, groups), "")


def _date(value: object) -> str:
    digits = str(value or "")
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}" if len(digits) == 8 else digits


def _paragraph(words: str, style: str) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    styles = {
        "title": ParagraphStyle("title", fontName="Helvetica-Bold", fontSize=14, leading=18),
        "heading": ParagraphStyle(
            "heading", fontName="Helvetica-Bold", fontSize=9.5, leading=12, spaceBefore=7,
            spaceAfter=2, textColor=HexColor("#1f4e79"),
        ),
        "body": ParagraphStyle("body", fontName="Helvetica", fontSize=8.5, leading=11),
        "strong": ParagraphStyle("strong", fontName="Helvetica", fontSize=10.5, leading=14),
        "small": ParagraphStyle("small", fontName="Helvetica", fontSize=7.2, leading=9),
        "notice": ParagraphStyle(
            "notice", fontName="Helvetica-Bold", fontSize=8, leading=11, spaceBefore=3,
            textColor=HexColor("#9c1c1c"),
        ),
    }
    return Paragraph(words, styles[style])


def _table(rows: Sequence[Sequence[str]], widths_mm: Sequence[float]) -> Any:
    from reportlab.lib.colors import HexColor
    from reportlab.lib.units import mm
    from reportlab.platypus import Table, TableStyle

    style = TableStyle(
        [
            ("FONT", (0, 0), (-1, -1), "Helvetica", 7.5),
            ("FONT", (0, 0), (-1, 0), "Helvetica-Bold", 7.5),
            ("LINEBELOW", (0, 0), (-1, 0), 0.6, HexColor("#1f4e79")),
            ("LINEBELOW", (0, 1), (-1, -1), 0.2, HexColor("#c8c8c8")),
            ("TOPPADDING", (0, 0), (-1, -1), 1.2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 1.8),
        ]
    )
    table = Table([list(row) for row in rows], colWidths=[w * mm for w in widths_mm], hAlign="LEFT")
    table.setStyle(style)
    return table


def _image(png: bytes, width: float) -> Any:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    pixels_wide, pixels_high = ImageReader(io.BytesIO(png)).getSize()
    return Image(io.BytesIO(png), width=width, height=width * pixels_high / pixels_wide)
