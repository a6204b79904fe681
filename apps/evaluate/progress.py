"""How far a long run is: a bar on a terminal, a line per finished piece in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shown(done: Iterable[T], total: int, unit: str) -> Iterator[T]:
    """Pass on what gets done, and say on standard error how much is left."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(done, total=total, unit=unit)
        return
    begun = time.monotonic()
    for number, one in enumerate(done, start=1):
        elapsed = time.monotonic() - begun
        left = elapsed / number * (total - number)
        print(f"{elapsed:6.0f} s  {unit} {number} of {total}, about {left:.0f} s left",
              file=sys.stderr, flush=True)
        yield one
