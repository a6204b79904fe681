"""Values of header elements, standard and private, that may be absent, empty or damaged."""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from pydicom.errors import BytesLengthException

if TYPE_CHECKING:
    from pydicom import Dataset

# What a damaged header raises where a value is first converted, which is where it is asked for.
DAMAGED = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, NotImplementedError,
    EOFError, OSError, struct.error, zlib.error, BytesLengthException,
)  # fmt: skip


def number_of(header: Dataset, keyword: str) -> float | None:
    """A header value as float (its first, if several); None where absent, empty or no number."""
    try:
        value = header.get(keyword)
        if value is None or value == "":
            return None
        if not isinstance(value, (str, bytes)) and hasattr(value, "__getitem__"):
            value = value[0] if len(value) else math.nan
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


class PrivateTag(NamedTuple):
    """A private element: group, creator, element, and the block it usually sits in."""

    group: int
    creator: str
    element: int
    block: int = 0x10

    def at(self, block: int) -> int:
        """The full tag when the creator holds `block`."""
        return self.group << 16 | block << 8 | self.element

    @property
    def possible(self) -> tuple[int, ...]:
        """Every tag that may hold the element or its creator."""
        creators = tuple(self.group << 16 | block for block in _BLOCKS)
        return creators + tuple(self.at(block) for block in _BLOCKS)


_BLOCKS = range(0x10, 0x20)


def private(header: Dataset, tag: PrivateTag) -> object | None:
    """Value of a private element, found by its creator; None where absent or empty.

    Where an export has lost the creators, the usual block is looked at.
    """
    element = None
    for block in _BLOCKS:
        creator = header.get(tag.group << 16 | block)
        if creator is not None and str(creator.value).strip() == tag.creator:
            element = header.get(tag.at(block))
            break
    else:
        if (tag.group << 16 | tag.block) not in header:
            element = header.get(tag.at(tag.block))
    if element is None or element.value is None or element.value == "":
        return None
    value: object = element.value
    return value


def is_made_by(vendor: str, header: Dataset) -> bool:
    """Whether Manufacturer begins with the vendor's name, any case."""
    return str(header.get("Manufacturer", "")).upper().startswith(vendor)


def text_values(header: Dataset, keyword: str) -> tuple[str, ...]:
    """A multi-valued text element as upper-case tokens."""
    value = header.get(keyword)
    if value is None or value == "":
        return ()
    values = [value] if isinstance(value, str) else value
    return tuple(str(token).strip().upper() for token in values)
