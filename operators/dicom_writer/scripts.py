"""Text of any script as markup for the report, each word in a font that has its letters.

Helvetica has Latin letters only. DejaVu Sans, which comes with matplotlib, is embedded for Greek,
Cyrillic, Hebrew, Arabic and more; for East Asian scripts the PDF names one of Adobe's standard
fonts, which viewers supply.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

_EMBEDDED = "DejaVuSans"
# In this order: Korean and Japanese names hold Chinese characters too.
_ASIAN = (
    ("HYSMyeongJo-Medium", "[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"),
    ("HeiseiKakuGo-W5", "[\u3040-\u30ff]"),
    ("STSong-Light", ""),
)
_LEFTWARD = re.compile("[\u0590-\u08ff]+(?: [\u0590-\u08ff]+)*")


def marked(text: str) -> str:
    """`text` as markup of a Paragraph; escaped, in the order of display."""
    shown = _LEFTWARD.sub(lambda found: _joined(found[0])[::-1], text)
    return " ".join(_word(word) for word in shown.split(" "))


def _word(word: str) -> str:
    font = _font(word)
    return f'<font name="{font}">{escape(word)}</font>' if font else escape(word)


def _font(word: str) -> str | None:
    """The font that has the letters of `word`; None where the page's own has them."""
    try:
        word.encode("cp1252")
    except UnicodeEncodeError:
        if all(ord(letter) in _dejavu() for letter in word):
            return _EMBEDDED
        font = next(name for name, letters in _ASIAN if re.search(letters, word))
        _register_asian(font)
        return font
    return None


@cache
def _dejavu() -> Any:
    """The letters that DejaVu Sans has, which is registered with that."""
    from matplotlib import get_data_path
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFont

    font = TTFont(_EMBEDDED, str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"))
    registerFont(font)
    return font.face.charToGlyph


@cache
def _register_asian(font: str) -> None:
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.pdfmetrics import registerFont

    registerFont(UnicodeCIDFont(font))


def _joined(text: str) -> str:
    """Arabic letters in the forms they take beside each other; other letters as they are."""
    forms = _arabic_forms()
    shown = ""
    for place, letter in enumerate(text):
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        to_before = "initial" in forms.get(before, {}) and "final" in forms.get(letter, {})
        to_after = "initial" in forms.get(letter, {}) and "final" in forms.get(after, {})
        form = {(0, 1): "initial", (1, 1): "medial", (1, 0): "final"}.get((to_before, to_after))
        shown += forms[letter][form] if form else letter
    return shown


@cache
def _arabic_forms() -> dict[str, dict[str, str]]:
    """Letter -> "initial", "medial", "final" -> its form, from Unicode's presentation forms."""
    forms: dict[str, dict[str, str]] = {}
    for shape in map(chr, (*range(0xFB50, 0xFC00), *range(0xFE80, 0xFEF5))):
        kind, *letters = unicodedata.decomposition(shape).split() or [""]
        if len(letters) == 1:
            forms.setdefault(chr(int(letters[0], 16)), {})[kind.strip("<>")] = shape
    return forms
